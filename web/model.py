"""The model behind the page: what a Site asks of it. It does not know where the model runs."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypedDict

from artifact.photos.metadata import without_metadata
from artifact.saliency import Saliency
from web.exchange import Failure

MAX_SAMPLE_BYTES = 4 * 1024 * 1024  # Lambda may answer 6 MB, and base64 adds a third


class Label(TypedDict):
    """A class and its probability, from 0 to 1."""

    label: str
    probability: float


class Prediction(TypedDict, total=False):
    """One photo's answer, as /invocations gives it. label and probability: of the best class.

    top: the most probable classes, best first. labels: of a multi-label model, all classes above
    one half. known: false for a photo unlike all that the training has seen, where the model says.
    """

    label: str
    probability: float
    top: list[Label]
    labels: list[str]
    known: bool


@dataclass(frozen=True)
class Sample:
    """A photo of the validation set: its true label, its file's name, its bytes."""

    label: str
    name: str
    photo: bytes


@dataclass(frozen=True)
class Model:
    """The functions behind a Site. Each may raise Failure.

    classify: from an encoded photo, its media type and top_k. labels: all class names.
    health: returns if the model can answer. sample: a random validation photo. saliency: from an
    encoded photo and its media type; None where the model cannot say it.
    """

    classify: Callable[[bytes, str, int], Prediction]
    labels: Callable[[], list[str]]
    health: Callable[[], object]
    sample: Callable[[], Sample]
    saliency: Callable[[bytes, str], Saliency] | None = None


def bare_sample(model: Model) -> Sample:
    """A sample as it is handed out: nothing in it says where, when and by whom it was taken.

    Raises Failure as `sample` does, and 404 for a format whose metadata cannot be taken out here.
    """
    sample = model.sample()
    photo = without_metadata(sample.photo)
    if photo is None:
        raise Failure(
            404, f"the sample photo '{sample.name}' is not handed out; save it as JPEG or PNG"
        )
    return replace(sample, photo=photo)
