"""The threads that copy an endpoint's requests to its shadow variant."""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

log = logging.getLogger(__name__)
AT_ONCE = 4
MOST_WAITING = 64  # copies, each with its body; a shadow that is slower loses the others


class ShadowPool:
    """Callers do not wait for a shadow, and get none of its answers and errors."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        self._room = threading.BoundedSemaphore(MOST_WAITING)
        # A thread is started with the first copy, so that endpoints without a shadow have none.
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix=f"shadow {endpoint}")

    def submit(self, do: Callable[..., object], *given: object) -> None:
        """Do it later; nothing happens where too many wait, or the endpoint ends."""
        if not self._room.acquire(blocking=False):
            log.warning("endpoint %s: its shadow is too slow: a copy is dropped", self._endpoint)
            return
        try:
            self._threads.submit(self._run, do, given)
        except RuntimeError:  # the endpoint ends
            self._room.release()

    def close(self) -> None:
        """Start nothing more. Returns at once."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _run(self, do: Callable[..., object], given: tuple[object, ...]) -> None:
        try:
            do(*given)
        except Exception as error:  # of the shadow: production does not see it
            log.warning("endpoint %s: shadow variant: %s", self._endpoint, error)
        finally:
            self._room.release()
