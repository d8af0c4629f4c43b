"""One tuning job as it runs: `python -m tune` as a process searches, and its trials are shown as training jobs.

It translates: the request to a recipe, tuning.json to records. What to try next, and when to end, is tune's.
"""

import datetime
import json
import logging
import shutil
import signal
import subprocess
import sys
import threading
import time

from local_sagemaker import channels, objects, training
from local_sagemaker.platform import Platform
from local_sagemaker.store import arn
from local_sagemaker.training_run import CLOSING
from local_sagemaker.trial_logs import TrialLogs
from runtime import opt_ml, processes
from runtime.errors import RunError
from runtime.processes import REPOSITORY

log = logging.getLogger(__name__)
KIND, LOOK_S, LEAVE_S = "hyper-parameter-tuning-job", 0.5, 150
BANDS = {"MinResource": "min_resource", "MaxResource": "max_resource"}
SECONDARY = {"InProgress": "Training"}
SHOWN = (
    "AlgorithmSpecification",
    "RoleArn",
    "InputDataConfig",
    "OutputDataConfig",
    "ResourceConfig",
    "StoppingCondition",
    "Environment",
    "VpcConfig",
    "EnableNetworkIsolation",
    "EnableInterContainerTrafficEncryption",
    "EnableManagedSpotTraining",
    "CheckpointConfig",
    "RetryStrategy",
)


def recipe(request: dict) -> dict:
    """The tuning job as one of a recipe of tune's."""
    config, definition = request["HyperParameterTuningJobConfig"], request["TrainingJobDefinition"]
    objective, limits = config["HyperParameterTuningJobObjective"], config["ResourceLimits"]
    criteria = config.get("TuningJobCompletionCriteria", {})
    ranges = {
        entry["Name"]: {
            "type": kind,
            "min": float(entry["MinValue"]),
            "max": float(entry["MaxValue"]),
            "scale": entry.get("ScalingType", "Auto"),
        }
        for kind in ("Continuous", "Integer")
        for entry in config["ParameterRanges"].get(f"{kind}ParameterRanges", [])
    }
    ranges |= {
        entry["Name"]: {"values": entry["Values"]}
        for entry in config["ParameterRanges"].get("CategoricalParameterRanges", [])
    }
    budgets = {
        "jobs": limits.get("MaxNumberOfTrainingJobs"),
        "parallel": limits["MaxParallelTrainingJobs"],
        "time_s": limits.get("MaxRuntimeInSeconds"),
        "target": criteria.get("TargetObjectiveMetricValue"),
        "not_improving": criteria.get("BestObjectiveNotImproving", {}).get(
            "MaxNumberOfTrainingJobsNotImproving"
        ),
    }
    warm = request.get("WarmStartConfig", {})
    parents = [
        parent["HyperParameterTuningJobName"]
        for parent in warm.get("ParentHyperParameterTuningJobs", [])
    ]
    bands = config.get("StrategyConfig", {}).get("HyperbandStrategyConfig", {})
    job = {
        "name": request["HyperParameterTuningJobName"],
        "strategy": config["Strategy"],
        "early_stopping": config.get("TrainingJobEarlyStoppingType", "Off"),
        "objective": {
            "metric": objective["MetricName"],
            "direction": objective["Type"],
            "regex": metric_of(request)["Regex"],
        },
        "budgets": {name: value for name, value in budgets.items() if value is not None},
        "ranges": ranges,
        "seed": config.get("RandomSeed", 0),
        **({"parents": parents, "warm_start": warm["WarmStartType"]} if parents else {}),
        **({"hyperband": {BANDS[key]: value for key, value in bands.items()}} if bands else {}),
    }
    return {
        "name": job["name"],
        "hyperparameters": definition.get("StaticHyperParameters", {}),
        "tuning": [job],
    }


def metric_of(request: dict) -> dict:
    """The metric definition of the objective. StopIteration when there is none."""
    name = request["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"][
        "MetricName"
    ]
    return next(
        entry
        for entry in request["TrainingJobDefinition"]["AlgorithmSpecification"].get(
            "MetricDefinitions", []
        )
        if entry["Name"] == name
    )


class TuningRun(threading.Thread):
    """The thread of one tuning job."""

    def __init__(self, platform: Platform, record: dict):
        self.name_of_job, self.job, self.platform = (
            record["HyperParameterTuningJobName"],
            record,
            platform,
        )
        super().__init__(name=f"tuning {self.name_of_job}", daemon=True)
        self.folder = platform.work / KIND / self.name_of_job
        self.results = platform.folder / "tunings" / f"{self.name_of_job}.json"
        self.halted: str | None = None
        self._printed = TrialLogs(
            platform.logs, self.folder / "out" / "trials" / self.name_of_job, record["Region"]
        )
        self._process: subprocess.Popen | None = None
        self._ended = {
            child["TrainingJobName"]
            for child in platform.store.all(
                training.KIND
            )  # none, unless an earlier server began the job
            if child.get("TuningJobArn") == record["HyperParameterTuningJobArn"]
            and child["TrainingJobStatus"] != "InProgress"
        }

    def run(self) -> None:
        try:
            self._run()
        except (objects.ObjectError, RunError) as error:
            self._end("Failed", f"ClientError: {error}")
        except (
            Exception
        ) as error:  # a fault of this server's own must be seen in the job, not only in the log
            log.exception("tuning %s", self.name_of_job)
            self._end("Failed", f"InternalServerError: {type(error).__name__}: {error}")
        finally:
            if self.halted != CLOSING:
                shutil.rmtree(self.folder, ignore_errors=True)
            self.platform.ended(KIND, self.name_of_job)

    def halt(self, why: str) -> None:
        """Stop searching; trainings that run end early. CLOSING: until the next server goes on. Returns at once."""
        self.halted = self.halted or why
        if why != CLOSING:
            self.platform.store.change(
                KIND, self.name_of_job, HyperParameterTuningJobStatus="Stopping"
            )
        if self._process and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)

    def _run(self) -> None:
        data, out = self.folder / "data", self.folder / "out"
        given = self.folder / "recipe.yaml"
        if not given.is_file():  # else an earlier server brought all of it
            shutil.rmtree(data, ignore_errors=True)
            channels.fill(self.job["TrainingJobDefinition"].get("InputDataConfig", []), data, 0, 1)
            given.write_text(json.dumps(recipe(self.job)), encoding="utf-8")  # JSON is YAML
        image = self.platform.container_engine.find_image(
            self.job["TrainingJobDefinition"]["AlgorithmSpecification"]["TrainingImage"], "train"
        )
        engine = (
            ["--engine", "container", "--image", image]
            if self.platform.container_engine.name == "docker"
            else ["--engine", "process"]
        )
        command = [
            sys.executable,
            "-m",
            "tune",
            str(given),
            "--data",
            str(data),
            "--out",
            str(out),
            "--keep",
            *engine,
        ]
        for parent in self.job.get("WarmStartConfig", {}).get("ParentHyperParameterTuningJobs", []):
            command += [
                "--parents",
                str(
                    self.platform.folder
                    / "tunings"
                    / f"{parent['HyperParameterTuningJobName']}.json"
                ),
            ]
        printed = self.platform.logs.stream("TuningJobs", self.name_of_job, self.job["Region"])
        self._process = subprocess.Popen(
            command,
            cwd=REPOSITORY,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        processes.remember(self.platform.folder, self._process.pid, self.folder)
        if self.halted:
            self._process.send_signal(signal.SIGTERM)
        lines: list[str] = []
        reader = threading.Thread(
            target=lambda: [
                (lines.append(line.rstrip()), printed.line(line.rstrip()))
                for line in self._process.stdout
            ],
            daemon=True,
        )
        reader.start()
        while self._process.poll() is None:
            self._look()
            time.sleep(LOOK_S)
        reader.join(timeout=5)
        printed.close()
        self._look()
        if self.halted == CLOSING:
            return
        if self.halted:
            self._end("Stopped")
        elif self._process.returncode:
            self._end("Failed", f"AlgorithmError: {lines[-1] if lines else 'tune said nothing'}")
        else:
            self._end("Completed")

    def _look(self) -> None:
        """Bring the records up to what tune has written."""
        found = self.folder / "out" / "tuning.json"
        if not found.is_file():
            return
        text = found.read_text(encoding="utf-8")
        [job] = [
            entry for entry in json.loads(text)["tuning_jobs"] if entry["name"] == self.name_of_job
        ] or [None]
        if job is None:
            return
        self.results.parent.mkdir(parents=True, exist_ok=True)
        self.results.write_text(text, encoding="utf-8")
        for trial in job["trials"]:
            if trial["name"] not in self._ended:
                self._printed.take(trial["name"], trial["status"] != "InProgress")
                self._show(trial)
                if trial["status"] != "InProgress":
                    self._ended.add(trial["name"])
        self._count(job)

    def _show(self, trial: dict) -> None:
        """A trial as a training job."""
        name, definition = trial["name"], self.job["TrainingJobDefinition"]
        if self.platform.store.find(training.KIND, name) is None:
            metric = self.job["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"][
                "MetricName"
            ]
            record = {key: definition[key] for key in SHOWN if key in definition}
            record |= {
                "TrainingJobName": name,
                "TrainingJobArn": arn(self.job["Region"], "training-job", name),
                "Region": self.job["Region"],
                "HyperParameters": {**trial["hyperparameters"], "_tuning_objective_metric": metric},
                "TuningJobArn": self.job["HyperParameterTuningJobArn"],
                "TrainingJobStatus": "InProgress",
                "SecondaryStatus": "Training",
            }
            training.adopt(self.platform, record)
        fields = {
            "TrainingStartTime": _seconds(trial["started"]),
            "TrainingEndTime": _seconds(trial["ended"]),
            "TunedNames": list(trial["tuned"]),
            "SecondaryStatusTransitions": _transitions(trial),
            "FailureReason": f"AlgorithmError: {trial['reason']}"[:1024]
            if trial["status"] == "Failed"
            else None,
        }
        if trial["status"] != "InProgress":
            seconds = (fields["TrainingEndTime"] or 0) - (fields["TrainingStartTime"] or 0)
            fields |= {
                "ModelArtifacts": self._upload(name),
                "TrainingTimeInSeconds": round(seconds),
            }
        if trial["objective"] is not None:
            metric = metric_of(self.job)["Name"]
            fields["FinalMetricDataList"] = [
                {
                    "MetricName": metric,
                    "Value": trial["objective"],
                    "Timestamp": fields["TrainingEndTime"] or time.time(),
                }
            ]
        secondary = SECONDARY.get(trial["status"], trial["status"])
        self.platform.store.change(
            training.KIND,
            name,
            TrainingJobStatus=trial["status"],
            SecondaryStatus=secondary,
            **fields,
        )

    def _upload(self, name: str) -> dict | None:
        """A trial's model.tar.gz, if it left a model; then its tree goes."""
        tree = self.folder / "out" / "trials" / self.name_of_job / name
        target = objects.joined(
            self.job["TrainingJobDefinition"]["OutputDataConfig"]["S3OutputPath"],
            name,
            "output",
            "model.tar.gz",
        )
        there = (tree / "model").is_dir() and any((tree / "model").iterdir())
        if there:
            archive = self.folder / f"{name}.tar.gz"
            opt_ml.pack_model(tree, archive)
            objects.put(archive, target)
            archive.unlink()
        shutil.rmtree(tree / "model", ignore_errors=True)
        return {"S3ModelArtifacts": target} if there else None

    def _count(self, job: dict) -> None:
        trials = job["trials"]
        count = {
            status: sum(trial["status"] == status for trial in trials)
            for status in ("Completed", "InProgress", "Stopped", "Failed")
        }
        told = [
            trial
            for trial in trials
            if trial["objective"] is not None and trial["status"] in ("Completed", "Stopped")
        ]
        better = max if job["direction"] == "Maximize" else min
        best = better(told, key=lambda trial: trial["objective"])["name"] if told else None
        self.platform.store.change(
            KIND,
            self.name_of_job,
            BestName=best,
            TrainingJobStatusCounters={
                "Completed": count["Completed"],
                "InProgress": count["InProgress"],
                "Stopped": count["Stopped"],
                "NonRetryableError": count["Failed"],
                "RetryableError": 0,
            },
            ObjectiveStatusCounters={
                "Succeeded": len(told),
                "Pending": count["InProgress"],
                "Failed": len(trials) - len(told) - count["InProgress"],
            },
        )

    def _end(self, status: str, reason: str | None = None) -> None:
        self.platform.store.change(
            KIND,
            self.name_of_job,
            HyperParameterTuningJobStatus=status,
            HyperParameterTuningEndTime=time.time(),
            FailureReason=reason and reason[:1024],
        )


def _transitions(trial: dict) -> list[dict]:
    """What a training of a search has gone through; there is no Downloading, as the search's data are brought once."""
    began, ended = _seconds(trial["started"]), _seconds(trial["ended"])
    steps = [(status, began) for status in ("Starting", "Training") if began]
    if trial["status"] != "InProgress" and ended:
        steps += [
            (status, ended)
            for status in (("Uploading",) if trial["status"] != "Failed" else ())
            + (trial["status"],)
        ]
    until = [moment for _, moment in steps[1:]] + ([ended] if ended else [])
    return [
        {
            "Status": status,
            "StartTime": moment,
            **({"EndTime": until[number]} if number < len(until) else {}),
        }
        for number, (status, moment) in enumerate(steps)
    ]


def _seconds(moment: str | None) -> float | None:
    return datetime.datetime.fromisoformat(moment).timestamp() if moment else None
