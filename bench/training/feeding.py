"""The input path alone against the step alone: ResNet18 at 224, batches of 32, on this machine's device; prints photos/s as JSON.

python bench/training/feeding.py PHOTOS: a folder of a folder a class. first: photos are decoded; again: they are kept.
"""

import json
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import torch  # noqa: E402

from artifact.network import Normalize, build  # noqa: E402
from artifact.preprocessing import Preprocessing  # noqa: E402
from recipes.hyperparameters import Hyperparameters  # noqa: E402
from train.data.channels import read_channels  # noqa: E402
from train.data.loader import PixelLoader  # noqa: E402
from train.data.photos import PhotoArrays  # noqa: E402
from train.learning.loop import Learner, shuffled, train_step  # noqa: E402
from train.learning.objective import multi_hot, padded  # noqa: E402
from train.learning.optimization import make_optimizer  # noqa: E402
from train.model.device import pick_device, pick_precision  # noqa: E402

BATCH = 32
STEPS = 8


def main():
    device, preprocessing = pick_device(), Preprocessing()
    photos = read_channels({"train": Path(sys.argv[1])}, (1.0, 0.0, 0.0), 0)
    hp = Hyperparameters(model="resnet18", weights="none", trainable="all", batch_size=BATCH)
    network = build("resnet18", len(photos.classes)).to(device, memory_format=torch.channels_last)
    learner = Learner(
        network,
        len(photos.classes),
        [],
        make_optimizer(network.parameters(), hp),
        hp,
        preprocessing,
        device,
        pick_precision("auto", device),
    )
    feed = PixelLoader(
        PhotoArrays(photos.train.paths, preprocessing.stretched, preprocessing.resize),
        Normalize(preprocessing).to(device),
        device,
        preprocessing.crop,
        "crop",
    )
    order = [
        batch
        for batch in shuffled(len(feed), BATCH, torch.Generator().manual_seed(0))
        if len(batch) == BATCH
    ]
    wanted = multi_hot(padded(photos.train.labels, learner.classes), learner.classes).to(device)
    inputs = next(iter(feed.batches(1, order[:1])))[1]
    network.train()
    rates = {
        "first": rate(device, feed.batches(1, order)),
        "again": rate(device, feed.batches(2, order)),
        "step": rate(
            device, (train_step(learner, inputs, wanted[order[0]], BATCH) for _ in range(STEPS))
        ),
    }
    print(json.dumps(rates | {"device": str(device)}))


def rate(device: torch.device, batches: Iterable) -> float:
    """Photos a second."""
    wait: Callable = torch.cuda.synchronize if device.type == "cuda" else (lambda: None)
    wait()
    started, count = time.perf_counter(), 0
    for _ in batches:
        count += BATCH
    wait()
    return count / (time.perf_counter() - started)


if __name__ == "__main__":
    main()
