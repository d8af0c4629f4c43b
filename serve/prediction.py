"""What answers photos: the parts of a loaded model that the app reaches."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from artifact.answers import Prediction
from artifact.model import Description
from artifact.saliency import Saliency
from serve.request_state import RequestState


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

    def saliency(self, photo: bytes, state: RequestState | None = None) -> Saliency: ...
