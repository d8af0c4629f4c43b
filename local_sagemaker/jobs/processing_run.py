"""One processing job as it runs: its inputs from S3, its containers, its outputs to S3.

Source of the files in a container: developer guide, "Build Your Own Processing Container".
"""

import json
import logging
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

from local_sagemaker import objects
from local_sagemaker.job_ends import (
    CLOSING,
    SERVER_STOPPED,
    JobFailed,
    algorithm_failed,
    failure_reason,
    uploading,
)
from local_sagemaker.jobs import channels
from local_sagemaker.jobs.checkpoints import EVERY_S, Checkpoints
from local_sagemaker.jobs.host_usage import HostUsage
from local_sagemaker.jobs.training_hosts import part_of
from local_sagemaker.logs import Stream
from local_sagemaker.objects import ObjectError
from local_sagemaker.platform import Platform
from local_sagemaker.record import Record
from runtime import job_tree
from runtime.container_engine import PROCESSING, RunSpec
from runtime.errors import RunError
from runtime.instances import Instance, stop_all
from runtime.timeouts import TRAIN_STOP_S

log = logging.getLogger(__name__)
KIND = "processing-job"
STOP = "Stopped"
RUNTIME = "MaxRuntimeExceeded"
DEFAULT_RUNTIME_S = 86400  # CreateProcessingJob, StoppingCondition
CLOSING_STOP_S = 2  # nothing of a job is kept when the server ends
LOOK_S = 0.05  # between two looks at the containers
MESSAGE_BYTES = 1024  # of output/message, which becomes ExitMessage
# Fields of the request that the containers find in their configuration.
CONFIGURATION = (
    *("ProcessingJobArn", "ProcessingJobName", "AppSpecification", "Environment"),
    *("ProcessingInputs", "ProcessingOutputConfig", "ProcessingResources", "RoleArn"),
    "StoppingCondition",
)


class ProcessingRun(threading.Thread):
    """The thread of one job, from InProgress to its end."""

    def __init__(self, platform: Platform, record: Record) -> None:
        self.job = record
        self.platform = platform
        self.name_of_job: str = record["ProcessingJobName"]
        super().__init__(name=f"processing {self.name_of_job}", daemon=True)
        self.folder = platform.work / KIND / self.name_of_job
        count: int = record["ProcessingResources"]["ClusterConfig"]["InstanceCount"]
        self.hosts = platform.container_engine.hosts(count)
        self.halted: str | None = None
        self._last_line = ""
        self._instances: list[Instance] = []
        self._streams: list[Stream] = []
        self._continuous: list[Checkpoints] = []
        self._network: str | None = None
        self._usage: HostUsage | None = None

    def run(self) -> None:
        try:
            self._run()
        except (JobFailed, RunError, ObjectError) as error:
            self._end("Failed", failure_reason(error))
        except Exception as error:  # a fault of this server's own
            log.exception("processing %s", self.name_of_job)
            self._end("Failed", failure_reason(error))
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)
            self.platform.ended(KIND, self.name_of_job)

    def halt(self, why: str) -> None:
        """Stop it: SIGTERM, and SIGKILL later. Returns at once; the first reason counts."""
        if self.halted is not None:
            return
        self.halted = why
        if why == STOP:
            self.platform.store.change(KIND, self.name_of_job, ProcessingJobStatus="Stopping")
        grace_s = CLOSING_STOP_S if why == CLOSING else TRAIN_STOP_S
        stop = (list(self._instances), grace_s)
        threading.Thread(target=stop_all, args=stop, daemon=True).start()

    def _run(self) -> None:
        for rank, host in enumerate(self.hosts):
            self._lay_out(host)
            self._download(host, rank)
        self.platform.store.change(KIND, self.name_of_job, ProcessingStartTime=time.time())
        code = 0
        try:
            if self.halted is None:
                self._start()
                code = self._wait()
        finally:
            self._clear()
        if self.halted == CLOSING:
            raise JobFailed(SERVER_STOPPED)
        if self.halted:
            self._end("Stopped", RUNTIME if self.halted == RUNTIME else None)
        elif code:
            raise algorithm_failed(self._last_line, code)
        else:
            self._upload()
            self._end("Completed")

    def _root(self, host: str) -> Path:
        """The tree that is /opt/ml on a host."""
        root: Path = self.folder / host / "ml"
        return root

    def _lay_out(self, host: str) -> None:
        config = self._root(host) / "config"
        config.mkdir(parents=True)
        (self._root(host) / "output").mkdir()
        for given in self._outputs():
            (self._root(host) / part_of(given["LocalPath"])).mkdir(parents=True, exist_ok=True)
        job = {name: self.job[name] for name in CONFIGURATION if name in self.job}
        (config / "processingjobconfig.json").write_text(json.dumps(job), encoding="utf-8")
        resources = {"current_host": host, "hosts": self.hosts}
        (config / "resourceconfig.json").write_text(json.dumps(resources), encoding="utf-8")

    def _download(self, host: str, rank: int) -> None:
        for given in self.job.get("ProcessingInputs", []):
            source = given["S3Input"]
            folder = self._root(host) / part_of(source["LocalPath"])
            is_packed = source.get("S3CompressionType") == "Gzip"
            channels.fill_folder(source, folder, rank, len(self.hosts), is_packed)

    def _start(self) -> None:
        engine = self.platform.container_engine
        isolated = self.job.get("NetworkConfig", {}).get("EnableNetworkIsolation", False)
        if len(self.hosts) > 1:
            self._network = engine.make_network(f"slipway-{self.name_of_job}", isolated)
        elif isolated:
            self._network = "none"  # Docker's network without any interface but the loopback
        access = {} if isolated else self.platform.container_environment
        environment = {
            "AWS_REGION": self.job["Region"],
            "PROCESSING_JOB_NAME": self.name_of_job,
            **access,
            **self.job.get("Environment", {}),
        }
        for host in self.hosts:
            name = f"{self.name_of_job}/{host}-{int(time.time())}"
            stream = self.platform.logs.stream("ProcessingJobs", name, self.job["Region"])
            self._streams.append(stream)
            spec = self._spec(host, environment)
            self._instances.append(engine.start(spec, self._listener(stream)))
        pids = [instance.processes for instance in self._instances]
        hosts = dict(zip(self.hosts, pids, strict=True))
        self._usage = HostUsage(self.name_of_job, hosts, self.platform.processing_usage)
        self._usage.start()
        for given in self._outputs():
            if given.get("S3UploadMode") == "Continuous":
                self._continuous += [
                    Checkpoints(self._root(host), part_of(given["LocalPath"]), given["S3Uri"])
                    for host in self.hosts
                ]

    def _spec(self, host: str, environment: dict[str, str]) -> RunSpec:
        program = self.job["AppSpecification"]
        return RunSpec(
            program["ImageUri"],
            PROCESSING,
            self._root(host),
            environment,
            entrypoint=tuple(program.get("ContainerEntrypoint", ())),
            arguments=tuple(program.get("ContainerArguments", ())),
            host=host if "algo" in host else "",  # an address is a process's host
            network=self._network,
        )

    def _listener(self, stream: Stream) -> Callable[[str], None]:
        def listen(line: str) -> None:
            stream.line(line)
            self._last_line = line.strip() or self._last_line

        return listen

    def _wait(self) -> int:
        """Wait until all hosts have ended, or one has failed: its exit code."""
        limits = self.job.get("StoppingCondition", {})
        deadline = time.monotonic() + limits.get("MaxRuntimeInSeconds", DEFAULT_RUNTIME_S)
        next_send = time.monotonic() + EVERY_S
        while True:
            codes = [instance.code() for instance in self._instances]
            if any(codes):
                return next(code for code in codes if code)
            if all(code == 0 for code in codes):
                return 0
            if time.monotonic() > deadline:
                self.halt(RUNTIME)
            if time.monotonic() > next_send:
                self._send_continuous()
                next_send = time.monotonic() + EVERY_S
            time.sleep(LOOK_S)

    def _send_continuous(self) -> None:
        for output in self._continuous:
            output.send()

    def _clear(self) -> None:
        """Stop what is left; take links away that lead out; send what goes to S3 as it comes."""
        if self._usage:
            self._usage.end()
        stop_all(list(self._instances), TRAIN_STOP_S)
        for stream in self._streams:
            stream.close()
        if self._network and self._network != "none":
            self.platform.container_engine.remove_network(self._network)
        for host in self.hosts:
            job_tree.drop_outward_links(self._root(host))
        self._send_continuous()

    def _upload(self) -> None:
        for given in self._outputs():
            if given.get("S3UploadMode") == "Continuous":
                continue
            for host in self.hosts:
                with uploading():
                    objects.put_all(self._root(host), part_of(given["LocalPath"]), given["S3Uri"])

    def _outputs(self) -> list[Record]:
        config = self.job.get("ProcessingOutputConfig", {})
        return [given["S3Output"] for given in config.get("Outputs", [])]

    def _message(self) -> str | None:
        """What the program left in output/message on its first host; None without it."""
        root = self._root(self.hosts[0])
        try:
            with job_tree.open_inside(root, "output/message") as file:
                return file.read(MESSAGE_BYTES).decode("utf-8", errors="replace") or None
        except OSError:
            return None

    def _end(self, status: str, reason: str | None = None) -> None:
        self.platform.store.change(
            KIND,
            self.name_of_job,
            ProcessingJobStatus=status,
            ProcessingEndTime=time.time(),
            ExitMessage=self._message(),
            FailureReason=reason,
        )
