"""slipway.load: a trained model in a notebook or script of one's own.

It loads nothing until it is called, and neither torch nor a server then.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING, overload

from slipway.own_artifact import own_artifact

if TYPE_CHECKING:
    from artifact.answers import Prediction
    from artifact.opened_model import OpenedModel, Photo

FILES = ("model.json", "model.tar.gz")
# Below a folder: of a job's /opt/ml tree, of out/, of a project
PLACES = ("", "model", "ml/model", "out/ml/model")


class Model:
    """A trained model; `slipway.load` opens one. Not safe for several threads at once.

    classes: in the order of the network's outputs. accuracy: by channel, such as `test`, from 0 to
    1, as the training measured it.
    """

    def __init__(self, opened: "OpenedModel"):
        self._opened = opened
        self.classes: list[str] = opened.classes
        self.accuracy: dict[str, float] = opened.accuracy

    @overload
    def predict(self, photo: "Photo", top_k: int = 5) -> "Prediction": ...

    @overload
    def predict(
        self, photo: "list[Photo] | tuple[Photo, ...]", top_k: int = 5
    ) -> "list[Prediction]": ...

    def predict(
        self, photo: "Photo | list[Photo] | tuple[Photo, ...]", top_k: int = 5
    ) -> "Prediction | list[Prediction]":
        """What the endpoint answers to a photo; of a list or tuple of photos, to each.

        photo: a file's path or its bytes, one of Pillow's images, or an array uint8 [height, width,
        3] in RGB. top_k: classes in `top`, the most probable first.

        Returns `label` and `probability` of the best class, `top`, `labels` of a multi-label model,
        and `known`, which is false for a photo unlike all that the training has seen. Raises
        ValueError for what is no photo, OSError for a file that cannot be read.
        """
        with own_artifact():
            if isinstance(photo, list | tuple):
                return self._opened.predict(photo, top_k)
            return self._opened.predict([photo], top_k)[0]

    def __repr__(self) -> str:
        measured = ", ".join(f"{name} {100 * value:.1f} %" for name, value in self.accuracy.items())
        return f"<slipway.Model: {len(self.classes)} classes; accuracy: {measured or 'none'}>"


def load(path: "str | os.PathLike[str]") -> Model:
    """The trained model in a folder, in the way that slipway-serve opens it.

    path: of a model.tar.gz, of its unpacked folder, of a job's /opt/ml tree, or of a project.
    Raises ValueError where there is no model that can be opened.
    """
    with own_artifact():
        from artifact.opened_model import OpenedModel

        return Model(OpenedModel(_folder(Path(path))))


def _folder(path: Path) -> Path:
    """The folder below a path that holds a model, or the path itself."""
    for place in PLACES:
        if any((path / place / name).is_file() for name in FILES):
            return path / place
    return path
