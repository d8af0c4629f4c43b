"""An artifact in this process: photos in, answers out, one call at a time.

A server answers many callers at once by serve/predictor.py. Both decode, run and name alike.
"""

import io
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from artifact.answers import Prediction, prediction
from artifact.archives.unpack import artifact_folder
from artifact.engines.choice import open_engine
from artifact.model import FIRST_DECODER, read_description
from artifact.photos import first_decoder
from artifact.photos.colour import to_rgb
from artifact.photos.decoder import MAX_PIXELS, decode_reduced
from artifact.photos.files import read_regular
from artifact.photos.kinds import PhotoError
from artifact.photos.preprocessing import Pixels

PNG_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")

# What a photo may be given as: a file's path, a file's bytes, uint8 [height, width, 3] in RGB, or
# one of Pillow's images.
Photo = str | os.PathLike[str] | bytes | NDArray[np.uint8] | Image.Image


class OpenedModel:
    """A trained model. Not safe for several threads at once.

    classes: in the order of the network's outputs. accuracy: by channel, such as `test`, from 0 to
    1, as the training measured it.
    """

    def __init__(self, path: Path, precision: str = "auto"):
        """Open the artifact in a folder or a model.tar.gz; ArtifactError where that cannot be."""
        folder = artifact_folder(path)
        self.description = read_description(folder)
        self.engine = open_engine(folder, self.description, precision)
        self.classes = list(self.description.classes)
        self.accuracy = dict(self.description.accuracy)

    def predict(self, photos: Sequence[Photo], top_k: int) -> list[Prediction]:
        """For each photo its top_k most probable classes. PhotoError for one that is no photo."""
        answers: list[Prediction] = []
        step = self.engine.max_batch
        for start in range(0, len(photos), step):
            pixels = np.stack([self._pixels(photo) for photo in photos[start : start + step]])
            answers += [self._named(columns, top_k) for columns in self.engine.run(pixels)]
        return answers

    def close(self) -> None:
        """Give the engine's memory back."""
        self.engine.close()

    def _named(self, columns: NDArray[np.float32], top_k: int) -> Prediction:
        count = len(self.description.classes)
        return prediction(self.description, columns[:count], float(columns[-1]), top_k)

    def _pixels(self, photo: Photo) -> Pixels:
        """The network's view, uint8 [crop, crop, 3]."""
        sizing = self.description.preprocessing
        try:
            data = encoded(photo)
            if self.description.decoder == FIRST_DECODER:
                return sizing.pixels(first_decoder.decode(data, MAX_PIXELS))
            return sizing.pixels(decode_reduced(data, sizing.resize, MAX_PIXELS))
        except PhotoError as error:
            if isinstance(photo, str | os.PathLike):
                raise PhotoError(f"photo '{photo}': {error}") from error
            raise


def encoded(photo: Photo) -> bytes:
    """A photo as a file's bytes, whatever it is given as. PhotoError, or OSError for a path."""
    if isinstance(photo, bytes):
        return photo
    if isinstance(photo, np.ndarray):
        if photo.dtype != np.uint8 or photo.ndim != 3 or photo.shape[2] != 3:
            raise PhotoError(
                "expected an array uint8 [height, width, 3] in RGB, "
                f"found {photo.dtype} {list(photo.shape)}"
            )
        photo = Image.fromarray(photo)
    if isinstance(photo, Image.Image):
        return _as_png(photo)
    return read_regular(Path(photo))


def _as_png(image: Image.Image) -> bytes:
    """Without loss, so that colour profile, orientation and alpha go the way of a file's."""
    profile = image.info.get("icc_profile")
    exif = image.getexif()
    if image.mode not in PNG_MODES:
        image = to_rgb(image)
        profile = None  # it describes other samples than RGB
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1, exif=exif, icc_profile=profile)
    return buffer.getvalue()
