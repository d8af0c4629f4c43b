"""One tuning job as it runs: `python -m tune` on a recipe made of the request.

tune keeps the study; its trials are training jobs of this server (trials.py). A search goes on when
the server comes again.
"""

import json
import logging
import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from local_sagemaker.job_ends import CLOSING, REASON_LENGTH, internal_error
from local_sagemaker.logs import Stream
from local_sagemaker.platform import Platform
from local_sagemaker.record import Record
from local_sagemaker.tuning import trials
from local_sagemaker.tuning.tuning_recipe import parents, recipe
from runtime import processes
from runtime.errors import RunError

log = logging.getLogger(__name__)
KIND = "hyper-parameter-tuning-job"
OUTPUT_S = 5  # for the last lines of output, after the end of the process


class TuningRun(threading.Thread):
    """The thread of one tuning job."""

    def __init__(self, platform: Platform, record: Record) -> None:
        self.job = record
        self.platform = platform
        self.name_of_job: str = record["HyperParameterTuningJobName"]
        super().__init__(name=f"tuning {self.name_of_job}", daemon=True)
        self.folder = platform.work / KIND / self.name_of_job
        self.halted: str | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._last_line = "tune printed nothing"

    def run(self) -> None:
        try:
            self._run()
        except (OSError, RunError) as error:
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

    def _run(self) -> None:
        given = self.folder / "recipe.yaml"
        self.folder.mkdir(parents=True, exist_ok=True)
        given.write_text(json.dumps(recipe(self.job)), encoding="utf-8")  # JSON is YAML
        environment = os.environ | self.platform.own_environment
        process = processes.start(self._command(given), environment=environment)
        self._process = process
        processes.remember(self.platform.folder, process.pid, self.folder)
        if self.halted:  # while it was started
            process.send_signal(signal.SIGTERM)
        printed = self.platform.logs.stream("TuningJobs", self.name_of_job, self.job["Region"])
        reader = threading.Thread(target=self._read, args=(process, printed), daemon=True)
        reader.start()
        process.wait()
        reader.join(timeout=OUTPUT_S)
        printed.close()
        if self.halted == CLOSING:
            return  # the record stays InProgress: the next server goes on
        trials.halt_all(self.platform, self.job)  # of workers that were killed
        self._keep_results()
        if self.halted:
            self._end("Stopped")
        elif process.returncode:
            self._end("Failed", f"AlgorithmError: {self._last_line}")
        else:
            self._end("Completed")

    def _command(self, given: Path) -> list[str]:
        """The command line of tune, which runs trial.py for each trial."""
        trial = [sys.executable, "-m", "local_sagemaker.tuning.trial", self.name_of_job]
        command = [sys.executable, "-m", "tune", str(given), "--out", str(self.folder / "out")]
        command += ["--engine", "command", "--command", shlex.join(trial)]
        for parent in parents(self.job):
            command += ["--parents", str(results_file(self.platform, parent))]
        return command

    def _read(self, process: subprocess.Popen[bytes], printed: Stream) -> None:
        for line in processes.lines(process):
            self._last_line = line.rstrip()
            printed.line(self._last_line)

    def _keep_results(self) -> None:
        """tune's results stay, for the jobs that start from this one."""
        found = self.folder / "out" / "tuning.json"
        if found.is_file():
            results = results_file(self.platform, self.name_of_job)
            results.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(found, results)

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
