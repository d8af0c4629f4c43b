"""A loaded model: encoded photos in, labelled probabilities out. It knows nothing of HTTP."""

import collections
import gc
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import nullcontext
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from artifact.answers import Prediction, prediction
from artifact.engines.choice import open_engine
from artifact.host.machine import cpu_count, memory_limit, trim_memory
from artifact.model import FIRST_DECODER, Description, read_description
from artifact.photos import first_decoder
from artifact.photos.bounds import check_pixels, photo_header
from artifact.photos.decoder import MAX_PIXELS as LARGEST_PHOTO
from artifact.photos.decoder import decode_reduced
from artifact.photos.formats import PhotoHeader
from artifact.photos.kinds import PhotoError
from artifact.photos.shrinking import decoded_for
from artifact.saliency import Saliency
from artifact.text.names import printable
from serve.admission import DecodingQueue
from serve.batching import Answer, Batcher, Pixels
from serve.hooks import open_hooks
from serve.occlusion import occluded
from serve.request_state import RequestState, TooManyPhotos
from serve.spare_memory import SpareMemory

MAX_PIXELS = 40_000_000  # a payload of 6 MB can claim to hold far more
PIXEL_BYTES = 22  # memory that decoding takes per pixel for a moment, at most (WebP)
PIXEL_SHARE = 0.55  # of the memory this process may use, for one large photo
WINDOW = 4  # photos of one request that are decoded ahead, beyond the engine's batch
MAX_LABELS = 50_000  # in one answer: about 3 MB of JSON
TIMEOUT_S = 60.0
# Of a body; the headers of larger ones are read one after the other, so that no flood of them
# keeps the interpreter from other requests.
LONG_BYTES = 500_000

log = logging.getLogger(__name__)

# An encoded photo and its header, or the error in its place.
Checked = tuple[bytes, PhotoHeader] | Exception

_reading_header = threading.Lock()


def warn_of(description: Description) -> None:
    """Log what whoever asks this model should know: its training may have learnt nothing."""
    untrained = description.provenance.get("untrained")
    if untrained:
        log.warning("this model should not be served: %s", printable(untrained))


class SharedLimits:
    """The limits that the models of one process share.

    decoding: slots for photos; turn: held while an engine runs on the cores; spare: what photos
    leave behind; max_pixels: of one photo.
    """

    def __init__(self, count: int | None = None):
        self.count = count or cpu_count()
        # more at a time would not be faster, and each may take hundreds of megabytes
        self.decoding = DecodingQueue(self.count)
        self.turn = threading.Lock()
        self.spare = SpareMemory()
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
        hooks: bool = False,
    ):
        """Open the artifact in a directory. Raises ArtifactError when it cannot be used.

        died: called if its engine fails for good. hooks: whether the artifact's own functions run.
        The others are as for open_engine.
        """
        self.directory = Path(directory)
        self.description = read_description(directory)
        warn_of(self.description)
        self.hooks = open_hooks(self.directory, hooks)
        # the first decoder takes photos whole
        is_first = self.description.decoder == FIRST_DECODER
        self._smallest = 0 if is_first else self.description.preprocessing.resize
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
        places: Sequence[str] = (),
    ) -> list[Prediction]:
        """For each encoded photo its top_k most probable labels, best first.

        places: of the photos in their request, for sentences, such as "line 3: "; by default
        each photo's number among several.

        Raises PhotoError for a photo that cannot be decoded; its text begins with the photo's
        place. With tolerant that photo's answer is {"error": text}, as for an exception in its
        place. Raises also Overloaded or ClientGone by the state, TooManyPhotos, EngineDead.
        """
        state = state or RequestState.lasting(TIMEOUT_S)
        self._check_size(len(photos), top_k)
        checked = [
            checked_photo(photo, self._shared.max_pixels, self._smallest) for photo in photos
        ]
        headers = [entry[1] for entry in checked if isinstance(entry, tuple)]
        self.batcher.admit(len(photos), state, self._shared.decoding.expected(headers))
        state.photos += len(photos)
        places = places or numbered(len(photos))
        unanswered = len(photos)
        answers: list[Prediction] = []
        try:
            for index, future in enumerate(self._started(checked, state)):
                answers.append(self._answer(future, places[index], top_k, tolerant))
                self.batcher.settle(1)
                unanswered -= 1
        except BaseException:
            state.abandoned.set()  # the photos under way are of no use any more
            raise
        finally:
            self.batcher.settle(unanswered)
            self._shared.spare.freed()
        return answers

    def saliency(self, photo: bytes, state: RequestState | None = None) -> Saliency:
        """Which parts of an encoded photo its answer comes from. Raises as predict does."""
        return occluded(self, photo, state)

    def probabilities_of(
        self,
        photo: bytes,
        vary: Callable[[Pixels], Sequence[Pixels]],
        count: int,
        state: RequestState | None = None,
    ) -> NDArray[np.float32]:
        """The probabilities of the pictures that `vary` makes of one photo: [count, classes].

        vary: from the network's view of the photo, uint8 [crop, crop, 3], to `count` such views.
        Each of them waits and counts as a photo. Raises as predict does.
        """
        state = state or RequestState.lasting(TIMEOUT_S)
        checked = checked_photo(photo, self._shared.max_pixels, self._smallest)
        if isinstance(checked, Exception):
            raise checked
        self.batcher.admit(count, state, self._shared.decoding.expected([checked[1]]))
        state.photos += count
        try:
            with self.batcher.coming():
                pixels = self._pixels(*checked, state)
            waiting = [self.batcher.submit(one, state) for one in vary(pixels)]
            return np.stack([self._probabilities(one.result()) for one in waiting])
        except BaseException:
            state.abandoned.set()
            raise
        finally:
            self.batcher.settle(count)
            self._shared.spare.freed()

    def close(self) -> None:
        """Answer the queue, then give the engine's memory back."""
        self.batcher.close()
        gc.collect()
        trim_memory()

    def _check_size(self, photos: int, top_k: int) -> None:
        """Raise TooManyPhotos when the answer would hold more than MAX_LABELS labels."""
        labels = min(top_k, len(self.description.classes))
        if photos * labels > MAX_LABELS:
            raise TooManyPhotos(
                f"{photos} photos with {labels} labels each are too large an answer; "
                f"ask for a smaller top_k, or send at most {MAX_LABELS // labels} photos"
            )

    def _started(
        self, photos: Sequence[Checked], state: RequestState
    ) -> Iterator["Future[Answer]"]:
        """Each photo's future, in order; a few photos are under way ahead of the caller."""
        ahead: collections.deque[Future[Answer]] = collections.deque()
        for photo in photos:
            if len(ahead) >= WINDOW + self.engine.max_batch:
                yield ahead.popleft()
            ahead.append(self._start(photo, state))
        yield from ahead

    def _start(self, photo: Checked, state: RequestState) -> "Future[Answer]":
        state.check()
        try:
            if isinstance(photo, Exception):
                raise photo
            with self.batcher.coming():
                return self.batcher.submit(self._pixels(*photo, state), state)
        except ValueError as error:  # of this photo alone
            future: Future[Answer] = Future()
            future.set_exception(error)
            return future

    def _answer(
        self, future: "Future[Answer]", where: str, top_k: int, tolerant: bool
    ) -> Prediction:
        try:
            return self._named(future.result(), top_k)
        except ValueError as error:
            return error_record(error, where, tolerant)

    def _pixels(self, photo: bytes, header: PhotoHeader, state: RequestState) -> Pixels:
        """The network's view of an encoded photo, uint8 [crop, crop, 3]."""
        with self._shared.decoding.slot(header, state):
            started = time.monotonic()
            try:
                return self._decoded(photo)
            finally:
                state.add("decode", time.monotonic() - started)

    def _decoded(self, photo: bytes) -> Pixels:
        """By the decoder of the model's training: uint8 [crop, crop, 3]. Raises PhotoError."""
        sizing = self.description.preprocessing
        if self.description.decoder == FIRST_DECODER:
            return sizing.pixels(first_decoder.decode(photo, self._shared.max_pixels))
        # what it holds was checked before
        return sizing.pixels(decode_reduced(photo, self._smallest, LARGEST_PHOTO))

    def _named(self, columns: Answer, top_k: int) -> Prediction:
        """A prediction from float32 [columns]."""
        probabilities = self._probabilities(columns)
        return prediction(self.description, probabilities, float(columns[-1]), top_k)

    def _probabilities(self, columns: Answer) -> NDArray[np.float32]:
        """Those of the classes, from float32 [columns]: float32 [classes]."""
        if not np.isfinite(columns).all():
            raise RuntimeError("the model's probabilities are not all numbers")
        classes = self.description.classes
        return self.hooks.probabilities(columns[: len(classes)], classes)


def checked_photo(photo: bytes | Exception, max_pixels: int, smallest: int) -> Checked:
    """The photo with its header; the error where it cannot be used.

    max_pixels: that decoding may hold. smallest: pixels of the shorter side that the model needs; 0
    where photos are decoded whole.
    """
    if isinstance(photo, Exception):
        return photo
    is_long = len(photo) > LONG_BYTES
    try:
        with _reading_header if is_long else nullcontext():
            header = decoded_for(photo_header(photo, LARGEST_PHOTO), smallest)
            check_pixels(header, max_pixels)
            return photo, header
    except PhotoError as error:
        return error


def error_record(error: Exception, where: str, tolerant: bool) -> Prediction:
    """The answer to a photo that cannot be used; without tolerant its error is raised.

    where: in the request, such as "instance 3: ".
    """
    if isinstance(error, PhotoError):
        if not tolerant:
            raise PhotoError(f"{where}{error}") from error
        return {"error": f"{where}the photo cannot be used: {error}"}
    if not tolerant:
        raise error
    return {"error": str(error)}


def numbered(photos: int) -> list[str]:
    """The places of so many photos in their request; empty for the only one."""
    return [f"instance {index}: " if photos > 1 else "" for index in range(photos)]
