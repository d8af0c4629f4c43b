"""The threads that do an endpoint's asynchronous requests, as many as its configuration allows."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from local_sagemaker.record import Record

AT_ONCE = 4  # calls per instance, where a request leaves MaxConcurrentInvocationsPerInstance out


class AsyncPool:
    """One pool after another: a new configuration may allow more, or fewer."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        self._lock = threading.Lock()  # nothing may go to a pool that is just being replaced
        self._threads = self._made(AT_ONCE)

    def submit(self, do: Callable[..., None], *given: object) -> None:
        with self._lock:
            self._threads.submit(do, *given)

    def follow(self, config: Record) -> None:
        """Take an endpoint configuration's limit, for the instances that it starts."""
        client = config.get("AsyncInferenceConfig", {}).get("ClientConfig", {})
        most = client.get("MaxConcurrentInvocationsPerInstance", AT_ONCE)
        counts = [entry.get("InitialInstanceCount", 1) for entry in config["ProductionVariants"]]
        with self._lock:
            earlier = self._threads
            self._threads = self._made(most * max(1, sum(counts)))
        earlier.shutdown(wait=False)  # it goes on with what it has

    def close(self) -> None:
        """Start nothing more. Returns at once."""
        with self._lock:
            self._threads.shutdown(wait=False, cancel_futures=True)

    def _made(self, most: int) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(most, thread_name_prefix=f"async {self._endpoint}")
