"""The solved head of a frozen backbone against a search over steps, on features alone.

Usage: python -m bench.linear_head [--seeds 10] [--trials 28] [--distance 0.12 | --data FOLDER]

The features are drawn: one Gaussian per class, 6,680 x 2,048 for training, 133 classes. With --data
they are those of EfficientNet-Lite0 for the photos of a folder, split anew by each seed. The search
has the ranges of recipes/dog_breeds.yaml: Adam, lr 0.001 to 0.1 logarithmic, batches of 32 or 64,
five epochs. Both choose by the same validation features; the table has the accuracy on the test
features, the seconds of each, and those of the processor for the solved head. Its last row is the
bar: in how many seeds the solved head is at least as accurate.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from artifact.host.machine import cpu_count
from bench.accuracy.features import Backbone, photos_of
from bench.told_to_stop import until_told
from train.learning.linear_head import Choice, best_of, strengths
from train.learning.logistic import LogisticRegression

CLASSES = 133
FEATURES = 2048
PHOTOS = {"train": 6680, "validation": 835, "test": 836}
SHARES = {"train": 0.7, "validation": 0.1, "test": 0.2}  # of each class of a folder's photos
EPOCHS = 5
SEEDS = 10
TRIALS = 28
DISTANCE = 0.12  # at which the best head reaches about 0.78
LOW_LR, HIGH_LR = 0.001, 0.1
BATCHES = (32, 64)

Part = tuple[torch.Tensor, torch.Tensor]  # features [N, D], labels [N]
Parts = dict[str, Part]


@dataclass(frozen=True)
class Result:
    """Of one way: the accuracy on the test features, and the seconds to get there.

    processor: seconds of it, in all threads; on a busy machine they differ less than those passed.
    """

    accuracy: float
    seconds: float
    processor: float


def drawn(seed: int, distance: float) -> Parts:
    """Features by part. distance: deviation of the classes' means, beside a noise of 1."""
    generator = torch.Generator().manual_seed(seed)
    means = distance * torch.randn(CLASSES, FEATURES, generator=generator)
    parts = {}
    for name, count in PHOTOS.items():
        labels = torch.randint(0, CLASSES, (count,), generator=generator)
        parts[name] = (
            means[labels] + torch.randn(count, FEATURES, generator=generator),
            labels,
        )
    return parts


def split(labels: torch.Tensor, seed: int) -> dict[str, torch.Tensor]:
    """Indices of each part, int64, with SHARES of every class. labels: [N]."""
    generator = torch.Generator().manual_seed(seed)
    found: dict[str, list[torch.Tensor]] = {name: [] for name in SHARES}
    for label in range(int(labels.max()) + 1):
        indices = (labels == label).nonzero()[:, 0]
        indices = indices[torch.randperm(len(indices), generator=generator)]
        counts = [round(share * len(indices)) for share in SHARES.values()]
        counts[-1] = len(indices) - sum(counts[:-1])
        for name, own in zip(SHARES, torch.split(indices, counts), strict=True):
            found[name].append(own)
    return {name: torch.cat(own) for name, own in found.items()}


def of_photos(data: Path) -> Callable[[int], Parts]:
    """What gives the features of a folder's photos by part, for a seed."""
    features, numbers = photos_of(data, Backbone())
    labels = torch.from_numpy(numbers)

    def parts(seed: int) -> Parts:
        places = split(labels, seed)
        return {name: (features[own], labels[own]) for name, own in places.items()}

    return parts


def accuracy(part: Part, weight: torch.Tensor, bias: torch.Tensor) -> float:
    features, labels = part
    answers = functional.linear(features, weight, bias).argmax(1)
    return float((answers == labels).float().mean())


def solved(parts: Parts) -> Result:
    """The head of the best penalty, as a training finds it."""
    started = time.perf_counter()
    used = time.process_time()
    features, labels = parts["train"]
    targets = functional.one_hot(labels).float()
    count = len(labels)
    ones = torch.ones(count, 1)
    regression = LogisticRegression(features, targets, ones, False, count, lambda value: value)
    shown, wanted = parts["validation"]
    path: list[Choice] = []
    for strength in strengths(path, len(wanted)):
        regression.solve(strength)
        weight, bias = regression.layer()
        logits = functional.linear(shown, weight, bias)
        loss = float(functional.cross_entropy(logits, wanted))
        right = float((logits.argmax(1) == wanted).float().mean())
        path.append(Choice(strength, weight, bias, 0.0, 0.0, loss, right))
    chosen = best_of(path, len(wanted))
    reached = accuracy(parts["test"], chosen.weight, chosen.bias)
    return Result(reached, time.perf_counter() - started, time.process_time() - used)


def searched(parts: Parts, trials: int, seed: int) -> Result:
    """The best of some trials, by the validation features."""
    started = time.perf_counter()
    used = time.process_time()
    chance = np.random.default_rng(seed)
    best = -1.0
    reached = 0.0
    for number in range(trials):
        lr = float(np.exp(chance.uniform(np.log(LOW_LR), np.log(HIGH_LR))))
        layer = stepped(parts["train"], lr, int(chance.choice(BATCHES)), 1000 * seed + number)
        found = accuracy(parts["validation"], layer.weight, layer.bias)
        if found > best:
            best = found
            reached = accuracy(parts["test"], layer.weight, layer.bias)
    return Result(reached, time.perf_counter() - started, time.process_time() - used)


def stepped(part: Part, lr: float, batch: int, seed: int) -> nn.Linear:
    """A head that learned in steps."""
    torch.manual_seed(seed)
    features, labels = part
    layer = nn.Linear(features.shape[1], int(labels.max()) + 1)
    optimizer = torch.optim.Adam(layer.parameters(), lr, fused=True)
    for _ in range(EPOCHS):
        for indices in torch.split(torch.randperm(len(labels)), batch):
            optimizer.zero_grad(set_to_none=True)
            loss = functional.cross_entropy(layer(features[indices]), labels[indices])
            loss.backward()  # type: ignore[no-untyped-call]  # torch's own gap
            optimizer.step()
    for parameter in layer.parameters():
        parameter.requires_grad_(False)
    return layer


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.linear_head", description=__doc__)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--trials", type=int, default=TRIALS)
    parser.add_argument("--distance", type=float, default=DISTANCE)
    parser.add_argument("--data", type=Path, help="photos, one folder per class")
    options = parser.parse_args()
    torch.set_num_threads(cpu_count())
    make: Callable[[int], Parts] = partial(drawn, distance=options.distance)
    if options.data:
        make = of_photos(options.data)
    rows: list[tuple[Result, Result]] = []
    with until_told():
        for seed in range(options.seeds):
            parts = make(seed)
            rows.append((solved(parts), searched(parts, options.trials, seed)))
            print(f"linear-head: seed {seed} of {options.seeds} done", flush=True)
    table(rows)


def table(rows: list[tuple[Result, Result]]) -> None:
    print("| seed | solved | seconds | processor, s | best of the search | seconds |")
    print("| --- | --- | --- | --- | --- | --- |")
    for seed, (ours, theirs) in enumerate(rows):
        print(
            f"| {seed} | {ours.accuracy:.4f} | {ours.seconds:.1f} | {ours.processor:.1f} "
            f"| {theirs.accuracy:.4f} | {theirs.seconds:.1f} |"
        )
    if not rows:
        return
    as_good = sum(ours.accuracy >= theirs.accuracy for ours, theirs in rows)
    seconds = sorted(ours.seconds for ours, _ in rows)[len(rows) // 2]
    processor = sorted(ours.processor for ours, _ in rows)[len(rows) // 2]
    times = [theirs.seconds / ours.seconds for ours, theirs in rows]
    longer = sorted(times)[len(times) // 2]
    print(
        f"linear-head: at_least_as_accurate={as_good}/{len(rows)} "
        f"seconds={seconds:.1f} processor={processor:.1f} search_takes={longer:.0f}x"
    )


if __name__ == "__main__":
    main()
