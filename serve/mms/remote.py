"""Models whose engines are in workers of MMS, with the interface of those in this process."""

import contextlib
import itertools
import logging
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from artifact.answers import Prediction
from artifact.archives.unpack import MODEL_BOUNDS, ArchiveBounds
from artifact.model import ArtifactError, read_description
from artifact.saliency import Saliency
from serve.batching import EngineDead
from serve.hooks import open_hooks
from serve.mms.backend import Mms, ModelLost
from serve.mms.exchange import (
    Done,
    Work,
    WorkerError,
    failure_in,
    hand_over,
    no_memory,
    unpacked_answer,
)
from serve.mms.remote_queue import RemoteQueue, RequestCost
from serve.mms.room import Room
from serve.models import Models
from serve.predictor import (
    TIMEOUT_S,
    error_record,
    numbered,
)
from serve.request_state import RequestState

LATE_S = 1.0  # after the deadline: the worker may still say why it is late
WATCH_S = 1.0
PIPE_S = 60.0  # after which both sides have opened a pipe
PROCESS_BYTES = 100 * 1024 * 1024  # of a worker, before its model

log = logging.getLogger(__name__)


class RemoteModel:
    """A model in MMS; safe to call from many threads.

    bodies: the bytes of requests within MMS, of all its models. died: called once, from a thread of
    its own, when MMS has lost the model.
    """

    def __init__(
        self,
        directory: Path,
        mms: Mms,
        name: str,
        workers: int,
        bodies: Room,
        died: Callable[[], None] | None = None,
    ):
        """The caller sees to it that MMS loads the model by that name."""
        self.directory = directory
        self.batcher = RemoteQueue(mms, workers)
        self.name = name
        self.own = Path(tempfile.gettempdir()) / name  # MMS's folder of this model
        self._mms = mms
        self._bodies = bodies
        self._died = died
        self._lock = threading.Lock()

    def lost(self) -> None:
        """MMS no longer has the model: report it once."""
        with self._lock:
            died = self._died
            self._died = None
        if died:
            threading.Thread(target=died, name="model lost", daemon=True).start()

    def close(self) -> None:
        """Unload the model. The caller sees to it that no request is under way."""
        with self._lock:
            self._died = None
        try:
            if self._mms.has(self.name):
                self._mms.unload(self.name)
        except EngineDead as error:
            log.error("model %s was not unloaded: %s", self.name, error)
        shutil.rmtree(self.own, ignore_errors=True)

    def sent(
        self, pack: Callable[[float], bytes], size: int, cost: RequestCost, state: RequestState
    ) -> bytes:
        """A worker's answer, once there is a place for the request.

        pack: gives the bytes for the worker, by the seconds that are left. size: about as many.
        """
        queued = time.monotonic()
        with (
            self.batcher.slots.slot(cost, state, learns=False),
            self._bodies.holding(size, state),
        ):
            started = time.monotonic()
            left_s = state.left_s()
            answer = self._mms.predict(self.name, pack(left_s), left_s + LATE_S)
        state.add("queue", started - queued)
        return answer


class RemotePredictor(RemoteModel):
    """A model with our artifact. It has the methods of Predictor."""

    def __init__(
        self,
        directory: Path,
        mms: Mms,
        name: str,
        workers: int,
        bodies: Room,
        died: Callable[[], None] | None = None,
        hooks: bool = False,
    ):
        """As RemoteModel. hooks: whether the artifact's own functions run. Raises ArtifactError."""
        super().__init__(directory, mms, name, workers, bodies, died)
        self.description = read_description(directory)
        self.hooks = open_hooks(directory, hooks)

    def predict(
        self,
        photos: Sequence[bytes | Exception],
        top_k: int = 5,
        state: RequestState | None = None,
        tolerant: bool = False,
        places: Sequence[str] = (),
    ) -> list[Prediction]:
        """As Predictor.predict. A photo whose header is wrong never reaches a worker."""
        state = state or RequestState.lasting(TIMEOUT_S)
        state.photos += len(photos)
        places = places or numbered(len(photos))
        good: list[bytes] = []
        good_places: list[str] = []
        errors: dict[int, Prediction] = {}
        seconds = 0.0
        for index, photo in enumerate(self.batcher.checked(photos)):
            if isinstance(photo, Exception):
                errors[index] = error_record(photo, places[index], tolerant)
            else:
                good.append(photo[0])
                good_places.append(places[index])
                seconds += photo[1].seconds
        work = Work(good, top_k, 0.0, tolerant, good_places)
        answers = iter(self._answer(work, RequestCost(seconds), state).predictions if good else [])
        return [errors.get(index) or next(answers) for index in range(len(photos))]

    def saliency(self, photo: bytes, state: RequestState | None = None) -> Saliency:
        """As Predictor.saliency: its worker varies the photo."""
        state = state or RequestState.lasting(TIMEOUT_S)
        (checked,) = self.batcher.checked([photo])
        if isinstance(checked, Exception):
            raise checked
        work = Work([photo], 1, 0.0, tolerant=False, saliency=True)
        state.photos += work.pictures
        found = self._answer(work, RequestCost(checked[1].seconds), state).saliency
        assert found is not None, "the worker answers what it was asked for"
        return found

    def _answer(self, work: Work, cost: RequestCost, state: RequestState) -> Done:
        """A worker's answer, if it can give it in time."""
        count = work.pictures
        self.batcher.admit(count, state, self.batcher.slots.expected([cost]))
        try:
            done = self._done(work, cost, state)
        except MemoryError as error:
            raise no_memory(error) from error
        except ModelLost:
            self.lost()
            raise
        finally:
            self.batcher.settle(count)
        for stage, seconds in done.stages.items():
            state.add(stage, seconds)
        return done

    def _done(self, work: Work, cost: RequestCost, state: RequestState) -> Done:
        """A worker's answer, once there is a place for the request."""

        def packed(left_s: float) -> bytes:
            return replace(work, left_s=left_s).packed()

        done = unpacked_answer(self.sent(packed, work.size, cost, state))
        self.batcher.learn(work.pictures, cost, done)
        return done


class RemoteModels(Models):
    """Models of MMS by name. MMS gets names and folders of our own, never a client's."""

    process_bytes = PROCESS_BYTES

    def __init__(
        self,
        mms: Mms,
        bodies: Room,
        evict: bool = False,
        bounds: ArchiveBounds = MODEL_BOUNDS,
        hooks: bool = False,
    ):
        super().__init__(evict=evict, bounds=bounds, hooks=hooks)
        self._mms = mms
        self._bodies = bodies
        self._numbers = itertools.count(1)

    def faults(self) -> list[str]:
        """Why MMS does not answer; a single model of many speaks for itself when it is asked."""
        fault = self._mms.fault()
        return [fault] if fault else []

    def watch(self) -> None:
        """Look after the models for ever: forget those whose processes have died."""
        while True:
            time.sleep(WATCH_S)
            remove_old_pipes(Path(tempfile.gettempdir()))
            for predictor in self._predictors():
                if isinstance(predictor, RemoteModel):
                    self._look_after(predictor)

    def _look_after(self, predictor: RemoteModel) -> None:
        try:
            there = self._mms.has(predictor.name)
        except EngineDead:
            return  # if MMS has died, the server ends
        if not there:
            predictor.lost()

    def _open(self, folder: Path, died: Callable[[], None]) -> RemoteModel:
        name = f"model-{next(self._numbers)}"
        predictor = self._made(folder, self._mms, name, self._bodies, died)
        try:
            hand_over(predictor.own, folder)
            said = self._mms.load(name, predictor.own, 1)
            if said is not None:
                raise opening_error(predictor.own, said)
        except BaseException:
            predictor.close()
            raise
        return predictor

    def _made(
        self, folder: Path, mms: Mms, name: str, bodies: Room, died: Callable[[], None]
    ) -> RemoteModel:
        """Raises ArtifactError."""
        return RemotePredictor(folder, mms, name, 1, bodies, died, self.hooks)


def remove_old_pipes(folder: Path) -> None:
    """Remove the names of pipes that MMS and its workers have open by now; MMS leaves them."""
    opened_before = time.time() - PIPE_S
    for path in folder.glob("*-std???"):
        with contextlib.suppress(OSError):
            if path.is_fifo() and path.stat().st_ctime < opened_before:
                path.unlink()


def opening_error(own: Path, said: str) -> Exception:
    """Why a worker could not open its model, in its own words; else in those of MMS."""
    failure = failure_in(own)
    if isinstance(failure, WorkerError):
        log.error("a worker could not open its model", exc_info=failure)
        failure = None
    return failure or ArtifactError(f"its worker has ended without a reason ({said})")
