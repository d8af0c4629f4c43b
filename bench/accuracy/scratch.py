"""ResNet18 from random weights on photos, as the demo trained before it had pretrained ones."""

from bench.accuracy.parts import Bench, Figures
from bench.accuracy.trainings import each_seed, mean_accuracy

SETTINGS: dict[str, object] = {
    "model": "resnet18",
    "weights": "none",
    "trainable": "all",
    "image_size": 112,
    "epochs": 20,
    "batch_size": 32,
    "optimizer": "adamw",
    "lr": 0.001,
    "weight_decay": 0.05,
    "schedule": "cosine",
    "warmup_epochs": 2,
    "augmentation": "crop",
    "label_smoothing": 0.1,
    "precision": "float32",
}


def measure(bench: Bench) -> Figures:
    return {"yoga8_scratch": mean_accuracy(each_seed(bench, "scratch", SETTINGS))}
