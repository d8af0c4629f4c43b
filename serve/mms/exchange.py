"""What the gateway and a worker of MMS say to each other: photos there, predictions back.

MMS carries both as bytes that it does not read. A model's folder is the gateway's own, with the
artifact's path in a file: MMS and its workers take code and settings from the folder of a model.
"""

import json
import os
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from artifact.answers import Prediction
from artifact.model import ArtifactError
from artifact.photos.kinds import PhotoError
from artifact.saliency import Saliency
from serve.batching import EngineDead
from serve.hooks import HookError
from serve.inputs import InputError
from serve.occlusion import PICTURES
from serve.request_state import ClientGone, Overloaded, TooManyPhotos

ARTIFACT_FILE = "artifact"
FAILURE_FILE = "failure"
NO_MEMORY = 507  # SageMaker then unloads another model
PLAIN = {  # errors that a text alone makes
    "photo": PhotoError,
    "too many photos": TooManyPhotos,
    "gone": ClientGone,
    "dead": EngineDead,
    "artifact": ArtifactError,
    "hook": HookError,
}


@dataclass(frozen=True)
class Work:
    """A request for a worker.

    left_s: seconds until nobody waits for the answer. places: of the photos in their request.
    saliency: whether it asks which parts of its one photo decide, in place of predictions.
    """

    photos: Sequence[bytes]
    top_k: int
    left_s: float
    tolerant: bool
    places: Sequence[str] = ()
    saliency: bool = False

    @property
    def pictures(self) -> int:
        """What the model is asked for."""
        return PICTURES if self.saliency else len(self.photos)

    @property
    def size(self) -> int:
        """Bytes of all photos."""
        return sum(map(len, self.photos))

    def packed(self) -> bytes:
        """A line of JSON, then the photos' bytes one after the other."""
        head = {
            "photos": [len(photo) for photo in self.photos],
            "top_k": self.top_k,
            "left_s": self.left_s,
            "tolerant": self.tolerant,
            "places": list(self.places),
            "saliency": self.saliency,
        }
        return b"".join([json.dumps(head).encode(), b"\n", *self.photos])

    @classmethod
    def unpacked(cls, body: bytes) -> "Work":
        """The request that `packed` made into these bytes."""
        end = body.index(b"\n") + 1
        head = json.loads(body[:end])
        photos = []
        for length in head["photos"]:
            photos.append(body[end : end + length])
            end += length
        del head["photos"]
        return cls(photos, **head)


@dataclass(frozen=True)
class Done:
    """A worker's predictions. stages: as in RequestState. seconds: that the worker took.

    saliency: where the request asks for it.
    """

    predictions: list[Prediction]
    stages: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    saliency: Saliency | None = None


class WorkerError(RuntimeError):
    """An error in a worker that is nobody's fault but its own; the text is its traceback."""


def packed_answer(answer: Done | BaseException) -> bytes:
    """The bytes of a worker's answer."""
    if isinstance(answer, Done):
        return json.dumps(vars(answer)).encode()
    return json.dumps(_described(answer)).encode()


def unpacked_answer(body: bytes) -> Done:
    """The answer in these bytes. Raises the worker's error, if that is what it holds."""
    answer = json.loads(body)
    if "failure" in answer:
        raise _error(answer)
    return Done(**answer)


def _described(error: BaseException) -> dict[str, object]:
    for kind, known in PLAIN.items():
        if isinstance(error, known):
            return {"failure": kind, "text": str(error)}
    if isinstance(error, Overloaded):
        return {"failure": "overloaded", "seconds": error.retry_after_s, "text": str(error)}
    if isinstance(error, MemoryError):
        return {"failure": "memory", "text": str(error)}
    return {"failure": "error", "text": "".join(traceback.format_exception(error))}


def _error(answer: dict[str, str | float]) -> Exception:
    kind = str(answer["failure"])
    if kind == "overloaded":
        return Overloaded(float(answer["seconds"]), str(answer["text"]))
    text = str(answer["text"])
    if kind == "memory":
        return MemoryError(text)
    return PLAIN.get(kind, WorkerError)(text)


def no_memory(error: MemoryError) -> InputError:
    """A worker's lack of memory, as the answer to a request."""
    sentence = str(error) or "its worker ran out of memory"
    return InputError(NO_MEMORY, f"the model has no memory for this request: {sentence}")


def hand_over(folder: Path, artifact: Path) -> None:
    """Make the folder by which a model's workers find its artifact."""
    folder.mkdir()
    (folder / ARTIFACT_FILE).write_bytes(os.fsencode(artifact.resolve()))


def artifact_of(folder: Path) -> Path:
    """The artifact's folder, for a worker."""
    return Path(os.fsdecode((folder / ARTIFACT_FILE).read_bytes()))


def write_failure(folder: Path, error: BaseException) -> None:
    """Leave word of why a worker could not open the artifact."""
    (folder / FAILURE_FILE).write_bytes(packed_answer(error))


def failure_in(folder: Path) -> Exception | None:
    """Why a worker could not open the artifact; None when none has said so."""
    try:
        unpacked_answer((folder / FAILURE_FILE).read_bytes())
    except FileNotFoundError:
        return None
    except Exception as error:  # the worker's
        return error
    return None
