"""Trainings that are sound, on which no rule may fire, and sick ones with the rules that find them.

What needs a network of its own (dead ReLUs, exploding and vanishing gradients) is in
tests/diagnose/test_rules_*.py; what needs a GPU or hours is recorded in test_profiler_rules.py.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

FEW = 3  # photos that a rare class keeps

Settings = Mapping[str, object]  # hyperparameters
SMALL: Settings = {"image_size": 64, "weights": "none", "trainable": "all"}
RESNET: Settings = {**SMALL, "model": "resnet18"}
TINY: Settings = {**SMALL, "model": "timm/test_resnet"}
LITE: Settings = {"model": "timm/tf_efficientnet_lite0", "image_size": 96}


@dataclass(frozen=True)
class Case:
    """A training. found_by: the rules of which one must fire; none of a sound training.

    spoil: changes the training photos, which are links, a folder for each class.
    """

    name: str
    settings: Settings
    found_by: tuple[str, ...] = ()
    spoil: Callable[[Path], None] = field(default=lambda train: None)


def rarify(train: Path) -> None:
    """Leave all classes but the first two few photos."""
    for folder in sorted(train.iterdir())[2:]:
        for photo in sorted(folder.iterdir())[FEW:]:
            photo.unlink()


def mislabel(train: Path) -> None:
    """Keep few photos, and deal them out to the classes whatever they show."""
    folders = sorted(train.iterdir())
    for folder in folders:
        for number, photo in enumerate(sorted(folder.iterdir())):
            if number < 2 * len(folders):
                photo.rename(folders[number % len(folders)] / f"moved-{folder.name}-{photo.name}")
            else:
                photo.unlink()


SOUND = (
    Case("fine-tuned", {**LITE, "trainable": "all", "epochs": 8, "lr": 0.0003}),
    Case("frozen backbone", {**LITE, "optimizer": "adamw", "epochs": 8, "lr": 0.003}),
    Case("from scratch", {**RESNET, "epochs": 12}),
    Case("small batches", {**RESNET, "epochs": 8, "batch_size": 8, "lr": 0.0005}),
    Case(
        "augmented",
        {
            **LITE,
            "trainable": "all",
            "epochs": 8,
            "lr": 0.0005,
            "augmentation": "trivial",
            "mixup": 0.2,
            "label_smoothing": 0.1,
        },
    ),
    Case(
        "warm-up and cosine",
        {
            **LITE,
            "trainable": "all",
            "epochs": 10,
            "lr": 0.001,
            "schedule": "cosine",
            "warmup_epochs": 1,
        },
    ),
    Case(
        "vision transformer",
        {
            **SMALL,
            "model": "timm/vit_tiny_patch16_224",
            "epochs": 15,
            "lr": 0.0003,
            "warmup_epochs": 2,
        },
    ),
)
SICK = (
    Case(
        "learning rate 100",
        {**TINY, "epochs": 10, "optimizer": "sgd", "lr": 100},
        ("LossNotDecreasing", "WeightUpdateRatio", "ExplodingTensor"),
    ),
    Case(
        "constant loss",
        {**TINY, "epochs": 12, "optimizer": "sgd", "lr": 1e-14},
        ("LossNotDecreasing",),
    ),
    Case("class imbalance", {**TINY, "epochs": 20}, ("ClassImbalance",), rarify),
    Case(
        "overfit",
        {**RESNET, "epochs": 25, "augmentation": "none", "lr": 0.001},
        ("Overfit",),
        mislabel,
    ),
)
