"""A loaded model: encoded photos in, labelled probabilities out. Knows nothing of HTTP."""

import collections
import gc
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np

from artifact.engines import open_engine
from artifact.machine import cpu_count, memory_limit, trim_memory
from artifact.model import read_description
from artifact.preprocessing import PhotoError, decode
from serve.batching import Batcher
from serve.request_state import Overloaded, RequestState, TooManyPhotos

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
MAX_PIXELS = 40_000_000  # a payload of 6 MB can claim to be far more
PIXEL_BYTES = 16  # what decoding takes of memory for a moment, at most (WebP)
PIXEL_SHARE = 0.4  # of the memory this process may use, for one large photo
LARGE_PIXELS = 4_000_000  # photos above this are decoded one at a time
WINDOW = 4  # photos of one request that are decoded ahead, beyond what the engine takes at once
MAX_LABELS = 50_000  # in one answer: about 3 MB of JSON
TIMEOUT_S = 60.0


class SharedLimits:
    """What the models of one process share: decoding slots, whose turn it is on the cores, and how large a photo may be."""

    def __init__(self, count: int | None = None):
        self.count = count or cpu_count()
        # more at a time would not be faster, and each may take hundreds of megabytes
        self.decoding = threading.BoundedSemaphore(self.count)
        self.large = threading.BoundedSemaphore(1)
        self.turn = threading.Lock()
        self.max_pixels = min(MAX_PIXELS, int(memory_limit() * PIXEL_SHARE / PIXEL_BYTES))


class Predictor:
    """An artifact and its warm engine; safe to call from many threads."""

    def __init__(
        self,
        directory: Path,
        precision: str = "auto",
        shared: SharedLimits | None = None,
        device: str = "auto",
        died: Callable[[], None] | None = None,
        openvino_streams: bool = False,
    ):
        """Open the artifact in a directory; `died` is called if its engine fails for good; openvino_streams: as for open_engine.
        ArtifactError when it cannot be used."""
        self.directory = Path(directory)
        self.description = read_description(directory)
        self._shared = shared or SharedLimits()
        self.engine = open_engine(
            directory,
            self.description,
            precision,
            threads=self._shared.count,
            device=device,
            openvino_streams=openvino_streams,
        )
        self.batcher = Batcher(self.engine, self._shared.turn, died=died)

    def predict(
        self,
        photos: Sequence[bytes | Exception],
        top_k: int = 5,
        state: RequestState | None = None,
        tolerant: bool = False,
    ) -> list[dict]:
        """For each encoded photo its label, probability and the top_k most probable labels, best first;
        for a multi-label model also `labels`, all above one half.

        PhotoError for one that cannot be decoded, which among several the text numbers; with `tolerant` its answer is
        {"error": text}, as for what stands in `photos` as an exception already. Overloaded or ClientGone by the state,
        TooManyPhotos, EngineDead.
        """
        state = state or RequestState.lasting(TIMEOUT_S)
        labels = min(top_k, len(self.description.classes))
        if len(photos) * labels > MAX_LABELS:
            raise TooManyPhotos(
                f"{len(photos)} photos with {labels} labels each are too large an answer; ask for a smaller top_k, or send at most {MAX_LABELS // labels} photos"
            )
        self.batcher.admit(len(photos), state)
        state.photos = owed = len(photos)
        answers: list[dict] = []
        try:
            for future in self._started(photos, state):
                answers.append(
                    self._answer(future, len(answers) if len(photos) > 1 else None, top_k, tolerant)
                )
                self.batcher.settle(1)
                owed -= 1
        except BaseException:
            state.abandoned.set()  # what is under way already is of no use
            raise
        finally:
            self.batcher.settle(owed)
        return answers

    def _started(
        self, photos: Sequence[bytes | Exception], state: RequestState
    ) -> Iterator[Future]:
        """The future of each photo in order; a few are under way ahead of the one that is waited for."""
        ahead: collections.deque[Future] = collections.deque()
        for photo in photos:
            if len(ahead) >= WINDOW + self.engine.max_batch:
                yield ahead.popleft()
            ahead.append(self._start(photo, state))
        yield from ahead

    def _start(self, photo: bytes | Exception, state: RequestState) -> Future:
        state.check()
        try:
            if isinstance(photo, Exception):
                raise photo
            with self.batcher.coming():
                return self.batcher.submit(self._pixels(photo, state), state)
        except ValueError as error:  # of this photo alone
            future: Future = Future()
            future.set_exception(error)
            return future

    def _answer(self, future: Future, index: int | None, top_k: int, tolerant: bool) -> dict:
        try:
            return self._named(future.result(), top_k)
        except PhotoError as error:
            where = "" if index is None else f"instance {index}: "
            if not tolerant:
                raise PhotoError(f"{where}{error}") from error
            return {"error": f"the photo cannot be used: {error}"}
        except ValueError as error:
            if not tolerant:
                raise
            return {"error": str(error)}

    def close(self) -> None:
        """Answer what is queued, then give the engine's memory back."""
        self.batcher.close()
        self.engine = None
        gc.collect()
        trim_memory()

    def _pixels(self, photo: bytes, state: RequestState) -> np.ndarray:
        with ExitStack() as held:
            slot = held.enter_context(ExitStack())
            slot.enter_context(_acquired(self._shared.decoding, state))

            def opened(pixels: int) -> None:
                nonlocal waited
                if pixels > LARGE_PIXELS:
                    asked = time.monotonic()
                    slot.close()  # others decode while this one waits
                    held.enter_context(_acquired(self._shared.large, state))
                    slot.enter_context(_acquired(self._shared.decoding, state))
                    waited = time.monotonic() - asked

            waited, started = 0.0, time.monotonic()
            try:
                return self.description.preprocessing.pixels(
                    decode(photo, self._shared.max_pixels, FORMATS, opened)
                )
            finally:
                state.add("decode", time.monotonic() - started - waited)

    def _named(self, probabilities: np.ndarray, top_k: int) -> dict:
        if not np.isfinite(probabilities).all():
            raise RuntimeError("the model's probabilities are not all numbers")
        best = np.argsort(-probabilities, kind="stable")[:top_k]
        top = [
            {"label": self.description.classes[index], "probability": float(probabilities[index])}
            for index in best
        ]
        answer = {**top[0], "top": top}
        if self.description.multi_label:
            answer["labels"] = [
                name
                for name, probability in zip(self.description.classes, probabilities)
                if probability > 0.5
            ]
        return answer


@contextmanager
def _acquired(lock: threading.Semaphore, state: RequestState) -> Iterator[None]:
    """Hold a lock, waiting no longer than the state lasts. Overloaded, ClientGone."""
    if not lock.acquire(timeout=state.left_s()):
        raise Overloaded(1)
    try:
        state.check()
        yield
    finally:
        lock.release()
