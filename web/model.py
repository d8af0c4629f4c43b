"""The model behind the page: what a Site asks of it. It does not know where the model runs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypedDict

MAX_SAMPLE_BYTES = 4 * 1024 * 1024  # Lambda may answer 6 MB, and base64 adds a third


class Label(TypedDict):
    """A class and its probability, from 0 to 1."""

    label: str
    probability: float


class Prediction(TypedDict, total=False):
    """One photo's answer, as /invocations gives it. label and probability: of the best class.

    top: the most probable classes, best first. labels: of a multi-label model, all classes above
    one half.
    """

    label: str
    probability: float
    top: list[Label]
    labels: list[str]


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
    health: returns if the model can answer. sample: a random validation photo.
    """

    classify: Callable[[bytes, str, int], Prediction]
    labels: Callable[[], list[str]]
    health: Callable[[], object]
    sample: Callable[[], Sample]
