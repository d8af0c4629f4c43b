"""A loaded model: encoded photos in, labelled probabilities out. Knows nothing of HTTP."""

import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from artifact.engines import cpu_count, open_engine
from artifact.model import read_description
from artifact.preprocessing import PhotoError, decode

MAX_PIXELS = 40_000_000  # a payload of 6 MB can claim to be far more


class Predictor:
    """An artifact and its warm engine; safe to call from many threads."""

    def __init__(self, directory: Path, precision: str = "f32"):
        """Open the artifact in a directory. ArtifactError when it cannot be used."""
        self.description = read_description(directory)
        self._engine = open_engine(directory, self.description, precision)
        # more at a time would not be faster, and each may take hundreds of megabytes
        self._decoding = threading.BoundedSemaphore(cpu_count())

    def predict(self, photos: Sequence[bytes], top_k: int) -> list[dict]:
        """For each encoded photo its label, probability and the top_k most probable labels, best first;
        for a multi-label model also `labels`, all above one half.

        PhotoError for one that cannot be decoded; among several, the text says which.
        """
        answers = []
        for index, photo in enumerate(photos):
            pixels = self._pixels(photo, f"instance {index}: " if len(photos) > 1 else "")
            answers.append(self._named(self._engine.run(pixels[None])[0], top_k))
        return answers

    def _pixels(self, photo: bytes, name: str) -> np.ndarray:
        try:
            with self._decoding:
                return self.description.preprocessing.pixels(decode(photo, MAX_PIXELS))
        except PhotoError as error:
            raise PhotoError(f"{name}{error}") from error

    def _named(self, probabilities: np.ndarray, top_k: int) -> dict:
        best = np.argsort(-probabilities, kind="stable")[:top_k]
        top = [{"label": self.description.classes[index], "probability": float(probabilities[index])} for index in best]
        answer = {**top[0], "top": top}
        if self.description.multi_label:
            answer["labels"] = [name for name, probability in zip(self.description.classes, probabilities) if probability > 0.5]
        return answer
