"""One tuning job as it runs: `python -m tune` on a recipe made of the request.

Its trials are shown as training jobs. A search goes on when the server comes again.
"""

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from local_sagemaker import channels, objects, training, training_run, trial_records
from local_sagemaker.job_ends import CLOSING, REASON_LENGTH, internal_error
from local_sagemaker.logs import Stream
from local_sagemaker.platform import Platform
from local_sagemaker.record import Record
from local_sagemaker.trial_logs import TrialLogs
from local_sagemaker.tuning_recipe import parents, recipe
from runtime import opt_ml, processes
from runtime.engine_facts import PROCESS
from runtime.errors import RunError

log = logging.getLogger(__name__)
KIND = "hyper-parameter-tuning-job"
LOOK_S = 0.5  # between two looks at what tune has written
OUTPUT_S = 5  # for the last lines of output, after the end of the process


class TuningRun(threading.Thread):
    """The thread of one tuning job."""

    def __init__(self, platform: Platform, record: Record) -> None:
        self.job = record
        self.platform = platform
        self.name_of_job: str = record["HyperParameterTuningJobName"]
        super().__init__(name=f"tuning {self.name_of_job}", daemon=True)
        self.folder = platform.work / KIND / self.name_of_job
        self.trials = self.folder / "out" / "trials" / self.name_of_job
        self.results = results_file(platform, self.name_of_job)
        self.halted: str | None = None
        self._logs = TrialLogs(platform.logs, self.trials, record["Region"])
        self._process: subprocess.Popen[bytes] | None = None
        self._last_line = "tune printed nothing"
        self._ended = self._ended_before()

    def run(self) -> None:
        try:
            self._run()
        except (objects.ObjectError, RunError) as error:
            self._end("Failed", f"ClientError: {error}")
        except Exception as error:  # a fault of this server's own
            log.exception("tuning %s", self.name_of_job)
            self._end("Failed", internal_error(error))
        finally:
            if self.halted != CLOSING:
                shutil.rmtree(self.folder, ignore_errors=True)
            self.platform.ended(KIND, self.name_of_job)

    def halt(self, why: str) -> None:
        """End the search; trainings that run end early. Returns at once.

        CLOSING: only until the next server goes on.
        """
        self.halted = self.halted or why
        if why != CLOSING:
            status = {"HyperParameterTuningJobStatus": "Stopping"}
            self.platform.store.change(KIND, self.name_of_job, **status)
        if self._process and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)

    def _ended_before(self) -> set[str]:
        """Trials that have ended; none, unless an earlier server began the job."""
        mine = self.job["HyperParameterTuningJobArn"]
        return {
            child["TrainingJobName"]
            for child in self.platform.store.all(training_run.KIND)
            if child.get("TuningJobArn") == mine
            and child["TrainingJobStatus"] != trial_records.RUNNING
        }

    def _run(self) -> None:
        given = self.folder / "recipe.yaml"
        # The recipe is written last: with it, an earlier server brought all of the data.
        if not given.is_file():
            self._bring(given)
        environment = self._environment()
        command = self._command(given)
        for name in environment:
            command += ["--env", name]
        process = processes.start(command, environment=os.environ | environment)
        self._process = process
        processes.remember(self.platform.folder, process.pid, self.folder)
        if self.halted:  # while it was started
            process.send_signal(signal.SIGTERM)
        printed = self.platform.logs.stream("TuningJobs", self.name_of_job, self.job["Region"])
        reader = threading.Thread(target=self._read, args=(process, printed), daemon=True)
        reader.start()
        while process.poll() is None:
            self._look()
            time.sleep(LOOK_S)
        reader.join(timeout=OUTPUT_S)
        printed.close()
        self._look()  # at what it wrote between the last look and its end
        if self.halted == CLOSING:
            return  # the record stays InProgress: the next server goes on
        if self.halted:
            self._end("Stopped")
        elif process.returncode:
            self._end("Failed", f"AlgorithmError: {self._last_line}")
        else:
            self._end("Completed")

    def _bring(self, given: Path) -> None:
        """The search's data and its recipe. ObjectError when S3 cannot be read."""
        data = self.folder / "data"
        shutil.rmtree(data, ignore_errors=True)
        data.mkdir(parents=True)  # a search need not have a channel
        inputs = self.job["TrainingJobDefinition"].get("InputDataConfig", [])
        channels.fill(inputs, data, rank=0, hosts=1)
        given.write_text(json.dumps(recipe(self.job)), encoding="utf-8")  # JSON is YAML

    def _command(self, given: Path) -> list[str]:
        """The command line of tune. RunError when the training image is not there."""
        engine = self.platform.container_engine
        algorithm = self.job["TrainingJobDefinition"]["AlgorithmSpecification"]
        image = engine.find_image(algorithm["TrainingImage"], "train")
        command = [sys.executable, "-m", "tune", str(given), "--keep"]
        command += ["--data", str(self.folder / "data"), "--out", str(self.folder / "out")]
        if engine.name != PROCESS:
            command += ["--engine", "container", "--image", image]
        else:
            command += ["--engine", "process"]
        for parent in parents(self.job):
            command += ["--parents", str(results_file(self.platform, parent))]
        return command

    def _environment(self) -> dict[str, str]:
        """The variables of the trainings' containers, beside those of a single training."""
        definition = self.job["TrainingJobDefinition"]
        access = self.platform.container_environment
        if definition.get("EnableNetworkIsolation", False):
            access = {}
        # The request's own come last: they win, as on SageMaker.
        own = definition.get("Environment", {})
        return {"AWS_REGION": self.job["Region"], **access, **own}

    def _read(self, process: subprocess.Popen[bytes], printed: Stream) -> None:
        for line in processes.lines(process):
            self._last_line = line.rstrip()
            printed.line(self._last_line)

    def _look(self) -> None:
        """Bring the records up to what tune has written."""
        found = self.folder / "out" / "tuning.json"
        if not found.is_file():
            return
        text = found.read_text(encoding="utf-8")
        jobs = {entry["name"]: entry for entry in json.loads(text)["tuning_jobs"]}
        job = jobs.get(self.name_of_job)
        if job is None:
            return
        self.results.parent.mkdir(parents=True, exist_ok=True)
        self.results.write_text(text, encoding="utf-8")
        for trial in job["trials"]:
            if trial["name"] not in self._ended:
                self._show(trial)
        self.platform.store.change(KIND, self.name_of_job, **trial_records.counters(job))

    def _show(self, trial: Record) -> None:
        """A trial as a training job."""
        name = trial["name"]
        ended = trial["status"] != trial_records.RUNNING
        self._logs.take(name, ended)
        if self.platform.store.find(training_run.KIND, name) is None:
            training.adopt(self.platform, trial_records.first_record(self.job, trial))
        fields = trial_records.fields_now(self.job, trial)
        if ended:
            fields["ModelArtifacts"] = self._upload(name)
        self.platform.store.change(training_run.KIND, name, **fields)
        if ended:
            self._ended.add(name)

    def _upload(self, name: str) -> Record | None:
        """Send a trial's model.tar.gz, if it left a model; then the model goes."""
        tree = self.trials / name
        model = tree / "model"
        target = None
        if not model.is_symlink() and model.is_dir() and any(model.iterdir()):
            output = self.job["TrainingJobDefinition"]["OutputDataConfig"]["S3OutputPath"]
            target = objects.joined(output, name, "output", "model.tar.gz")
            archive = self.folder / f"{name}.tar.gz"
            opt_ml.pack_model(tree, archive)
            objects.put(archive.parent, archive.name, target)
            archive.unlink()
        shutil.rmtree(model, ignore_errors=True)  # a search of many trials would fill the disk
        if target is None:
            return None
        return {"S3ModelArtifacts": target}

    def _end(self, status: str, reason: str | None = None) -> None:
        if reason is not None:
            reason = reason[:REASON_LENGTH]
        self.platform.store.change(
            KIND,
            self.name_of_job,
            HyperParameterTuningJobStatus=status,
            HyperParameterTuningEndTime=time.time(),
            FailureReason=reason,
        )


def results_file(platform: Platform, name: str) -> Path:
    """Where a tuning job's results stay, for the jobs that start from it."""
    return platform.folder / "tunings" / f"{name}.json"
