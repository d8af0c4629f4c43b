"""The model behind the page: what a Site asks, and a sample photo. It does not know where the model runs."""

from collections.abc import Callable
from dataclasses import dataclass

MAX_SAMPLE_BYTES = 4 * 1024 * 1024  # Lambda may answer 6 MB, and base64 makes a third more of it


@dataclass(frozen=True)
class Sample:
    """A photo of the validation set: its true label, its file's name, its bytes."""

    label: str
    name: str
    photo: bytes


@dataclass(frozen=True)
class Model:
    """The four functions that answer a Site. Each may raise Failure.

    classify: (encoded photo, its media type, top_k) to a prediction as /invocations gives it:
    {"label", "probability", "top", and "labels" for a multi-label model}. labels: all class names.
    health: returns if the model can answer. sample: a random validation photo.
    """

    classify: Callable[[bytes, str, int], dict]
    labels: Callable[[], list[str]]
    health: Callable[[], object]
    sample: Callable[[], Sample]
