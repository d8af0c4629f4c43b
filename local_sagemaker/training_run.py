"""One training job as it runs: Starting, Downloading, Training, Uploading, and how it ended.

It reads and writes the job's record, and knows nothing of the requests that made it.
"""

import logging
import shutil
import threading
import time
from pathlib import Path

from local_sagemaker import channels, objects, rules
from local_sagemaker.checkpoints import EVERY_S, Checkpoints
from local_sagemaker.metrics import Measures
from local_sagemaker.platform import Platform
from runtime import opt_ml
from runtime.container_engine import RunSpec
from runtime.errors import RunError
from runtime.instances import Instance, stop_all
from runtime.timeouts import TRAIN_STOP_S

log = logging.getLogger(__name__)
KIND = "training-job"
STOP, RUNTIME, WAIT, SPOT, CLOSING = (
    "Stopped",
    "MaxRuntimeExceeded",
    "MaxWaitTimeExceeded",
    "Interrupted",
    "closing",
)
ENDS = {
    STOP: "Training job stopped",
    RUNTIME: "Training job runtime exceeded MaxRuntimeInSeconds provided",
    WAIT: "Training job exceeded MaxWaitTimeInSeconds provided",
}
REASON_LENGTH, CLOSING_STOP_S = 1024, 2  # nothing of a job is kept when the server ends
FOLDERS = (
    ("DebugHookConfig", "/opt/ml/output/tensors", "debug-output"),
    ("TensorBoardOutputConfig", "/opt/ml/output/tensorboard", "tensorboard-output"),
)


class Failed(Exception):
    """The job's FailureReason."""


class TrainingRun(threading.Thread):
    """The thread of one job, from InProgress to its end."""

    def __init__(self, platform: Platform, record: dict):
        self.name_of_job, self.job, self.platform = record["TrainingJobName"], record, platform
        super().__init__(name=f"training {self.name_of_job}", daemon=True)
        self.folder = platform.work / KIND / self.name_of_job
        self.count = record["ResourceConfig"].get("InstanceCount", 1)
        self.hosts = platform.container_engine.hosts(self.count)
        self.measures = Measures(record["AlgorithmSpecification"].get("MetricDefinitions", []))
        self.machines: list[Instance] = []
        self.checkpoints: list[Checkpoints] = []
        self.halted: str | None = None  # why it is being stopped
        self.started_s = self.trained_s = 0.0

    def run(self) -> None:
        try:
            self._run()
        except (Failed, RunError, objects.ObjectError) as error:
            prefix = {
                "ObjectError": "ClientError: Data download failed:",
                "RunError": "ClientError: ",
            }.get(type(error).__name__, "")
            self._end(
                "Failed",
                "Failed",
                "Training job failed",
                FailureReason=f"{prefix}{error}"[:REASON_LENGTH],
            )
        except (
            Exception
        ) as error:  # a fault of this server's own must be seen in the job, not only in the log
            log.exception("training %s", self.name_of_job)
            self._end(
                "Failed",
                "Failed",
                "Training job failed",
                FailureReason=f"InternalServerError: {type(error).__name__}: {error}"[
                    :REASON_LENGTH
                ],
            )
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)
            self.platform.ended(KIND, self.name_of_job)

    def halt(self, why: str) -> None:
        """Stop it: SIGTERM, and SIGKILL 120 s later. Returns at once; the first reason counts."""
        if self.halted is None:
            self.halted = why
            if why == STOP:
                self._say("Stopping", "Stopping the training job", TrainingJobStatus="Stopping")
            threading.Thread(
                target=stop_all,
                args=(list(self.machines), CLOSING_STOP_S if why == CLOSING else TRAIN_STOP_S),
                daemon=True,
            ).start()

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
            raise Failed("InternalServerError: the local server was stopped while the job ran")
        self._say("Uploading", "Uploading generated training model")
        completed = code == 0 or self.halted is not None
        self._upload(completed)
        if self.halted:
            self._end("Stopped", self.halted, ENDS[self.halted])
        elif code:
            raise Failed(f"AlgorithmError: {self._failure(host)}, exit code: {code}")
        else:
            self._end("Completed", "Completed", "Training job completed")
        self.platform.logs.flush()
        rules.judge(self.platform, self.name_of_job, self._root(self.hosts[0]))

    def _attempt(self) -> tuple[int, str]:
        """From empty folders to the end of the containers: the exit code, and whose it is."""
        for host in self.hosts:
            opt_ml.make_folders(self._root(host))
            opt_ml.configure(
                self._root(host),
                self.job.get("HyperParameters", {}),
                channels.configuration(self.job.get("InputDataConfig", [])),
                host,
                tuple(self.hosts),
                self.job["ResourceConfig"].get("InstanceType", "local"),
                self.platform.container_engine.interface,
                self._more(),
            )
        self.platform.container_engine.find_image(
            self.job["AlgorithmSpecification"]["TrainingImage"], "train"
        )
        if self.halted is None:
            self._say("Downloading", "Downloading input data")
            self._download()
        if self.halted is not None:
            return 0, self.hosts[0]
        self._say(
            "Training",
            "Training image download completed. Training in progress.",
            TrainingStartTime=self.job.get("TrainingStartTime") or time.time(),
        )
        self.job["TrainingStartTime"] = self.platform.store.find(KIND, self.name_of_job)[
            "TrainingStartTime"
        ]
        began = time.monotonic()
        isolated = self.job.get("EnableNetworkIsolation", False)
        network = (
            self.platform.container_engine.make_network(f"slipway-{self.name_of_job}", isolated)
            if self.count > 1
            else "none"
            if isolated
            else None
        )
        try:
            return self._train(network)
        finally:
            stop_all(self.machines, TRAIN_STOP_S)
            self.machines = []
            self.trained_s += time.monotonic() - began
            if self.count > 1 and network:
                self.platform.container_engine.remove_network(network)
            for synced in self.checkpoints:
                synced.send()

    def _more(self) -> dict[str, dict]:
        """The configuration files that are there only when the request has such a part."""
        names = {
            "checkpointconfig": "CheckpointConfig",
            "debughookconfig": "DebugHookConfig",
            "tensorboardoutputconfig": "TensorBoardOutputConfig",
            "profilerconfig": "ProfilerConfig",
        }
        more = {file: self.job[part] for file, part in names.items() if self.job.get(part)}
        if "debughookconfig" in more:
            more["debughookconfig"] = {
                "LocalPath": "/opt/ml/output/tensors",
                "HookParameters": None,
                "CollectionConfigurations": None,
                "DebugHookSpecification": None,
                **more["debughookconfig"],
            }
        return more | {
            "init-config": {
                "inputMode": self.job["AlgorithmSpecification"].get("TrainingInputMode", "File"),
                "channels": sorted(
                    channel["ChannelName"] for channel in self.job.get("InputDataConfig", [])
                ),
            }
        }

    def _download(self) -> None:
        self.checkpoints = []
        for rank, host in enumerate(self.hosts):
            root = self._root(host)
            channels.fill(
                self.job.get("InputDataConfig", []), root / "input" / "data", rank, len(self.hosts)
            )
            if config := self.job.get("CheckpointConfig"):
                synced = Checkpoints(
                    self._below(host, config.get("LocalPath", "/opt/ml/checkpoints")),
                    config["S3Uri"],
                )
                synced.fetch()
                self.checkpoints.append(synced)

    def _train(self, network: str | None) -> tuple[int, str]:
        """Start the hosts and wait until all have ended, or one has failed."""
        algorithm = self.job["AlgorithmSpecification"]
        environment = {
            "TRAINING_JOB_NAME": self.name_of_job,
            "TRAINING_JOB_ARN": self.job["TrainingJobArn"],
            "AWS_REGION": self.job["Region"],
            **self.platform.container_engine.rendezvous(self.count),
            **self.job.get("Environment", {}),
        }
        streams = []
        for host in self.hosts:
            stream = self.platform.logs.stream(
                "TrainingJobs", f"{self.name_of_job}/{host}-{int(time.time())}", self.job["Region"]
            )
            streams.append(stream)
            self.machines.append(
                self.platform.container_engine.start(
                    RunSpec(
                        algorithm["TrainingImage"],
                        "train",
                        self._root(host),
                        environment,
                        tuple(algorithm.get("ContainerEntrypoint", ())),
                        tuple(algorithm.get("ContainerArguments", ())),
                        host if "algo" in host else "",
                        network,
                    ),
                    self._listener(stream),
                )
            )
        if self.halted is not None:
            stop_all(self.machines, TRAIN_STOP_S)
        try:
            return self._wait()
        finally:
            for stream in streams:
                stream.close()

    def _listener(self, stream):
        def on_line(line: str) -> None:
            stream.line(line)
            self.measures.read(line)

        return on_line

    def _wait(self) -> tuple[int, str]:
        limits = self.job["StoppingCondition"]
        run_s, next_sync = limits.get("MaxRuntimeInSeconds", 86400), time.monotonic() + EVERY_S
        deadline = time.monotonic() + max(0.0, run_s - self.trained_s)
        wait_s = (
            limits.get("MaxWaitTimeInSeconds")
            if self.job.get("EnableManagedSpotTraining")
            else None
        )
        while True:
            codes = [machine.code() for machine in self.machines]
            for code, host in zip(codes, self.hosts):
                if code:
                    return code, host
            if all(code == 0 for code in codes):
                return 0, self.hosts[0]
            if time.monotonic() > deadline:
                self.halt(RUNTIME)
            if wait_s and time.time() - self.started_s > wait_s:
                self.halt(WAIT)
            if time.monotonic() > next_sync:
                for synced in self.checkpoints:
                    synced.send()
                next_sync = time.monotonic() + EVERY_S
            time.sleep(0.05)

    def _upload(self, completed: bool) -> None:
        """What the containers left, to S3. The folders of several hosts are laid over one another, as SageMaker does."""
        output = objects.joined(
            self.job["OutputDataConfig"]["S3OutputPath"], self.name_of_job, "output"
        )
        compressed = self.job["OutputDataConfig"].get("CompressionType", "GZIP") == "GZIP"
        for name, part in (("model", "model"), ("output", "output/data")):
            if name == "model" and not completed:
                continue
            folder = self._together(part)
            if not any(folder.iterdir()):
                continue
            if compressed:
                archive = self.folder / f"{name}.tar.gz"
                opt_ml.pack(folder, archive)
                objects.put(archive, objects.joined(output, archive.name))
            else:
                objects.put_all(folder, objects.joined(output, name))
            if name == "model":
                artifact = objects.joined(output, "model.tar.gz" if compressed else "model/")
                self.platform.store.change(
                    KIND, self.name_of_job, ModelArtifacts={"S3ModelArtifacts": artifact}
                )
        self._upload_folders()

    def _upload_folders(self) -> None:
        """Tensors, events and profile."""
        wanted = [
            (self.job[part], default, name) for part, default, name in FOLDERS if self.job.get(part)
        ]
        profiler = self.job.get("ProfilerConfig", {})
        if profiler.get("S3OutputPath") and not profiler.get("DisableProfiler"):
            wanted.append(
                (
                    profiler,
                    profiler.get("ProfilingParameters", {}).get(
                        "LocalPath", "/opt/ml/output/profiler"
                    ),
                    "profiler-output",
                )
            )
        for config, default, name in wanted:
            for host in self.hosts:
                folder = self._below(host, config.get("LocalPath", default))
                if folder.is_dir():
                    objects.put_all(
                        folder, objects.joined(config["S3OutputPath"], self.name_of_job, name)
                    )

    def _together(self, part: str) -> Path:
        if len(self.hosts) == 1:
            return self._root(self.hosts[0]) / part
        folder = self.folder / "together" / part
        for host in self.hosts:
            shutil.copytree(self._root(host) / part, folder, dirs_exist_ok=True)
        return folder

    def _failure(self, host: str) -> str:
        path = self._root(host) / "output" / "failure"
        return path.read_text(encoding="utf-8", errors="replace").strip() if path.is_file() else ""

    def _root(self, host: str) -> Path:
        return self.folder / host / "ml"

    def _below(self, host: str, path: str) -> Path:
        """A path of the container's, in the tree that is /opt/ml there."""
        return self._root(host) / Path(path).relative_to("/opt/ml")

    def _say(self, secondary: str, message: str, **fields: object) -> None:
        """The next secondary status; nothing after the end, and no Stopping undone."""
        now = time.time()
        with self.platform.store.changing(KIND, self.name_of_job) as record:
            transitions = record.setdefault("SecondaryStatusTransitions", [])
            if transitions:
                transitions[-1].setdefault("EndTime", now)
            transitions.append({"Status": secondary, "StartTime": now, "StatusMessage": message})
            record.update(SecondaryStatus=secondary, **fields)

    def _end(self, status: str, secondary: str, message: str, **fields: object) -> None:
        """The last status, the times, the metrics."""
        now = time.time()
        seconds = round(self.trained_s)
        if self.trained_s:
            fields |= {"TrainingTimeInSeconds": seconds, "BillableTimeInSeconds": seconds}
        self._say(
            secondary,
            message,
            TrainingJobStatus=status,
            TrainingEndTime=now,
            FinalMetricDataList=self.measures.final(),
            **fields,
        )
        with self.platform.store.changing(KIND, self.name_of_job) as record:
            if record:
                record["SecondaryStatusTransitions"][-1]["EndTime"] = now
