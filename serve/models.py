"""The models of a multi-model endpoint: loaded and unloaded by name while others answer."""

import logging
import re
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from artifact.machine import memory_left
from artifact.unpack import artifact_folder, discard
from serve.predictor import Predictor, SharedLimits

SPARE_BYTES = 64 * 1024 * 1024  # stays free for requests when a model is loaded
FILES_TO_MEMORY = (
    2.5  # a loaded model takes up to so many times its graph's file while it is compiled
)

log = logging.getLogger(__name__)


class ModelError(RuntimeError):
    """A request about a model that cannot be met: the HTTP status that SageMaker documents, and one sentence."""

    def __init__(self, status: int, sentence: str):
        super().__init__(sentence)
        self.status = status


@dataclass
class Loaded:
    """A model in memory. `users` answer with it right now."""

    name: str
    url: str
    predictor: Predictor | None = None  # None while it is being loaded
    users: int = 0
    bytes: int = 0  # about what it takes of memory
    last_used: float = field(default_factory=time.monotonic)


class Models:
    """Loaded models by name. Loading and unloading never hold up those who use other models.

    evict: unload the least recently used models to make room, in place of the answer 507 by which SageMaker does so.
    """

    def __init__(
        self,
        precision: str = "auto",
        shared: SharedLimits | None = None,
        device: str = "auto",
        evict: bool = False,
        room: Callable[[], int] = memory_left,
    ):
        self._precision, self._device, self._evict, self._room = precision, device, evict, room
        self._shared = shared or SharedLimits()
        self._models: dict[str, Loaded] = {}
        self._changed = threading.Condition()
        self._loading = (
            threading.Lock()
        )  # one at a time: the room that is measured is the room that is taken

    def load(self, name: str, url: str) -> None:
        """Load the artifact in the folder `url`. ModelError 409 for a name in use, 507 without room, 400 for what is no artifact."""
        entry = Loaded(name, url)
        with self._changed:
            if name in self._models:
                raise ModelError(
                    409,
                    f"a model '{name[:100]}' is loaded already; unload it first by DELETE /models/{name[:100]}",
                )
            self._models[name] = entry
        folder = None
        try:
            with self._loading:
                folder = artifact_folder(Path(url))
                entry.bytes = needed_bytes(folder)
                self._make_room(entry.bytes + SPARE_BYTES)
                predictor = Predictor(
                    folder,
                    self._precision,
                    self._shared,
                    self._device,
                    died=lambda: self._forget(entry),
                )
        except BaseException as error:
            with self._changed:
                del self._models[name]
                self._changed.notify_all()
            if folder:
                discard(folder)
            if isinstance(error, MemoryError):
                raise ModelError(
                    507,
                    f"there is no memory to load the model '{name[:100]}'; unload another one first",
                ) from error
            if isinstance(error, (ValueError, OSError)):
                raise ModelError(
                    400, f"the model '{name[:100]}' cannot be loaded: {error}"
                ) from error
            raise
        with self._changed:
            entry.predictor = predictor
            self._changed.notify_all()
        log.info("model %r loaded from %r", name, url)

    def unload(self, name: str) -> None:
        """Answer what is queued for the model, and give its memory back. ModelError 404."""
        with self._changed:
            entry = self._entry(name)
            del self._models[name]
            while entry.users:
                self._changed.wait()
        entry.predictor.close()
        discard(entry.predictor.directory)
        log.info("model %r unloaded", name)

    @contextmanager
    def using(self, name: str):
        """The predictor of a model, which stays loaded meanwhile. ModelError 404."""
        with self._changed:
            entry = self._entry(name)
            entry.users += 1
            entry.last_used = time.monotonic()
        try:
            yield entry.predictor
        finally:
            with self._changed:
                entry.users -= 1
                self._changed.notify_all()

    def listed(self) -> list[dict]:
        """Every loaded model, by name."""
        with self._changed:
            return [
                described(entry) for name, entry in sorted(self._models.items()) if entry.predictor
            ]

    def describe(self, name: str) -> dict:
        """One model. ModelError 404."""
        with self._changed:
            return described(self._entry(name))

    def faults(self) -> list[str]:
        """Why loaded models do not answer; empty when all do."""
        with self._changed:
            predictors = [entry.predictor for entry in self._models.values() if entry.predictor]
        return [fault for predictor in predictors if (fault := predictor.batcher.fault())]

    def waiting(self) -> int:
        """Photos admitted and not yet answered, over all models."""
        with self._changed:
            return sum(
                entry.predictor.batcher.waiting
                for entry in self._models.values()
                if entry.predictor
            )

    def _entry(self, name: str) -> Loaded:
        entry = self._models.get(name)
        if entry is None or entry.predictor is None:
            raise ModelError(
                404, f"no model '{name[:100]}' is loaded; load it first by POST /models"
            )
        return entry

    def _forget(self, entry: Loaded) -> None:
        """Unload a model whose engine has died: it is asked for again, and loaded anew."""
        log.error("model %r is unloaded: its engine has died", entry.name)
        if self._models.get(entry.name) is entry:
            self.unload(entry.name)

    def _make_room(self, need: int) -> None:
        while (room := self._room()) < need:
            with self._changed:
                idle = [
                    entry for entry in self._models.values() if entry.predictor and not entry.users
                ]
            # what cannot fit must not cost the others their place
            if not (self._evict and idle and room + sum(entry.bytes for entry in idle) >= need):
                raise ModelError(
                    507,
                    f"the model needs about {need / 1e6:.0f} MB and {room / 1e6:.0f} MB are left; unload another one first",
                )
            oldest = min(idle, key=lambda entry: entry.last_used)
            log.info("making room: model %r is the least recently used", oldest.name)
            try:
                self.unload(oldest.name)
            except ModelError:  # somebody else has just unloaded it
                continue


def described(entry: Loaded) -> dict:
    """A model as SageMaker asks for it."""
    return {"modelName": entry.name, "modelUrl": entry.url}


def needed_bytes(folder: Path) -> int:
    """About how much memory loading the artifact in a folder takes, by its files' sizes."""
    graphs = [
        path.stat().st_size
        for path in folder.glob("model*")
        if re.search(r"\.(onnx|bin)$", path.name)
    ]
    return int(max(graphs, default=0) * FILES_TO_MEMORY)
