"""Our engine as the peers serve it: the server is compared, and not the engine.

SLIPWAY_PRECISION names the precision. A photo becomes slipway-serve's JSON.
"""

import os
from pathlib import Path

import numpy as np

from artifact.engines.choice import open_engine
from artifact.model import read_description
from artifact.photos.decoder import decode

TOP = 5


class Model:
    """The trained network in a model folder; photos in, labels out."""

    def __init__(self, directory: str, threads: int | None = None):
        folder = Path(directory)
        self.description = read_description(folder)
        precision = os.environ.get("SLIPWAY_PRECISION", "int8")
        self.engine = open_engine(folder, self.description, precision, threads)

    def answer(self, photo: bytes) -> dict:
        """The five most probable labels of one encoded photo, best first."""
        classes = self.description.classes
        pixels = self.description.preprocessing.pixels(decode(photo))
        probabilities = self.engine.run(pixels[None])[0, : len(classes)]
        best = np.argsort(-probabilities, kind="stable")[:TOP]
        top = [
            {"label": classes[index], "probability": float(probabilities[index])} for index in best
        ]
        return {"predictions": [{**top[0], "top": top}]}
