"""A training job from its channels to its artifact and report."""

import dataclasses
import logging
import time

import torch

from artifact.model import Description
from artifact.network import build, own_preprocessing
from artifact.preprocessing import Preprocessing
from train.channels import Channels, read_channels
from train.finish import finish
from train.fit import Fit, fit
from train.hyperparameters import Hyperparameters
from train.job import Job, JobError
from train.loop import Learner
from train.objective import padded
from train.optimization import class_weights, make_optimizer
from train.photos import PhotoArrays
from train.stop import Stop
from train.trainable import freeze
from train.weights import load_weights

log = logging.getLogger(__name__)


def run(job: Job, hp: Hyperparameters, stop: Stop) -> Description:
    """Train, export, measure and report; the artifact is in job.model at the end.

    A request to stop ends the training early, with the artifact of the best epoch so far. JobError, PhotoError or
    OSError when the job fails; where a loss stops being a number, the artifact of the best epoch is kept.
    """
    started = time.monotonic()
    channels = read_channels(job.channels, hp.split, hp.seed, {hp.weights}, hp.multi_label)
    _describe(channels, hp)
    learner, source = make_learner(job, hp, channels)
    classes = len(channels.classes)
    sized = learner.preprocessing.pixels, learner.preprocessing.crop
    if hp.augmentation != "none":
        sized = learner.preprocessing.stretched, learner.preprocessing.resize
    plan = Fit(job, learner, PhotoArrays(channels.train.paths, *sized), padded(channels.train.labels, classes),
               PhotoArrays(channels.validation.paths, learner.preprocessing.pixels, learner.preprocessing.crop),
               padded(channels.validation.labels, classes), identity(hp, channels))
    try:
        fit(plan, stop)
    except JobError:
        if plan.state.best_epoch:
            finish(job, plan, channels, source, stop, started)
        raise
    return finish(job, plan, channels, source, stop, started)


def make_learner(job: Job, hp: Hyperparameters, channels: Channels) -> tuple[Learner, str]:
    """The network with its first weights, frozen as asked, and its optimizer; and where the weights came from."""
    torch.manual_seed(hp.seed)
    try:
        preprocessing = sizes(hp)
        network = build(hp.model, len(channels.classes), hp.head, preprocessing.crop)
    except ValueError as error:
        raise JobError(str(error)) from error
    try:
        network.eval()(torch.zeros(1, 3, preprocessing.crop, preprocessing.crop))
    except RuntimeError as error:
        raise JobError(f"model {hp.model} cannot see photos of {preprocessing.crop} x {preprocessing.crop} pixels ({error}); "
                       "set another image_size") from error
    source = load_weights(network, hp.model, hp.weights, job.channels)
    frozen = freeze(network, hp.trainable)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if hp.precision == "float16" and device.type == "cpu":
        raise JobError("hyperparameter precision=float16 needs a GPU; on this machine set bfloat16 or float32")
    network.to(device)
    learning = [parameter for parameter in network.parameters() if parameter.requires_grad]
    weights = class_weights(hp.class_weights, channels.train.labels, len(channels.classes))
    log.info("network: %s with %s, %s of %s parameters train, on %s", hp.model, source, f"{sum(p.numel() for p in learning):,}",
             f"{sum(p.numel() for p in network.parameters()):,}", torch.cuda.get_device_name() if device.type == "cuda" else "cpu")
    if hp.weights == "none" and hp.trainable != "all":
        log.warning("weights=none with trainable=%s: what is frozen stays random; set trainable=all to learn it", hp.trainable)
    return Learner(network, len(channels.classes), frozen, make_optimizer(learning, hp), hp, preprocessing, device,
                   None if weights is None else weights.to(device)), source


def sizes(hp: Hyperparameters) -> Preprocessing:
    """The preprocessing asked for; where a size is 0, the published weights' own, in proportion. ValueError when they do not fit."""
    own = own_preprocessing(hp.model, hp.weights if hp.weights.startswith("IMAGENET") else "DEFAULT")
    crop = hp.image_size or own.crop
    resize = hp.resize or max(crop, round(crop * own.resize / own.crop))
    return dataclasses.replace(own, crop=crop, resize=resize)


def identity(hp: Hyperparameters, channels: Channels) -> dict:
    """What two runs must share for one to go on from the other's checkpoint: all that changes results, but for the epochs."""
    values = {name: value for name, value in dataclasses.asdict(hp).items()
              if name not in ("epochs", "test_batch_size", "checkpoint_frequency", "num_training_samples", "top_k", "quantize")}
    return {"data": channels.fingerprint, "classes": list(channels.classes)} | {
        name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def _describe(channels: Channels, hp: Hyperparameters) -> None:
    log.info("photos: train=%d validation=%d test=%d classes=%d", len(channels.train), len(channels.validation),
             len(channels.test), len(channels.classes))
    if hp.num_classes and hp.num_classes != len(channels.classes):
        raise JobError(f"hyperparameter num_classes is {hp.num_classes}, but the train channel holds {len(channels.classes)} classes")
    if hp.num_training_samples and hp.num_training_samples != len(channels.train):
        log.warning("num_training_samples is %d, but the train channel holds %d photos", hp.num_training_samples, len(channels.train))
