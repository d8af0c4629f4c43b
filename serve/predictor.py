"""A loaded model: encoded photos in, labelled probabilities out. Knows nothing of HTTP."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from artifact.engines import open_engine
from artifact.model import read_description
from artifact.preprocessing import PhotoError, decode


class Predictor:
    """An artifact and its warm engine; safe to call from many threads."""

    def __init__(self, directory: Path, precision: str = "f32", requests: int = 1):
        """Open the artifact in a directory. ArtifactError when it cannot be used."""
        self.description = read_description(directory)
        self._engine = open_engine(directory, self.description, precision, requests)

    def predict(self, photos: Sequence[bytes], top_k: int) -> list[dict]:
        """For each encoded photo its label, probability and the top_k most probable labels, best first;
        for a multi-label model also `labels`, all above one half.

        PhotoError for one that cannot be decoded; among several, the text says which.
        """
        pixels = np.stack([self._pixels(photo, f"instance {index}: " if len(photos) > 1 else "") for index, photo in enumerate(photos)])
        return [self._named(probabilities, top_k) for probabilities in self._engine.run(pixels)]

    def _pixels(self, photo: bytes, name: str) -> np.ndarray:
        try:
            return self.description.preprocessing.pixels(decode(photo))
        except PhotoError as error:
            raise PhotoError(f"{name}{error}") from error

    def _named(self, probabilities: np.ndarray, top_k: int) -> dict:
        best = np.argsort(-probabilities, kind="stable")[:top_k]
        top = [{"label": self.description.classes[index], "probability": float(probabilities[index])} for index in best]
        answer = {**top[0], "top": top}
        if self.description.multi_label:
            answer["labels"] = [name for name, probability in zip(self.description.classes, probabilities) if probability > 0.5]
        return answer
