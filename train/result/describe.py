"""The description of a trained model for model.json: its classes, its origin, its accuracy."""

import dataclasses
import importlib.metadata
import os
from collections.abc import Sequence

from artifact.model import Description
from recipes.hyperparameters import Hyperparameters
from train.data.channels import Channels
from train.learning.fit import Fit
from train.model.weights import Source
from train.result.measure import Answers

PACKAGES = ("torch", "torchvision", "timm", "numpy", "pillow", "openvino", "onnx", "nncf")


def describe(
    plan: Fit, channels: Channels, source: Source, temperature: float, calibration: dict[str, float]
) -> Description:
    """The description of the trained network, before its artifact is measured."""
    hp = plan.learner.hyperparameters
    return Description(
        channels.classes,
        plan.learner.preprocessing,
        hp.model,
        hp.head,
        hp.multi_label,
        temperature=temperature,
        calibration=calibration,
        provenance=provenance(hp, channels, source, plan),
        flip_average=hp.flip_average,
    )


def with_accuracy(description: Description, measured: Sequence[Answers]) -> Description:
    """The description with the artifact's own accuracies, and the precision of their engine."""
    precision = None
    if measured:
        precision = measured[0].precision
    return dataclasses.replace(
        description,
        accuracy={answers.channel: answers.accuracy() for answers in measured},
        provenance=description.provenance | {"measured_precision": precision},
    )


def provenance(
    hp: Hyperparameters, channels: Channels, source: Source, plan: Fit
) -> dict[str, object]:
    """The model's origin for model.json: settings, data, versions, commit."""
    found: dict[str, object] = {
        "hyperparameters": dataclasses.asdict(hp),
        "weights": source.words,
    }
    if source.licence:
        found["weights_licence"] = source.licence
    if source.earlier:
        found["earlier"] = source.earlier
    return found | {
        "data": {
            "fingerprint": channels.fingerprint,
            "train": len(channels.train),
            "validation": len(channels.validation),
            "test": len(channels.test),
        },
        "epochs": plan.state.epoch,
        "best_epoch": plan.state.best_epoch,
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
        "git_commit": os.environ.get("SLIPWAY_GIT_COMMIT", "unknown"),
    }
