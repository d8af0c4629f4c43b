"""The description of a trained model for model.json: its classes, its origin, its accuracy."""

import dataclasses
import importlib.metadata
import logging
import os
from collections.abc import Sequence

from artifact.engines.speed import DECODED, SPEED_FIELD, speed
from artifact.model import Description
from artifact.photos.decoder import DECODER
from artifact.photos.files import read_regular
from artifact.photos.kinds import PhotoError
from recipes.hyperparameters import Hyperparameters
from train.data.channels import Channels
from train.learning.fit import Fit
from train.model.weights import Source
from train.result.measure import Answers

STOPPED = "the training was stopped before its first epoch ended"
UNTRAINED = f"{STOPPED}: this model has learnt nothing, and its answers mean nothing"
UNCHANGED = f"{STOPPED}: this model is the earlier one, and has learnt nothing new"
log = logging.getLogger(__name__)

PACKAGES = ("torch", "torchvision", "timm", "numpy", "pillow", "openvino", "onnx", "nncf")


def describe(
    plan: Fit,
    channels: Channels,
    source: Source,
    temperature: float,
    calibration: dict[str, float],
    known: dict[str, object],
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
        known=known,
        decoder=DECODER,
        provenance=provenance(hp, channels, source, plan),
        flip_average=hp.flip_average,
    )


def with_accuracy(description: Description, measured: Sequence[Answers]) -> Description:
    """The description with the artifact's own accuracies, its engine's precision, and its speed."""
    precision = None
    figures: dict[str, object] = {}
    if measured:
        precision = measured[0].precision
        figures = _speed(description, measured[0])
    return dataclasses.replace(
        description,
        accuracy={answers.channel: answers.accuracy() for answers in measured},
        provenance=description.provenance | {"measured_precision": precision} | figures,
    )


def _speed(description: Description, answers: Answers) -> dict[str, object]:
    """What a photo costs one core, for `launch size`; empty where a photo cannot be read again."""
    count = min(DECODED, len(answers.paths))
    try:
        photos = [read_regular(answers.paths[index]) for index in range(count)]
        found = speed(description.preprocessing, photos, answers.engine_ms, answers.precision)
    except (OSError, PhotoError):
        return {}
    return {SPEED_FIELD: found}


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
    if not plan.state.epoch:
        found["untrained"] = UNCHANGED if source.earlier else UNTRAINED
        log.warning(found["untrained"])
    data: dict[str, object] = {
        "fingerprint": channels.fingerprint,
        "train": len(channels.train),
        "validation": len(channels.validation),
        "test": len(channels.test),
    }
    if channels.train.paths.owners is not None:
        data["train_on_first_host"] = len(channels.train.on_host(0))
    return found | {
        "data": data,
        "epochs": plan.state.epoch,
        "best_epoch": plan.state.best_epoch,
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
        "git_commit": os.environ.get("SLIPWAY_GIT_COMMIT", "unknown"),
    }
