"""One training job as it runs: Starting, Downloading, Training, Uploading, and how it ended.

It reads and writes the job's record, and knows nothing of the requests that made it.
"""

import logging
import shutil
import threading
import time

from local_sagemaker.job_ends import (
    CLOSING,
    SERVER_STOPPED,
    JobFailed,
    algorithm_failed,
    failure_reason,
    uploading,
)
from local_sagemaker.jobs import rules, training_output
from local_sagemaker.jobs.checkpoints import EVERY_S
from local_sagemaker.jobs.metrics import JobMetrics
from local_sagemaker.jobs.training_hosts import TrainingHosts
from local_sagemaker.objects import ObjectError
from local_sagemaker.platform import Platform
from local_sagemaker.record import Record
from runtime.errors import RunError
from runtime.timeouts import TRAIN_STOP_S

log = logging.getLogger(__name__)
KIND = "training-job"

# Why a job is stopped. The first three are also values of SecondaryStatus.
STOP = "Stopped"
RUNTIME = "MaxRuntimeExceeded"
WAIT = "MaxWaitTimeExceeded"
SPOT = "Interrupted"
ENDS = {
    STOP: "Training job stopped",
    RUNTIME: "Training job runtime exceeded MaxRuntimeInSeconds provided",
    WAIT: "Training job exceeded MaxWaitTimeInSeconds provided",
}
CLOSING_STOP_S = 2  # nothing of a job is kept when the server ends
LOOK_S = 0.05  # between two looks at the containers
DEFAULT_RUNTIME_S = 86400  # CreateTrainingJob, StoppingCondition


class TrainingRun(threading.Thread):
    """The thread of one job, from InProgress to its end."""

    def __init__(self, platform: Platform, record: Record) -> None:
        self.job = record
        self.platform = platform
        self.name_of_job: str = record["TrainingJobName"]
        super().__init__(name=f"training {self.name_of_job}", daemon=True)
        self.folder = platform.work / KIND / self.name_of_job
        self.hosts = TrainingHosts(platform, record, self.folder)
        definitions = record["AlgorithmSpecification"].get("MetricDefinitions", [])
        self.metrics = JobMetrics(definitions, self._send_metric)
        self.halted: str | None = None  # why it is being stopped
        self._over = False
        self._ending = threading.Lock()  # held while it is decided how the job ends
        self.started_s = 0.0  # since the epoch
        self.trained_s = 0.0  # over all attempts

    def run(self) -> None:
        try:
            self._run()
        except (JobFailed, RunError, ObjectError) as error:
            self._fail(failure_reason(error))
        except Exception as error:  # a fault of this server's own
            log.exception("training %s", self.name_of_job)
            self._fail(failure_reason(error))
        finally:
            if self.halted != CLOSING:
                self.platform.logs.flush()
                self.platform.metric_data.flush()
                rules.judge(self.platform, self.name_of_job, self.hosts.root(self.hosts.names[0]))
            shutil.rmtree(self.folder, ignore_errors=True)
            self.platform.ended(KIND, self.name_of_job)

    def halt(self, why: str) -> None:
        """Stop it: SIGTERM, and SIGKILL 120 s later. Returns at once; the first reason counts."""
        with self._ending:
            if self.halted is not None or self._over:
                return
            self.halted = why
            if why == STOP:
                self._say("Stopping", "Stopping the training job", TrainingJobStatus="Stopping")
        grace_s = TRAIN_STOP_S
        if why == CLOSING:
            grace_s = CLOSING_STOP_S
        threading.Thread(target=self.hosts.stop, args=(grace_s,), daemon=True).start()

    def _run(self) -> None:
        self.started_s = time.time()
        self._say("Starting", "Preparing the instances for training")
        code, host = self._attempt()
        while self.halted == SPOT:
            self._say("Interrupted", "Training job interrupted: the spot instances were taken back")
            self.halted = None
            self._say("Starting", "Preparing the instances for training again")
            code, host = self._attempt()
        if self.halted == CLOSING:
            raise JobFailed(SERVER_STOPPED)
        # As on SageMaker, a stopped training's model is kept; of a failed one only the output.
        self._upload(with_model=code == 0 or self.halted is not None)
        if self.halted:
            self._end("Stopped", self.halted, ENDS[self.halted])
        elif code:
            raise algorithm_failed(self.hosts.failure(host), code)
        else:
            self._end("Completed", "Completed", "Training job completed")

    def _attempt(self) -> tuple[int, str]:
        """From empty folders to the end of the containers: the exit code, and its host."""
        self.hosts.lay_out()
        if self.halted is None:
            self._say("Downloading", "Downloading input data")
            self.hosts.download()
        if self.halted is not None:
            return 0, self.hosts.names[0]
        self._say(
            "Training",
            "Training image download completed. Training in progress.",
            TrainingStartTime=self.job.get("TrainingStartTime") or time.time(),
        )
        # The first attempt's time stays when a spot job starts again.
        record = self.platform.store.find(KIND, self.name_of_job) or {}
        self.job["TrainingStartTime"] = record["TrainingStartTime"]
        began = time.monotonic()
        try:
            self.hosts.start(self._read)
            if self.halted is not None:  # while the containers were started
                self.hosts.stop()
            return self._wait()
        finally:
            self.hosts.clear()
            self.trained_s += time.monotonic() - began

    def _send_metric(self, metric: Record) -> None:
        self.platform.metric_data.put(self.job["Region"], self.name_of_job, metric)
        self.platform.metric_history.put(self.name_of_job, metric)

    def _read(self, line: str) -> None:
        """A line that a host printed."""
        self.metrics.read(line)

    def _wait(self) -> tuple[int, str]:
        """Wait until all hosts have ended, or one has failed."""
        limits = self.job.get("StoppingCondition", {})
        now = time.monotonic()
        run_s = limits.get("MaxRuntimeInSeconds", DEFAULT_RUNTIME_S)
        # MaxRuntimeInSeconds counts all attempts of a spot job together.
        deadline = now + max(0.0, run_s - self.trained_s)
        next_sync = now + EVERY_S
        while True:
            codes = self.hosts.codes()
            for code, host in zip(codes, self.hosts.names, strict=True):
                if code:
                    return code, host
            if all(code == 0 for code in codes):
                return 0, self.hosts.names[0]
            if time.monotonic() > deadline:
                self.halt(RUNTIME)
            if self._waited_too_long(limits):
                self.halt(WAIT)
            if time.monotonic() > next_sync:
                self.hosts.send_checkpoints()
                next_sync = time.monotonic() + EVERY_S
            time.sleep(LOOK_S)

    def _waited_too_long(self, limits: Record) -> bool:
        """Whether a spot job is over its time, which counts from its creation, pauses included."""
        wait_s = limits.get("MaxWaitTimeInSeconds")
        if not self.job.get("EnableManagedSpotTraining") or not wait_s:
            return False
        return bool(time.time() - self.started_s > wait_s)

    def _upload(self, with_model: bool) -> None:
        self._say("Uploading", "Uploading generated training model")
        with uploading():
            model = training_output.upload(self.job, self.hosts, self.folder, with_model)
        if model:
            artifacts = {"S3ModelArtifacts": model}
            self.platform.store.change(KIND, self.name_of_job, ModelArtifacts=artifacts)

    def _say(self, secondary: str, message: str, **fields: object) -> None:
        """Note the next secondary status, with further fields of the record."""
        now = time.time()
        with self.platform.store.changing(KIND, self.name_of_job) as record:
            transitions = record.setdefault("SecondaryStatusTransitions", [])
            if transitions:
                transitions[-1].setdefault("EndTime", now)
            transitions.append({"Status": secondary, "StartTime": now, "StatusMessage": message})
            record.update(SecondaryStatus=secondary, **fields)

    def _fail(self, reason: str) -> None:
        self._end("Failed", "Failed", "Training job failed", FailureReason=reason)

    def _end(self, status: str, secondary: str, message: str, **fields: object) -> None:
        """The last status, the times, the metrics."""
        with self._ending:
            self._over = True
        now = time.time()
        if self.trained_s:
            seconds = round(self.trained_s)
            fields |= {"TrainingTimeInSeconds": seconds, "BillableTimeInSeconds": seconds}
        self._say(
            secondary,
            message,
            TrainingJobStatus=status,
            TrainingEndTime=now,
            FinalMetricDataList=self.metrics.final(),
            **fields,
        )
        with self.platform.store.changing(KIND, self.name_of_job) as record:
            if record:  # it may have been deleted
                record["SecondaryStatusTransitions"][-1]["EndTime"] = now
