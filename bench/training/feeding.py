"""The input path and the step, alone and together, at 224 pixels, on this machine's device.

python -m bench.training.feeding PHOTOS: a folder with a folder for each class. It prints photos/s
as JSON. first: photos are decoded; again: they are kept; step: training on one batch that is there.
With --fed also jpegs and resident: training on photos that are decoded, and on those that are kept.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import torch

from artifact.networks.network import Normalize, build
from artifact.photos.preprocessing import Preprocessing
from recipes.hyperparameters import Hyperparameters
from train.data.batches import shuffled
from train.data.cache import CacheLimits
from train.data.channels import read_channels
from train.data.loader import Batch, Order, PixelLoader
from train.data.photos import PhotoArrays
from train.device import pick_device, pick_precision
from train.learning.loop import Learner, train_step
from train.learning.objective import multi_hot, padded
from train.learning.optimization import make_optimizer

WARM_STEPS = 3  # of --fed, not timed: a GPU's first calls choose kernels


def main() -> None:
    options = arguments()
    feeding = Feeding(options.photos, options.model, options.batch_size, options.side)
    with tempfile.TemporaryDirectory() as folder:
        loader = feeding.loader(Path(folder) / "alone")
        _, inputs = next(iter(loader.batches(1, feeding.order[:1])))
        if options.fed:
            rate_of_steps(feeding, inputs, WARM_STEPS)
        rates = {
            "first": rate(feeding, loader.batches(1, feeding.order)),
            "again": rate(feeding, loader.batches(2, feeding.order)),
            "step": rate_of_steps(feeding, inputs, options.steps),
        }
        loader.photos.close()
        if options.fed:
            fed = feeding.loader(Path(folder) / "fed")
            rates["jpegs"] = rate(feeding, feeding.trained(fed.batches(1, feeding.order)))
            rates["resident"] = rate(feeding, feeding.trained(fed.batches(2, feeding.order)))
            fed.photos.close()
    print(json.dumps(rates | {"device": str(feeding.device)}))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="feeding", description=__doc__)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--model", default="resnet18")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--side", type=int, default=224, help="of the views, pixels")
    parser.add_argument("--steps", type=int, default=8, help="on the batch that is there")
    parser.add_argument("--fed", action="store_true", help="also train from the input path")
    return parser.parse_args()


class Feeding:
    """A training of all layers on the photos of a folder; `order` has its whole batches."""

    def __init__(self, photos: Path, model: str, batch_size: int, side: int) -> None:
        self.device = pick_device()
        self.batch_size = batch_size
        self.preprocessing = Preprocessing(resize=side * 256 // 224, crop=side)
        self.channel = read_channels({"train": photos}, (1.0, 0.0, 0.0), 0)
        classes = len(self.channel.classes)
        hp = Hyperparameters(model=model, weights="none", trainable="all", batch_size=batch_size)
        network = build(model, classes, (), side).to(self.device)
        # as training has it: convolutions are faster
        last = torch.channels_last
        network.to(memory_format=last)  # type: ignore[call-overload]  # torch's
        network.train()
        optimizer = make_optimizer(network.parameters(), hp)
        precision = pick_precision("auto", self.device)
        settings = (hp, self.preprocessing, self.device, precision)
        self.learner = Learner(network, classes, [], optimizer, *settings)
        labels = padded(self.channel.train.labels, classes)
        self.wanted = multi_hot(labels, classes).to(self.device)
        chance = torch.Generator().manual_seed(0)
        batches = shuffled(len(labels), batch_size, chance)
        self.order: Order = [batch for batch in batches if len(batch) == batch_size]

    def loader(self, kept: Path) -> PixelLoader:
        """A loader whose photos are not decoded yet. kept: the folder that keeps them."""
        sized = self.preprocessing.stretched
        limits = CacheLimits(root=kept)
        paths = self.channel.train.paths
        photos = PhotoArrays(paths, sized, self.preprocessing.resize, limits=limits)
        normalize = Normalize(self.preprocessing).to(self.device)
        return PixelLoader(photos, normalize, self.device, self.preprocessing.crop, "crop")

    def trained(self, batches: Iterable[Batch]) -> Iterator[object]:
        """A step of training on each batch."""
        for indices, inputs in batches:
            yield train_step(self.learner, inputs, self.wanted[indices], self.batch_size)


def rate_of_steps(feeding: Feeding, inputs: tuple[torch.Tensor, ...], steps: int) -> float:
    """Photos per second of steps on one batch."""
    targets = feeding.wanted[feeding.order[0]]
    size = feeding.batch_size
    return rate(feeding, (train_step(feeding.learner, inputs, targets, size) for _ in range(steps)))


def rate(feeding: Feeding, batches: Iterable[object]) -> float:
    """Photos per second."""
    wait(feeding.device)
    started = time.perf_counter()
    count = 0
    for _ in batches:
        count += feeding.batch_size
    wait(feeding.device)
    return count / (time.perf_counter() - started)


def wait(device: torch.device) -> None:
    """Until a GPU's work is done."""
    if device.type == "cuda":
        torch.cuda.synchronize()


if __name__ == "__main__":
    main()
