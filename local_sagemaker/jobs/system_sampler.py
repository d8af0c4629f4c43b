"""The use of the machine by each host of a training, as SageMaker's profiler measures it.

On SageMaker the platform measures around the container, whatever runs in it. Here the processes of
a host are measured from outside. A file is written, and sent to S3, every few seconds.
"""

import logging
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

from artifact.host.machine import memory_limit
from artifact.host.system_files import SystemFiles
from artifact.host.system_metrics import Counts, Metric, core_use, gpu_meter, rates
from local_sagemaker import objects
from local_sagemaker.jobs.checkpoints import Checkpoints
from local_sagemaker.record import Record

log = logging.getLogger(__name__)
INTERVAL_MS = 500  # SageMaker's own, where a request gives none
FILE_S = 5.0  # of measurements in one file; SageMaker begins one each minute
WHOLE = 2**30  # bytes and seconds that no file here reaches
PROFILES = "/opt/ml/output/profiler"  # in a container
PROFILER_OUTPUT = "profiler-output"  # in S3
Processes = Callable[[], list[int]]  # their numbers on this machine, the first one first


class TreeMeters:
    """Measures some processes together. Rates, the use of cores among them, need two measurements.

    A core's use is the processes' share of all cores: nobody counts which core they were on. The
    wait for disks is the whole machine's.
    """

    def __init__(self) -> None:
        self._cores = sorted(os.sched_getaffinity(0))
        self._gpu = gpu_meter()
        self._at = 0.0
        self._cpu_s = 0.0
        self._machine = psutil.cpu_times(percpu=True)
        self._disk: Counts = {}
        self._network: Counts = {}

    def measure(self, pids: list[int]) -> list[Metric]:
        """All metrics of this moment."""
        now = time.perf_counter()
        cpu_s = 0.0
        resident = 0
        disk: Counts = {}
        for pid in pids:
            try:
                process = psutil.Process(pid)
                with process.oneshot():
                    # Children that have ended count for their parents.
                    cpu_s += sum(process.cpu_times()[:4])
                    resident += process.memory_info().rss
                    _add(disk, process)
            except (psutil.Error, OSError):  # it has just ended
                continue
        seconds = max(now - self._at, 1e-6)
        metrics = list(self._use_of_cores(cpu_s, seconds))
        used = min(100.0, 100 * resident / memory_limit())
        metrics.append(Metric("memory", "MemoryUsedPercent", "", used))
        network = _network(pids)
        metrics += rates("i/o", "", self._disk, disk, seconds)
        metrics += rates("network", "Algorithm", self._network, network, seconds)
        if self._gpu:
            metrics += self._gpu()
        self._at = now
        self._cpu_s = cpu_s
        self._disk = disk
        self._network = network
        return metrics

    def _use_of_cores(self, cpu_s: float, seconds: float) -> Iterator[Metric]:
        before = self._machine
        self._machine = psutil.cpu_times(percpu=True)
        if not self._at:
            return
        share = max(0.0, cpu_s - self._cpu_s) / (seconds * len(self._cores))
        for core in self._cores:
            yield Metric("cpu", f"cpu{core}", "CPUUtilization", min(100.0, 100 * share))
            if core < min(len(before), len(self._machine)):
                found = core_use(core, before[core], self._machine[core])
                yield from (metric for metric in found if metric.dimension != "CPUUtilization")


def _add(disk: Counts, process: psutil.Process) -> None:
    """Count what a process reads and writes."""
    counters = process.io_counters()
    found = {
        "IOPS": counters.read_count + counters.write_count,
        "ReadThroughputInBytesPerSecond": counters.read_bytes,
        "WriteThroughputInBytesPerSecond": counters.write_bytes,
    }
    for name, value in found.items():
        disk[name] = disk.get(name, 0.0) + value


def _network(pids: list[int]) -> Counts:
    """What came and went by the network that the first process sees, which all of a host share."""
    try:
        lines = Path(f"/proc/{pids[0]}/net/dev").read_text(encoding="ascii").splitlines()[2:]
    except (OSError, IndexError):
        return {}
    rows = [line.partition(":") for line in lines]
    outside = [counts.split() for name, _, counts in rows if name.strip() != "lo"]
    return {
        "ReceiveBytesPerSecond": float(sum(int(row[0]) for row in outside)),
        "TransmitBytesPerSecond": float(sum(int(row[8]) for row in outside)),
    }


def is_wanted(job: Record) -> bool:
    """Whether the platform measures: not where our own training does it itself."""
    profiler = job.get("ProfilerConfig", {})
    if not profiler.get("S3OutputPath") or profiler.get("DisableProfiler"):
        return False
    algorithm = job["AlgorithmSpecification"]
    names = {name.replace("-", "_") for name in job.get("HyperParameters", {})}
    own_image = algorithm["TrainingImage"].rsplit("/", 1)[-1].startswith("slipway-train")
    own_training = own_image and not (
        "sagemaker_program" in names or algorithm.get("ContainerEntrypoint")
    )
    return not (own_training and profiler.get("ProfilingParameters"))


def folder_of(job: Record) -> str:
    """Where a profile lies in a container."""
    parameters = job["ProfilerConfig"].get("ProfilingParameters", {})
    return str(parameters.get("LocalPath", PROFILES))


def uri_of(job: Record) -> str:
    """Where a job's profile lies in S3."""
    base = job["ProfilerConfig"]["S3OutputPath"]
    return objects.joined(base, job["TrainingJobName"], PROFILER_OUTPUT)


class SystemSampler(threading.Thread):
    """Measures until it is ended. folder: for the files, where no container writes.

    hosts: each one's processes, by its name.
    """

    def __init__(self, job: Record, folder: Path, hosts: dict[str, Processes]) -> None:
        super().__init__(name=f"profile of {job['TrainingJobName']}", daemon=True)
        given = job["ProfilerConfig"].get("ProfilingIntervalInMilliseconds", INTERVAL_MS)
        self._interval_s = given / 1000
        self._folder = folder
        self._sent = Checkpoints(folder, Path(), uri_of(job))
        self._hosts = hosts
        self._meters = {host: TreeMeters() for host in hosts}
        self._measured: dict[str, list[tuple[float, list[Metric]]]] = {host: [] for host in hosts}
        self._ending = threading.Event()
        folder.mkdir(parents=True, exist_ok=True)

    def end(self, tree: Path) -> None:
        """Write and send what is left, and put all of it into a tree that no container changes.

        tree: of the profile.
        """
        self._ending.set()
        self.join()
        try:
            shutil.copytree(self._folder, tree, dirs_exist_ok=True)
        except OSError as error:  # such as a file in the place of the folder
            log.warning("%s is not judged: %s", self.name, error)

    def run(self) -> None:
        try:
            self._run()
        except Exception:  # any: a training must not end for its profile
            log.exception("%s", self.name)

    def _run(self) -> None:
        ended = False
        while not ended:
            until = time.monotonic() + FILE_S
            while not ended and time.monotonic() < until:
                for host, processes in self._hosts.items():
                    pids = processes()
                    if pids:
                        metrics = self._meters[host].measure(pids)
                        self._measured[host].append((time.time(), metrics))
                ended = self._ending.wait(self._interval_s)
            self._write()

    def _write(self) -> None:
        for host, measured in self._measured.items():
            # "_" and "." separate the parts of file names
            files = SystemFiles(self._folder, host.replace(".", "-"), WHOLE, WHOLE)
            for at, metrics in measured:
                files.write(at, metrics)
            files.close()
            measured.clear()
        try:
            self._sent.send()
        except objects.ObjectError as error:
            log.warning("%s is not sent: %s", self.name, error)
