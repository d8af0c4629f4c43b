"""The answer to one photo, as /invocations gives it, and what gives such answers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, TypedDict

from artifact.model import Description
from serve.request_state import RequestState


class Label(TypedDict):
    """A class and its probability, from 0 to 1."""

    label: str
    probability: float


class Prediction(TypedDict, total=False):
    """label and probability: of the best class. top: the most probable classes, best first.

    labels: of a multi-label model, all classes above one half. known: false for a photo unlike all
    that the training has seen; left out for artifacts without such a score. error: in batch
    transform, and then alone: why this record has no answer.
    """

    label: str
    probability: float
    top: list[Label]
    labels: list[str]
    known: bool
    error: str


class Queue(Protocol):
    """What waits in front of a model."""

    @property
    def waiting(self) -> int:
        """Photos admitted and not yet answered."""

    def fault(self) -> str | None:
        """Why the model no longer answers; None while it does."""


class AnyHooks(Protocol):
    """A user's own functions: serve/hooks.py says what they do."""

    def request(self, body: bytes, content_type: str) -> tuple[bytes, str]: ...

    def answer(self, prediction: Prediction) -> Prediction: ...


class AnyModel(Protocol):
    """A loaded model, in this process or in another. directory: of its files."""

    directory: Path

    @property
    def batcher(self) -> Queue: ...

    def close(self) -> None: ...


class AnyPredictor(AnyModel, Protocol):
    """A model with our artifact: serve/predictor.py says what its parts do."""

    @property
    def description(self) -> Description: ...

    @property
    def hooks(self) -> AnyHooks: ...

    def predict(
        self,
        photos: Sequence[bytes | Exception],
        top_k: int = 5,
        state: RequestState | None = None,
        tolerant: bool = False,
        places: Sequence[str] = (),
    ) -> list[Prediction]: ...
