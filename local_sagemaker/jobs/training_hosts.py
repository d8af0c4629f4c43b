"""The hosts of one training job: their /opt/ml trees, their data, their containers, their ends."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path

from local_sagemaker import objects
from local_sagemaker.jobs import channels, mlflow, system_sampler
from local_sagemaker.jobs.checkpoints import Checkpoints
from local_sagemaker.jobs.host_usage import HostUsage
from local_sagemaker.jobs.instance_groups import groups_of, host_count, hosts_of
from local_sagemaker.jobs.system_sampler import SystemSampler
from local_sagemaker.logs import Stream
from local_sagemaker.platform import Platform
from local_sagemaker.record import Record
from runtime import job_tree, opt_ml
from runtime.container_engine import RunSpec
from runtime.instances import Instance, stop_all
from runtime.timeouts import TRAIN_STOP_S

# Files of input/config that a host has only when the request has this part.
CONFIG_PARTS = {
    "checkpointconfig": "CheckpointConfig",
    "debughookconfig": "DebugHookConfig",
    "tensorboardoutputconfig": "TensorBoardOutputConfig",
    "profilerconfig": "ProfilerConfig",
}
# SageMaker writes all fields of this one, with null for those that a request leaves out.
DEBUG_HOOK_DEFAULTS = {
    "LocalPath": "/opt/ml/output/tensors",
    "HookParameters": None,
    "CollectionConfigurations": None,
    "DebugHookSpecification": None,
}


class TrainingHosts:
    """One container per host, all of them on the job's own network. folder: for their trees."""

    def __init__(self, platform: Platform, job: Record, folder: Path) -> None:
        self._engine = platform.container_engine
        self._logs = platform.logs
        self._platform = platform
        self._job = job
        self._folder = folder
        self.count = host_count(job["ResourceConfig"])
        self.names = self._engine.hosts(self.count)
        self._groups = groups_of(job["ResourceConfig"], self.names)
        self._instances: list[Instance] = []
        self._checkpoints: list[Checkpoints] = []
        self._streams: list[Stream] = []
        self._network: str | None = None
        self._sampler: SystemSampler | None = None
        self._usage: HostUsage | None = None

    def root(self, host: str) -> Path:
        """The tree that is /opt/ml on a host."""
        return self._folder / host / "ml"

    def together(self, part: str) -> Path:
        """A folder of all hosts, laid over one another, as SageMaker uploads them."""
        if self.count == 1:
            return self.root(self.names[0]) / part
        folder = self._folder / "together" / part
        for host in self.names:
            for name in job_tree.files_inside(self.root(host), part):
                target = folder / name
                target.parent.mkdir(parents=True, exist_ok=True)
                there = job_tree.open_inside(self.root(host), f"{part}/{name}")
                with there as content, open(target, "wb") as copy:
                    shutil.copyfileobj(content, copy)
        return folder

    def failure(self, host: str) -> str:
        """The reason that a host left in output/failure; "" without one."""
        return job_tree.failure(self.root(host))

    def lay_out(self) -> None:
        """Empty trees with their configuration. RunError when the training image is not there."""
        for host in self.names:
            given = self._channels_of(host)
            opt_ml.make_folders(self.root(host))
            opt_ml.configure(
                self.root(host),
                self._job.get("HyperParameters", {}),
                channels.configuration(given),
                host,
                self._groups,
                self._engine.interface,
                self._more_configuration(given),
            )
        self._engine.find_image(self._job["AlgorithmSpecification"]["TrainingImage"], "train")

    def _channels_of(self, host: str) -> list[Record]:
        """The channels that a host gets."""
        given = self._job.get("InputDataConfig", [])
        return [channel for channel in given if host in hosts_of(channel, self._groups)]

    def _more_configuration(self, given: list[Record]) -> dict[str, Record]:
        more: dict[str, Record] = {}
        for file, part in CONFIG_PARTS.items():
            if self._job.get(part):
                more[file] = self._job[part]
        if "debughookconfig" in more:
            more["debughookconfig"] = {**DEBUG_HOOK_DEFAULTS, **more["debughookconfig"]}
        more["init-config"] = {
            "inputMode": self._job["AlgorithmSpecification"].get("TrainingInputMode", "File"),
            "channels": sorted(channel["ChannelName"] for channel in given),
        }
        return more

    def download(self) -> None:
        """Channels and checkpoints from S3. ObjectError when they cannot be read."""
        self._checkpoints = []
        config = self._job.get("CheckpointConfig")
        given = self._job.get("InputDataConfig", [])
        for host in self.names:
            channels.fill(given, self.root(host) / "input" / "data", host, self._groups)
            if config:
                local = config.get("LocalPath", "/opt/ml/checkpoints")
                synced = Checkpoints(self.root(host), part_of(local), config["S3Uri"])
                synced.fetch()
                self._checkpoints.append(synced)

    def start(self, on_line: Callable[[str], None]) -> None:
        """Start the containers; on_line gets each line that any of them prints."""
        self._network = self._make_network()
        environment = {
            "TRAINING_JOB_NAME": self._job["TrainingJobName"],
            "TRAINING_JOB_ARN": self._job["TrainingJobArn"],
            "AWS_REGION": self._job["Region"],
            **self._access(),
            **self._engine.rendezvous(self.count),
            **self._threads(),
            **mlflow.environment(self._job, self._engine),
            # The request's own come last: they win, as on SageMaker.
            **self._job.get("Environment", {}),
        }
        for host in self.names:
            stream = self._stream(host)
            self._streams.append(stream)
            spec = self._spec(host, environment)
            self._instances.append(self._engine.start(spec, _listener(stream, on_line)))
        pids = [instance.processes for instance in self._instances]
        hosts = dict(zip(self.names, pids, strict=True))
        history = self._platform.training_usage
        self._usage = HostUsage(self._job["TrainingJobName"], hosts, history)
        self._usage.start()
        if system_sampler.is_wanted(self._job):
            self._sampler = SystemSampler(self._job, self._folder / "profile", hosts)
            self._sampler.start()

    def _access(self) -> dict[str, str]:
        """How the containers reach this server; nothing for those without a network."""
        if self._job.get("EnableNetworkIsolation", False):
            return {}
        return self._platform.container_environment

    def _threads(self) -> dict[str, str]:
        """A trial's share of the cores, which the search's other trials use, too."""
        threads = self._job.get("Share", {}).get("threads")
        return {"OMP_NUM_THREADS": threads} if threads else {}

    def _make_network(self) -> str | None:
        isolated = self._job.get("EnableNetworkIsolation", False)
        if self.count > 1:
            name = f"slipway-{self._job['TrainingJobName']}"
            return self._engine.make_network(name, isolated)
        if isolated:
            return "none"  # Docker's network without any interface but the loopback
        return None

    def _stream(self, host: str) -> Stream:
        name = f"{self._job['TrainingJobName']}/{host}-{int(time.time())}"
        return self._logs.stream("TrainingJobs", name, self._job["Region"])

    def _spec(self, host: str, environment: dict[str, str]) -> RunSpec:
        algorithm = self._job["AlgorithmSpecification"]
        return RunSpec(
            algorithm["TrainingImage"],
            "train",
            self.root(host),
            environment,
            entrypoint=tuple(algorithm.get("ContainerEntrypoint", ())),
            arguments=tuple(algorithm.get("ContainerArguments", ())),
            host=host if "algo" in host else "",  # an address is a process's host
            network=self._network,
            gpu=self._job.get("Share", {}).get("gpu", ""),
        )

    def codes(self) -> list[int | None]:
        """The exit code of each host; None while it runs."""
        return [instance.code() for instance in self._instances]

    def send_checkpoints(self) -> None:
        for synced in self._checkpoints:
            synced.send()

    def stop(self, grace_s: int = TRAIN_STOP_S) -> None:
        """SIGTERM to all, and SIGKILL after the grace."""
        # A copy: `start` may add to the list in another thread.
        stop_all(list(self._instances), grace_s)

    def clear(self) -> None:
        """Stop what is left, remove the network, and send what the checkpoints became.

        Links that the containers left are taken away where they lead out of their trees.
        """
        if self._usage:
            self._usage.end()
            self._usage = None
        self.stop()
        self._instances = []
        for stream in self._streams:
            stream.close()
        self._streams = []
        if self.count > 1 and self._network:
            self._engine.remove_network(self._network)
        for host in self.names:
            job_tree.drop_outward_links(self.root(host))
        if self._sampler:
            local = part_of(system_sampler.folder_of(self._job))
            self._sampler.end(self.root(self.names[0]) / local)
            self._sampler = None
        self.send_checkpoints()


def part_of(path: str) -> Path:
    """The part of a tree that a path below /opt/ml stands for. ObjectError for another path."""
    given = Path(path)
    if ".." in given.parts or not given.is_relative_to("/opt/ml"):
        raise objects.ObjectError(f"'{path}' must lie below /opt/ml, without '..'")
    return given.relative_to("/opt/ml")


def _listener(stream: Stream, on_line: Callable[[str], None]) -> Callable[[str], None]:
    def listen(line: str) -> None:
        stream.line(line)
        on_line(line)

    return listen
