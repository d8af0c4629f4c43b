"""How much may be within MMS at the same time; what is more waits here, in order of arrival."""

import collections
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from serve.request_state import Overloaded, RequestState


@dataclass(eq=False)
class _Waiter:
    amount: int
    granted: threading.Event = field(default_factory=threading.Event)


class Room:
    """A number of places, or of bytes. What is larger than all of it gets it when it is empty."""

    def __init__(self, most: int):
        self._most = most
        self._held = 0
        self._lock = threading.Lock()
        self._queue: collections.deque[_Waiter] = collections.deque()

    @contextmanager
    def holding(self, amount: int, state: RequestState) -> Iterator[None]:
        """Hold that much. Raises Overloaded at the request's deadline, ClientGone."""
        waiter = _Waiter(amount)
        with self._lock:
            self._queue.append(waiter)
            self._grant()
        waiter.granted.wait(state.left_s())
        try:
            if not waiter.granted.is_set():
                raise Overloaded(1)
            state.check()
            yield
        finally:
            self._leave(waiter)

    def _leave(self, waiter: _Waiter) -> None:
        with self._lock:
            if waiter.granted.is_set():
                self._held -= waiter.amount
            else:
                self._queue.remove(waiter)
            self._grant()

    def _grant(self) -> None:
        """Let in whom there is room for. Called with the lock held."""
        while self._queue:
            first = self._queue[0]
            if self._held and self._held + first.amount > self._most:
                return
            self._held += first.amount
            first.granted.set()
            self._queue.popleft()
