"""The use of the machine by a job's hosts over time, for the console.

SageMaker has it in CloudWatch, whatever the job: CPUUtilization, MemoryUtilization and, with GPUs,
GPUUtilization, of each host in percent.
"""

import logging
import threading
import time
from collections.abc import Mapping

from artifact.host.system_metrics import Metric
from local_sagemaker.jobs.system_sampler import Processes, TreeMeters
from local_sagemaker.metric_history import MetricHistory
from local_sagemaker.record import Record

log = logging.getLogger(__name__)
FIRST_S = 0.5  # between measurements
MOST_S = 30.0
GROWTH = 200  # a longer job is measured less often: about so many times until now
MEASURED = {  # of the profiler's metrics: what CloudWatch calls each
    "CPUUtilization": "CPUUtilization",
    "MemoryUsedPercent": "MemoryUtilization",
    "GPUUtilization": "GPUUtilization",
}


class HostUsage(threading.Thread):
    """Measures a job's hosts until it is ended. hosts: each one's processes, by its name."""

    def __init__(self, job: str, hosts: Mapping[str, Processes], history: MetricHistory) -> None:
        super().__init__(name=f"usage of {job}", daemon=True)
        self._job = job
        self._hosts = hosts
        self._history = history
        self._meters = {host: TreeMeters() for host in hosts}
        self._ending = threading.Event()

    def end(self) -> None:
        """Measure no more. It does not wait for a measurement that is under way."""
        self._ending.set()

    def run(self) -> None:
        began = time.monotonic()
        wait_s = FIRST_S
        try:
            while not self._ending.wait(wait_s):
                self._measure()
                wait_s = min(MOST_S, max(FIRST_S, (time.monotonic() - began) / GROWTH))
        except Exception:  # any: a job must not end for its charts
            log.exception("%s", self.name)

    def _measure(self) -> None:
        for host, processes in self._hosts.items():
            pids = processes()
            if not pids:
                continue
            at = time.time()
            for name, value in means(self._meters[host].measure(pids)).items():
                self._history.put(self._job, entry(name, host, value, at))


def entry(name: str, host: str, value: float, at: float) -> Record:
    """A measurement as the history keeps it. value: percent. at: seconds since the epoch."""
    return {"MetricName": name, "Host": host, "Value": round(value, 1), "Timestamp": round(at, 2)}


def means(metrics: list[Metric]) -> dict[str, float]:
    """The mean over the cores or GPUs of a host, in percent, by CloudWatch's name."""
    values: dict[str, list[float]] = {}
    for metric in metrics:
        measured = metric.dimension or metric.name  # memory has a name alone
        if measured in MEASURED:
            values.setdefault(MEASURED[measured], []).append(metric.value)
    return {name: sum(found) / len(found) for name, found in values.items()}
