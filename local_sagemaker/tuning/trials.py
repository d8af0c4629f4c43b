"""The trials of a tuning job: training jobs like all others, made of its TrainingJobDefinition.

`tune` chooses the hyperparameters. For each trial it runs trial.py, which asks here for a training
and reads its lines as they come.
"""

import json
import queue
from collections.abc import Iterator
from itertools import chain

from local_sagemaker.contract import invalid
from local_sagemaker.job_ends import CLOSING
from local_sagemaker.jobs import training
from local_sagemaker.jobs.training_run import KIND, STOP, TrainingRun
from local_sagemaker.platform import Platform
from local_sagemaker.record import Record

NAME = "HyperParameterTuningJobName"
# SageMaker adds this hyperparameter to each training of a search.
OBJECTIVE = "_tuning_objective_metric"
# Members of a definition that a training job does not have.
OF_SEARCHES = (
    "DefinitionName",
    "HyperParameterRanges",
    "HyperParameterTuningResourceConfig",
    "StaticHyperParameters",
    "TuningObjective",
)
BEAT_S = 1.0  # between two signs of life to a program that waits for lines
REPLACE_S = 150.0  # for the end of a training whose program was killed: SIGTERM's grace and some


class TrialRun(TrainingRun):
    """A training whose lines a program of `tune` reads, too."""

    def __init__(self, platform: Platform, record: Record) -> None:
        super().__init__(platform, record)
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def run(self) -> None:
        super().run()
        self._lines.put(None)

    def _read(self, line: str) -> None:
        super()._read(line)
        self._lines.put(line)

    def _fail(self, reason: str) -> None:
        # The next server goes on with the search, and does this trial again.
        if self.halted != CLOSING:
            super()._fail(reason)

    def events(self) -> Iterator[bytes]:
        """A JSON object per line of output; at the end one with the job's status.

        Between them come empty lines: they show whether the program still reads. Where it does not,
        the training is stopped.
        """
        try:
            while True:
                try:
                    line = self._lines.get(timeout=BEAT_S)
                except queue.Empty:
                    yield b"\n"
                    continue
                if line is None:
                    break
                yield _event(line=line)
            yield _event(**self._end_of_job())
        except GeneratorExit:
            self.halt(STOP)
            raise

    def _end_of_job(self) -> Record:
        if self.halted == CLOSING:
            return {"status": CLOSING}
        record = self.platform.store.find(KIND, self.name_of_job) or {}
        status = record.get("TrainingJobStatus", "Stopped")  # it may have been deleted
        return {"status": status, "reason": record.get("FailureReason", "")}


def _event(**fields: object) -> bytes:
    return json.dumps(fields).encode() + b"\n"


def training_request(job: Record, name: str, hyperparameters: dict[str, str]) -> Record:
    """CreateTrainingJob's request for a trial. job: the tuning job's; name: the training's."""
    definition = job["TrainingJobDefinition"]
    objective = job["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"]
    request = {key: value for key, value in definition.items() if key not in OF_SEARCHES}
    # Where a request gives several kinds of instances, the first one is preferred.
    wanted = definition.get("HyperParameterTuningResourceConfig", {})
    for resources in [*wanted.get("InstanceConfigs", [])[:1], wanted]:
        request.setdefault("ResourceConfig", {})
        kept = ("InstanceType", "InstanceCount", "VolumeSizeInGB", "VolumeKmsKeyId")
        for key in kept:
            if key in resources:
                request["ResourceConfig"].setdefault(key, resources[key])
    return {
        **request,
        "TrainingJobName": name,
        "HyperParameters": {**hyperparameters, OBJECTIVE: objective["MetricName"]},
        # "Tags that you specify for the tuning job are also added to all training jobs that the
        # tuning job launches." Source: CreateHyperParameterTuningJob of the API reference.
        "Tags": job.get("Tags", []),
    }


def start(platform: Platform, job: Record, asked: Record) -> TrialRun:
    """A trial's training. ApiError where it cannot be made. job: the tuning job's record.

    asked: name, hyperparameters, threads, gpu, as trial.py sends them. A training of this name and
    search is one that a killed program left, or an earlier server: it makes room.
    """
    name = asked["name"]
    if job["HyperParameterTuningJobStatus"] != "InProgress":
        raise invalid(f"the tuning job is {job['HyperParameterTuningJobStatus']}")
    _make_room(platform, job, name)
    request = training_request(job, name, asked["hyperparameters"])
    record = {
        **training.first_record(request, job["Region"]),
        "TuningJobArn": job["HyperParameterTuningJobArn"],
        "Share": {"threads": asked["threads"], "gpu": asked["gpu"]},
    }
    training.add(platform, record)
    run = TrialRun(platform, record)
    platform.start(KIND, name, run)
    return run


def _make_room(platform: Platform, job: Record, name: str) -> None:
    record = platform.store.find(KIND, name) or {}
    if record.get("TuningJobArn") != job["HyperParameterTuningJobArn"]:
        return
    if runner := platform.runner(KIND, name):
        runner.halt(STOP)
        runner.join(timeout=REPLACE_S)
    training.forget(platform, record)


def of_job(platform: Platform, job: Record) -> list[Record]:
    """The records of a tuning job's trainings."""
    mine = job["HyperParameterTuningJobArn"]
    return [child for child in platform.store.all(KIND) if child.get("TuningJobArn") == mine]


def halt_all(platform: Platform, job: Record) -> None:
    """Stop what still trains of a tuning job, and wait for its end."""
    runners = [platform.runner(KIND, child["TrainingJobName"]) for child in of_job(platform, job)]
    running = [runner for runner in runners if runner is not None]
    for runner in running:
        runner.halt(STOP)
    for runner in running:
        runner.join(timeout=REPLACE_S)


def tuned_names(job: Record) -> list[str]:
    """The hyperparameters that a tuning job searches."""
    ranges = job["HyperParameterTuningJobConfig"]["ParameterRanges"]
    return [entry["Name"] for entry in chain.from_iterable(ranges.values())]


def objective_of(job: Record, child: Record) -> Record | None:
    """The last value of a training's objective, by which SageMaker judges it; None without one."""
    objective = job["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"]
    for metric in child.get("FinalMetricDataList", []):
        if metric["MetricName"] == objective["MetricName"]:
            found: Record = metric
            return found
    return None
