"""The model behind the page: what a Site asks of it. It does not know where the model runs."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypedDict

from artifact.photo_metadata import without_metadata
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


class Saliency(TypedDict):
    """Where a photo's answer comes from.

    label: whose probability is looked at, and probability: on the whole photo. heat: rows of
    numbers from 0 to 1, over the square in the photo's middle that the model sees; view: its side,
    as a share of the photo's shorter one. fall: of the probability, where the part that matters
    most is covered. asked: pictures that the model was asked for.
    """

    label: str
    probability: float
    heat: list[list[float]]
    view: float
    fall: float
    asked: int


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
    encoded photo; None where the model cannot say it.
    """

    classify: Callable[[bytes, str, int], Prediction]
    labels: Callable[[], list[str]]
    health: Callable[[], object]
    sample: Callable[[], Sample]
    saliency: Callable[[bytes], Saliency] | None = None


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
