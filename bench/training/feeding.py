"""The input path alone against the step alone: ResNet18 at 224, batches of 32, on this machine.

python -m bench.training.feeding PHOTOS: a folder with a folder for each class. It prints photos/s
as JSON. first: photos are decoded; again: they are kept.
"""

import json
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import torch

from artifact.network import Normalize, build
from artifact.preprocessing import Preprocessing
from recipes.hyperparameters import Hyperparameters
from train.data.channels import read_channels
from train.data.loader import PixelLoader
from train.data.photos import PhotoArrays
from train.learning.batches import shuffled
from train.learning.loop import Learner, train_step
from train.learning.objective import multi_hot, padded
from train.learning.optimization import make_optimizer
from train.model.device import pick_device, pick_precision

BATCH = 32
STEPS = 8


def main() -> None:
    device = pick_device()
    preprocessing = Preprocessing()
    channels = read_channels({"train": Path(sys.argv[1])}, (1.0, 0.0, 0.0), 0)
    classes = len(channels.classes)
    hp = Hyperparameters(model="resnet18", weights="none", trainable="all", batch_size=BATCH)
    network = build("resnet18", classes).to(device)
    # as training has it: convolutions are faster
    last = torch.channels_last
    network.to(memory_format=last)  # type: ignore[call-overload]  # torch's
    optimizer = make_optimizer(network.parameters(), hp)
    precision = pick_precision("auto", device)
    learner = Learner(network, classes, [], optimizer, hp, preprocessing, device, precision)
    photos = PhotoArrays(channels.train.paths, preprocessing.stretched, preprocessing.resize)
    normalize = Normalize(preprocessing).to(device)
    loader = PixelLoader(photos, normalize, device, preprocessing.crop, "crop")
    chance = torch.Generator().manual_seed(0)
    batches = shuffled(len(loader), BATCH, chance)
    order = [batch for batch in batches if len(batch) == BATCH]
    labels = padded(channels.train.labels, classes)
    wanted = multi_hot(labels, classes).to(device)
    _, inputs = next(iter(loader.batches(1, order[:1])))
    network.train()
    targets = wanted[order[0]]
    steps = (train_step(learner, inputs, targets, BATCH) for _ in range(STEPS))
    rates = {
        "first": rate(device, loader.batches(1, order)),
        "again": rate(device, loader.batches(2, order)),
        "step": rate(device, steps),
    }
    print(json.dumps(rates | {"device": str(device)}))


def rate(device: torch.device, batches: Iterable[object]) -> float:
    """Photos per second."""
    wait(device)
    started = time.perf_counter()
    count = 0
    for _ in batches:
        count += BATCH
    wait(device)
    return count / (time.perf_counter() - started)


def wait(device: torch.device) -> None:
    """Until a GPU's work is done."""
    if device.type == "cuda":
        torch.cuda.synchronize()


if __name__ == "__main__":
    main()
