"""One engine behind a queue: photos of many callers, run in batches as large as the engine likes, in order of arrival."""

import collections
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import contextmanager

import numpy as np

from serve.request_state import Overloaded, RequestState, TooManyPhotos

HANG_S = 30.0  # one run that takes longer has died
SMOOTHING = 0.2  # weight of the newest measurement in a running average

log = logging.getLogger(__name__)


class EngineDead(RuntimeError):
    """The engine no longer runs."""


class Batcher:
    """Owns an engine (`run(uint8 [N, H, W, 3]) -> float32 [N, classes]`, `max_batch`, `close()`) and the thread that runs it.

    Where the engine takes several photos at once, a batch waits for photos that are being decoded right now: no longer
    than max_wait_s, and no longer than half a run takes, for then running is the better use of the time. Batches grow by
    one while a run stays under target_s and shrink by a quarter when it does not.

    turn: held during a run; engines on the same cores share one. died: called once, from a thread of its own, when the
    engine has failed for good.
    """

    def __init__(
        self,
        engine,
        turn: threading.Lock,
        max_wait_s: float = 0.01,
        target_s: float = 0.1,
        died: Callable[[], None] | None = None,
    ):
        self._engine, self._turn, self._died = engine, turn, died
        self._max_wait_s, self._target_s = max_wait_s, target_s
        self._limit = 1.0
        self._queue: collections.deque[tuple[np.ndarray, RequestState, Future, float]] = (
            collections.deque()
        )
        self._changed = threading.Condition()
        self._owed = 0
        self._coming = 0
        self._run_started: float | None = None
        self._photo_s = 0.0  # running averages: of a photo, of a run
        self._run_s = 0.0
        self._closing = False
        self._fault: str | None = None
        self._thread = threading.Thread(target=self._work, name="engine", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Photos admitted and not yet answered."""
        return self._owed

    def fault(self) -> str | None:
        """Why the engine answers no more; None while it does."""
        started = self._run_started
        if self._fault is None and started is not None and time.monotonic() - started > HANG_S:
            return f"a run has been going on for over {HANG_S:.0f} s"
        return self._fault

    def admit(self, photos: int, state: RequestState) -> None:
        """Promise to answer so many more photos; each is to be given to `settle`.

        Overloaded when they could not be answered before the state's deadline, TooManyPhotos when not even alone; EngineDead.
        """
        with self._changed:
            self._check()
            left = state.left_s()
            if photos > 1 and photos * self._photo_s > left:
                raise TooManyPhotos(
                    f"{photos} photos take about {photos * self._photo_s:.0f} s, and {left:.0f} s are left; send at most {max(1, int(left / self._photo_s / 2))} at once"
                )
            # an idle engine takes any photo: else one slow run would be the last
            if self._owed and (self._owed + photos) * self._photo_s > left:
                raise Overloaded(self._owed * self._photo_s / 2)
            self._owed += photos

    def settle(self, photos: int) -> None:
        """So many of the promised photos are answered, or no longer wanted."""
        with self._changed:
            self._owed -= photos

    @contextmanager
    def coming(self):
        """While a photo is being decoded: batches may wait for it."""
        with self._changed:
            self._coming += 1
        try:
            yield
        finally:
            with self._changed:
                self._coming -= 1
                self._changed.notify()

    def submit(self, pixels: np.ndarray, state: RequestState) -> Future:
        """The future probabilities, float32 [classes], of a photo's pixels, uint8 [H, W, 3]."""
        future: Future = Future()
        with self._changed:
            self._check()
            self._queue.append((pixels, state, future, time.monotonic()))
            self._changed.notify()
        return future

    def close(self) -> None:
        """Answer what is queued, then free the engine. Later submissions get EngineDead."""
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
        while True:
            batch = self._take()
            if not batch:
                return
            try:
                self._run(batch)
            except BaseException as error:  # whatever it was, callers wait for an answer
                log.exception("a run of the engine failed")
                self._probe(batch[0][0])  # first: who has the answer may ask /ping next
                for _, _, future, _ in batch:
                    if not future.done():
                        future.set_exception(
                            EngineDead(
                                f"the engine failed on this request ({type(error).__name__})"
                            )
                        )
            finally:
                self._run_started = None

    def _take(self) -> list:
        """The next batch; empty when closing and all is answered, or the engine has died."""
        with self._changed:
            while not self._queue:
                if self._closing or self._fault:
                    return []
                self._changed.wait()
            size = max(1, min(self._engine.max_batch, int(self._limit)))
            until = time.monotonic() + min(self._max_wait_s, self._run_s / 2)
            while len(self._queue) < size and self._coming and not self._closing:
                left = until - time.monotonic()
                if left <= 0 or not self._changed.wait(left):
                    break
            return [self._queue.popleft() for _ in range(min(size, len(self._queue)))]

    def _run(self, batch: list) -> None:
        with self._turn:
            started = self._run_started = time.monotonic()
            wanted = []
            for entry in batch:
                _, state, future, since = entry
                try:
                    state.check()
                except RuntimeError as error:
                    future.set_exception(error)
                    continue
                state.add("queue", started - since)
                wanted.append(entry)
            if not wanted:
                return
            answers = self._engine.run(np.stack([pixels for pixels, *_ in wanted]))
        seconds = time.monotonic() - started
        self._learn(len(wanted), seconds)
        for (_, state, future, _), answer in zip(wanted, answers):
            state.add("engine", seconds)
            future.set_result(answer)

    def _learn(self, photos: int, seconds: float) -> None:
        weight = SMOOTHING if self._run_s else 1.0
        # a container that was frozen in the middle tells nothing of the engine
        likely = min(seconds, 10 * self._run_s) if self._run_s else seconds
        self._run_s += weight * (likely - self._run_s)
        self._photo_s += weight * (likely / photos - self._photo_s)
        if seconds > self._target_s and photos > 1:
            self._limit = max(1.0, photos * 0.75)
        elif photos >= int(self._limit):
            self._limit = min(self._limit + 1, self._engine.max_batch)

    def _probe(self, pixels: np.ndarray) -> None:
        """After a failed run: does the engine still run at all? If not, everyone who waits is told."""
        try:
            with self._turn:
                self._engine.run(np.zeros_like(pixels)[None])
        except BaseException as error:
            with self._changed:
                self._fault = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no reason given'}"
                left, self._queue = list(self._queue), collections.deque()
            log.error("the engine has died: %s", self._fault)
            if self._died:
                threading.Thread(target=self._died, name="engine died", daemon=True).start()
            for _, _, future, _ in left:
                future.set_exception(EngineDead(f"the engine does not run ({self._fault})"))
