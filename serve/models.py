"""The models of a multi-model endpoint: loaded and unloaded by name while others answer."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from artifact.archives.unpack import MODEL_BOUNDS, ArchiveBounds, artifact_folder, discard
from artifact.host.machine import memory_left
from artifact.model import ArtifactError, MissingFile, read_description
from serve.prediction import AnyModel
from serve.predictor import Predictor, SharedLimits

SPARE_BYTES = 64 * 1024 * 1024  # stays free for requests when a model is loaded
# While a model is compiled it takes about this many times the size of its graph's file.
FILES_TO_MEMORY = 2.5
USUAL_CROP = 224
ACTIVATION_BYTES = 512  # of a run, per pixel; vgg's first two layers hold 64 floats each
GRAPHS = (".onnx", ".bin")

log = logging.getLogger(__name__)


class ModelError(RuntimeError):
    """A request about a model that cannot be met: SageMaker's HTTP status, and one sentence."""

    def __init__(self, status: int, sentence: str):
        super().__init__(sentence)
        self.status = status


@dataclass
class Loaded:
    """A model in memory. users: requests that it answers now. bytes: about what it takes."""

    name: str
    url: str
    predictor: AnyModel | None = None  # None while it is being loaded
    users: int = 0
    bytes: int = 0
    last_used: float = field(default_factory=time.monotonic)


class Models:
    """Loaded models by name. Loading and unloading do not hold up users of other models.

    evict: unload the least recently used models to make room, instead of the answer 507, after
    which SageMaker does so. room: bytes that can still be taken. bounds: of a model's archive.
    hooks: whether the models' own functions run.
    """

    process_bytes = 0  # of a model's own process; here all models share one

    def __init__(
        self,
        precision: str = "auto",
        shared: SharedLimits | None = None,
        device: str = "auto",
        evict: bool = False,
        room: Callable[[], int] = memory_left,
        bounds: ArchiveBounds = MODEL_BOUNDS,
        hooks: bool = False,
    ):
        self._precision = precision
        self._shared = shared or SharedLimits()
        self._device = device
        self._evict = evict
        self._room = room
        self._bounds = bounds
        self.hooks = hooks
        self._models: dict[str, Loaded] = {}
        self._changed = threading.Condition()  # guards the models and their users
        # One at a time: no other model takes the room between its measurement and its use.
        self._loading = threading.Lock()

    def load(self, name: str, url: str) -> None:
        """Load the artifact in the folder `url`.

        Raises ModelError 409 for a name in use, 507 without room, 400 for a folder that is not an
        artifact.
        """
        entry = self._reserved(name, url)
        folder: Path | None = None
        try:
            with self._loading:
                folder = artifact_folder(Path(url), self._bounds)
                predictor = self._opened(entry, folder)
        except BaseException as error:
            with self._changed:
                del self._models[name]
                self._changed.notify_all()
            if folder:
                discard(folder)
            known = _as_model_error(name, error)
            if known:
                raise known from error
            raise
        with self._changed:
            entry.predictor = predictor
            self._changed.notify_all()
        log.info("model %r loaded from %r", name, url)

    def unload(self, name: str) -> None:
        """Answer the model's queue, and give its memory back. Raises ModelError 404."""
        with self._changed:
            entry, predictor = self._found(name)
            del self._models[name]
            while entry.users:
                self._changed.wait()
        predictor.close()
        discard(predictor.directory)
        log.info("model %r unloaded", name)

    @contextmanager
    def using(self, name: str) -> Iterator[Any]:  # Any: of the kind that `_open` makes
        """A model's predictor; the model stays loaded meanwhile. Raises ModelError 404."""
        with self._changed:
            entry, predictor = self._found(name)
            entry.users += 1
            entry.last_used = time.monotonic()
        try:
            yield predictor
        finally:
            with self._changed:
                entry.users -= 1
                self._changed.notify_all()

    def listed(self) -> list[dict[str, str]]:
        """Every loaded model as SageMaker asks for it, sorted by name."""
        with self._changed:
            entries = sorted(self._models.items())
            return [described(entry) for _, entry in entries if entry.predictor]

    def describe(self, name: str) -> dict[str, str]:
        """One model. Raises ModelError 404."""
        with self._changed:
            entry, _ = self._found(name)
            return described(entry)

    def faults(self) -> list[str]:
        """Why loaded models do not answer; empty when all do."""
        faults = [predictor.batcher.fault() for predictor in self._predictors()]
        return [fault for fault in faults if fault]

    def waiting(self) -> int:
        """Photos admitted and not yet answered, over all models."""
        return sum(predictor.batcher.waiting for predictor in self._predictors())

    def _predictors(self) -> list[AnyModel]:
        with self._changed:
            return [entry.predictor for entry in self._models.values() if entry.predictor]

    def _reserved(self, name: str, url: str) -> Loaded:
        """The name's entry, without a predictor. Raises ModelError 409 for a name in use."""
        shown = name[:100]
        with self._changed:
            if name in self._models:
                raise ModelError(
                    409,
                    f"a model '{shown}' is loaded already; "
                    f"unload it first by DELETE /models/{shown}",
                )
            entry = Loaded(name, url)
            self._models[name] = entry
            return entry

    def _opened(self, entry: Loaded, folder: Path) -> AnyModel:
        entry.bytes = self.needed_bytes(folder) + self.process_bytes
        self._make_room(entry.bytes + SPARE_BYTES)
        return self._open(folder, lambda: self._forget(entry))

    def needed_bytes(self, folder: Path) -> int:
        """About how much memory a model takes."""
        return needed_bytes(folder)

    def _open(self, folder: Path, died: Callable[[], None]) -> AnyModel:
        """The warm model of the artifact in a folder. died: to be called if it fails for good."""
        return Predictor(
            folder, self._precision, self._shared, self._device, died=died, hooks=self.hooks
        )

    def _found(self, name: str) -> tuple[Loaded, AnyModel]:
        """A model that is loaded. Raises ModelError 404. Called with the lock held."""
        entry = self._models.get(name)
        if entry is None or entry.predictor is None:
            raise ModelError(
                404, f"no model '{name[:100]}' is loaded; load it first by POST /models"
            )
        return entry, entry.predictor

    def _forget(self, entry: Loaded) -> None:
        """Unload a model whose engine has died: SageMaker then loads it anew."""
        log.error("model %r is unloaded: its engine has died", entry.name)
        if self._models.get(entry.name) is entry:
            self.unload(entry.name)

    def _make_room(self, need: int) -> None:
        """Unload idle models until that many bytes are free. Raises ModelError 507."""
        while (room := self._room()) < need:
            idle = self._idle()
            reachable = room + sum(entry.bytes for entry in idle)
            # a model that cannot fit anyway must not cost the others their place
            if not self._evict or not idle or reachable < need:
                raise ModelError(
                    507,
                    f"the model needs about {need / 1e6:.0f} MB and {room / 1e6:.0f} MB are left; "
                    "unload another one first",
                )
            oldest = min(idle, key=lambda entry: entry.last_used)
            log.info("making room: model %r is the least recently used", oldest.name)
            try:
                self.unload(oldest.name)
            except ModelError:  # another request has just unloaded it
                continue

    def _idle(self) -> list[Loaded]:
        with self._changed:
            return [entry for entry in self._models.values() if entry.predictor and not entry.users]


def described(entry: Loaded) -> dict[str, str]:
    """A model in SageMaker's words."""
    return {"modelName": entry.name, "modelUrl": entry.url}


def needed_bytes(folder: Path) -> int:
    """About how much memory the artifact in a folder takes, by its files and its photos' size."""
    graphs = [path for path in folder.glob("model*") if path.suffix in GRAPHS]
    largest = max((path.stat().st_size for path in graphs), default=0)
    return int(largest * FILES_TO_MEMORY) + _activation_bytes(folder)


def _activation_bytes(folder: Path) -> int:
    """About how much memory one run takes beyond that of a photo of the usual size."""
    try:
        crop = read_description(folder).preprocessing.crop
    except ArtifactError:
        return 0  # opening it says why
    return max(0, crop**2 - USUAL_CROP**2) * ACTIVATION_BYTES


def _as_model_error(name: str, error: BaseException) -> ModelError | None:
    """The answer to an error of loading; None for an error that is not the caller's."""
    shown = name[:100]
    if isinstance(error, MemoryError):
        return ModelError(
            507, f"not enough memory to load the model '{shown}'; unload another one first"
        )
    if isinstance(error, MissingFile):
        return ModelError(400, f"the model '{shown}' cannot be loaded: {error.brief}")
    if isinstance(error, ValueError | OSError):
        return ModelError(400, f"the model '{shown}' cannot be loaded: {error}")
    return None
