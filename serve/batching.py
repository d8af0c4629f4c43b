"""One engine behind a queue: photos of many callers, run in batches, in the order of arrival."""

import collections
import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from serve.admission import PHOTO_WEIGHT, Admission
from serve.request_state import RequestState

HANG_S = 30.0  # an engine whose run takes longer counts as dead
OUTLIER = 10  # times the average: a longer run counts as this long

log = logging.getLogger(__name__)

Pixels = NDArray[np.uint8]
Answer = NDArray[np.float32]  # [columns]


class Engine(Protocol):
    """The part of an engine that the batcher uses; artifact/engines/choice.py opens one."""

    @property
    def max_batch(self) -> int: ...

    def run(self, pixels: Pixels) -> NDArray[np.float32]:
        """uint8 [N, H, W, 3] to float32 [N, columns]."""

    def close(self) -> None: ...


class EngineDead(RuntimeError):
    """The engine no longer runs."""


@dataclass
class _Queued:
    """A photo in the queue: uint8 [H, W, 3], and the future of its float32 [columns]."""

    pixels: Pixels
    state: RequestState
    future: "Future[Answer]" = field(default_factory=Future)
    since: float = field(default_factory=time.monotonic)


class Batcher(Admission):
    """Owns an engine and the thread that runs it.

    Where the engine takes several photos at once, a batch waits for photos that are being decoded:
    at most max_wait_s seconds, and at most half the time of a run, because from then on running is
    the better use of the time. Batches grow by one while a run takes less than target_s seconds,
    and shrink by a quarter when it takes longer.

    turn: held during a run; engines on the same cores share one. died: called once, from a thread
    of its own, when the engine has failed for good.
    """

    def __init__(
        self,
        engine: Engine,
        turn: threading.Lock,
        max_wait_s: float = 0.01,
        target_s: float = 0.1,
        died: Callable[[], None] | None = None,
    ):
        super().__init__()  # its lock guards the queue and the counts below, too
        self._engine = engine
        self._turn = turn
        self._died = died
        self._max_wait_s = max_wait_s
        self._target_s = target_s
        self._limit = 1.0  # photos per batch, now
        self._queue: collections.deque[_Queued] = collections.deque()
        self._coming = 0  # photos that are being decoded
        self._run_started: float | None = None
        self._run_s = 0.0  # running average of the seconds per run
        self._closing = False
        self._fault: str | None = None
        self._thread = threading.Thread(target=self._work, name="engine", daemon=True)
        self._thread.start()

    def fault(self) -> str | None:
        """Why the engine no longer answers; None while it does."""
        started = self._run_started
        if self._fault is None and started is not None and time.monotonic() - started > HANG_S:
            return f"a run has been going on for over {HANG_S:.0f} s"
        return self._fault

    @contextmanager
    def coming(self) -> Iterator[None]:
        """While a photo is being decoded: batches may wait for it."""
        with self._changed:
            self._coming += 1
        try:
            yield
        finally:
            with self._changed:
                self._coming -= 1
                self._changed.notify()

    def submit(self, pixels: Pixels, state: RequestState) -> "Future[Answer]":
        """The future answer, float32 [columns], to one photo, uint8 [H, W, 3]."""
        entry = _Queued(pixels, state)
        with self._changed:
            self._check()
            self._queue.append(entry)
            self._changed.notify()
        return entry.future

    def close(self) -> None:
        """Answer the queue, then free the engine. Later submissions raise EngineDead."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()
        self._engine.close()

    def _check(self) -> None:
        fault = "the model is being unloaded" if self._closing else self.fault()
        if fault:
            raise EngineDead(f"the engine does not run ({fault})")

    def _work(self) -> None:
        """The engine's thread."""
        while True:
            batch = self._take()
            if not batch:
                return
            try:
                self._run(batch)
            except BaseException as error:  # callers wait for an answer, whatever the error was
                log.exception("a run of the engine failed")
                self._probe(batch[0].pixels)  # first, because a caller with its answer asks /ping
                sentence = f"the engine failed on this request ({type(error).__name__})"
                for entry in batch:
                    if not entry.future.done():
                        entry.future.set_exception(EngineDead(sentence))
            finally:
                self._run_started = None

    def _take(self) -> list[_Queued]:
        """The next batch; empty when closing with an empty queue, or when the engine has died."""
        with self._changed:
            while not self._queue:
                if self._closing or self._fault:
                    return []
                self._changed.wait()
            size = max(1, min(self._engine.max_batch, int(self._limit)))
            until = time.monotonic() + min(self._max_wait_s, self._run_s / 2)
            while len(self._queue) < size and self._coming and not self._closing:
                left_s = until - time.monotonic()
                if left_s <= 0 or not self._changed.wait(left_s):
                    break
            return [self._queue.popleft() for _ in range(min(size, len(self._queue)))]

    def _run(self, batch: list[_Queued]) -> None:
        with self._turn:
            started = time.monotonic()
            self._run_started = started
            wanted = self._wanted(batch, started)
            if not wanted:
                return
            answers = self._engine.run(np.stack([entry.pixels for entry in wanted]))
        seconds = time.monotonic() - started
        self._learn(len(wanted), seconds)
        for entry, answer in zip(wanted, answers, strict=True):
            entry.state.add("engine", seconds)
            entry.future.set_result(answer)

    def _wanted(self, batch: list[_Queued], started: float) -> list[_Queued]:
        """The photos that somebody still waits for; the others get their error."""
        wanted = []
        for entry in batch:
            try:
                entry.state.check()
            except RuntimeError as error:
                entry.future.set_exception(error)
            else:
                entry.state.add("queue", started - entry.since)
                wanted.append(entry)
        return wanted

    def _learn(self, photos: int, seconds: float) -> None:
        """Adapt the averages and the batch size to a run of that many photos."""
        weight = 1.0
        likely_s = seconds
        if self._run_s:
            weight = PHOTO_WEIGHT
            # a container that was frozen during the run says nothing about the engine
            likely_s = min(seconds, OUTLIER * self._run_s)
        self._run_s += weight * (likely_s - self._run_s)
        self._learn_photos(photos, likely_s)
        if seconds > self._target_s and photos > 1:
            self._limit = max(1.0, photos * 0.75)
        elif photos >= int(self._limit):
            self._limit = min(self._limit + 1, self._engine.max_batch)

    def _probe(self, pixels: Pixels) -> None:
        """After a failed run: run a black photo. If that fails too, the engine is dead."""
        try:
            with self._turn:
                self._engine.run(np.zeros_like(pixels)[None])
        except BaseException as error:
            self._declare_dead(error)

    def _declare_dead(self, error: BaseException) -> None:
        lines = str(error).splitlines() or ["no reason given"]
        with self._changed:
            self._fault = f"{type(error).__name__}: {lines[0]}"
            left = list(self._queue)
            self._queue.clear()
        log.error("the engine has died: %s", self._fault)
        if self._died:
            threading.Thread(target=self._died, name="engine died", daemon=True).start()
        for entry in left:
            entry.future.set_exception(EngineDead(f"the engine does not run ({self._fault})"))
