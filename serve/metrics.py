"""Numbers of the running server in Prometheus' text format."""

import os
import tempfile
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry, Metric

FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # the library's own variable
BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
REASONS = ("overload", "memory", "too_large", "too_slow", "foreign")


def share_between_workers() -> None:
    """Have several worker processes add their numbers up, in a temporary folder of files.

    To be called before the library is imported, which reads the variable then.
    """
    os.environ[FOLDER] = tempfile.mkdtemp(prefix="metrics-")


class Metrics:
    """Counted by the server, read at /metrics."""

    def __init__(self) -> None:
        from prometheus_client import CollectorRegistry, ProcessCollector, disable_created_metrics
        from prometheus_client.core import GaugeMetricFamily
        from prometheus_client.multiprocess import MultiProcessCollector

        disable_created_metrics()  # type: ignore[no-untyped-call]  # the library's gap
        counted = CollectorRegistry()  # summed over the workers
        own = CollectorRegistry()  # of this worker alone
        if FOLDER in os.environ:
            # shared numbers go to files, which the collector reads, and to no registry
            self._count_in(None)
            MultiProcessCollector(counted)  # type: ignore[no-untyped-call]  # the library's gap
        else:
            self._count_in(counted)
        ProcessCollector(registry=own)
        self._family = GaugeMetricFamily
        self._live: list[tuple[str, str, Callable[[], float]]] = []
        own.register(self)
        self._registries = (counted, own)

    def _count_in(self, registry: "CollectorRegistry | None") -> None:
        """Make the numbers that requests add to."""
        from prometheus_client import Counter, Histogram

        self.requests = Counter(
            "slipway_requests", "Requests answered", ["route", "status"], registry=registry
        )
        self.photos = Counter("slipway_photos", "Photos in answered requests", registry=registry)
        self.rejections = Counter(
            "slipway_rejections",
            "Requests refused before any work on them",
            ["reason"],
            registry=registry,
        )
        self.stages = Histogram(
            "slipway_stage_seconds",
            "Time of a request by stage: read (its body), decode, queue, engine, total",
            ["stage"],
            registry=registry,
            buckets=BUCKETS_S,
        )
        for reason in REASONS:
            self.rejections.labels(reason)  # so that each is there before it first happens

    def live(self, name: str, text: str, value: Callable[[], float]) -> None:
        """A number that is read at each request for /metrics, such as a queue's length."""
        self._live.append((name, text, value))

    def collect(self) -> "Iterator[Metric]":
        """For the library: the live numbers."""
        for name, text, value in self._live:
            yield self._family(name, text, value=value())

    def text(self) -> tuple[bytes, str]:
        """The answer at /metrics, and its content type."""
        from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

        numbers = b"".join(generate_latest(registry) for registry in self._registries)
        return numbers, CONTENT_TYPE_LATEST
