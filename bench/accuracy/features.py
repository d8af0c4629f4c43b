"""What EfficientNet-Lite0 with its ImageNet weights sees in pictures, without any training."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from artifact.networks.network import Normalize, build, own_preprocessing, put_values
from artifact.networks.timm_network import TimmNetwork
from artifact.photos.decoder import read_photo
from artifact.photos.kinds import PhotoError
from train.device import autocast
from train.model.timm_weights import as_own, published_state

MODEL = "timm/tf_efficientnet_lite0"
IMAGENET = 1000  # classes, of the head that the weights come with
AT_ONCE = 16

Pixels = NDArray[np.uint8]  # [S, S, 3]


class Backbone:
    """The network in front of its head."""

    def __init__(self) -> None:
        self.preprocessing = own_preprocessing(MODEL)
        side = self.preprocessing.crop
        network = build(MODEL, IMAGENET, image_size=side)
        assert isinstance(network, TimmNetwork)
        state, _, _ = published_state(MODEL, "", side)
        put_values(network, as_own(network, MODEL, state), strict=False)
        self._network = network.eval()
        self._normalize = Normalize(self.preprocessing)

    def features(
        self,
        pictures: Iterable[Pixels],
        precision: torch.dtype = torch.float32,
        mirrored: bool = False,
    ) -> torch.Tensor:
        """The head's inputs, float32 [N, D], of pixels as `sized` gives them.

        precision: that they are computed in. mirrored: of the mirror images.
        """
        rows = []
        with torch.inference_mode(), autocast(torch.device("cpu"), precision):
            for pixels in _batches(pictures):
                samples = torch.from_numpy(pixels).permute(0, 3, 1, 2).float()
                if mirrored:
                    samples = samples.flip(3)
                rows.append(self._network.backbone(self._normalize(samples)).float())
        return torch.cat(rows).clone()

    def sized(self, paths: Iterable[Path]) -> Iterator[Pixels]:
        """The pixels of those files that hold a readable picture."""
        for path in paths:
            try:
                yield self.preprocessing.pixels(read_photo(path))
            except (PhotoError, OSError):
                continue


def _batches(pictures: Iterable[Pixels]) -> Iterator[Pixels]:
    batch: list[Pixels] = []
    for pixels in pictures:
        batch.append(pixels)
        if len(batch) == AT_ONCE:
            yield np.stack(batch)
            batch = []
    if batch:
        yield np.stack(batch)


def photos_of(data: Path, backbone: Backbone) -> tuple[torch.Tensor, NDArray[np.int64]]:
    """Features [N, D] and labels [N] of a folder with a folder for each class."""
    pictures, labels = pictures_of(data, backbone)
    return backbone.features(pictures), labels


def pictures_of(data: Path, backbone: Backbone) -> tuple[list[Pixels], NDArray[np.int64]]:
    """The pixels of all readable photos of such a folder, and their labels [N]."""
    pictures: list[Pixels] = []
    labels: list[int] = []
    folders = sorted(path for path in data.iterdir() if path.is_dir())
    for index, folder in enumerate(folders):
        own = list(backbone.sized(files_below(folder)))
        pictures += own
        labels += [index] * len(own)
    return pictures, np.array(labels)


def files_below(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def mean_of(draws: int, measure: Callable[[int], NDArray[np.float64]]) -> NDArray[np.float64]:
    """The mean of several draws' figures."""
    found: NDArray[np.float64] = np.mean([measure(seed) for seed in range(draws)], axis=0)
    return found
