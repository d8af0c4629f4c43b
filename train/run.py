"""A training job from its channels to its artifact and report."""

import dataclasses
import logging
import time

import torch

from artifact.export import check_exportable
from artifact.model import Description
from artifact.network import build, own_preprocessing
from artifact.preprocessing import Preprocessing
from train.channels import Channels, Photos, read_channels
from train.cut import cut
from train.device import pick_device, pick_precision
from train.earlier import Earlier, go_on_from, take_over
from train.features import FeatureFeed, feature_feed
from train.feed import PixelFeed
from train.finish import finish, keep_best
from train.fit import Fit, fit
from train.hyperparameters import Hyperparameters
from train.job import Job, JobError
from train.loop import Learner
from train.objective import padded
from train.optimization import class_weights, make_optimizer
from train.photos import PhotoArrays
from train.stop import Stop
from train.trainable import freeze, set_training
from train.weights import Source, load_weights
from train.world import World

UNRELATED = ("epochs", "test_batch_size", "checkpoint_frequency", "num_training_samples", "top_k", "quantize")  # to what training learns
RISING = 2 / 3  # of the epochs pass until the resolution is full

log = logging.getLogger(__name__)


def run(job: Job, hp: Hyperparameters, stop: Stop, world: World = World()) -> Description:
    """Train, export, measure and report; the artifact is in job.model at the end.

    A request to stop ends the training early, with the artifact of the best epoch so far. JobError, PhotoError or
    OSError when the job fails; whatever fails once an epoch is done, the artifact of the best one is kept.
    """
    started = time.monotonic()
    hp, earlier = go_on_from(job, hp)
    channels = read_channels(job.channels, hp.split, hp.seed, {hp.weights}, hp.multi_label)
    _describe(channels, hp)
    learner, source = make_learner(job, hp, channels, world, earlier)
    plan = make_plan(job, learner, channels, source)
    try:
        fit(plan, stop)
        return finish(job, plan, channels, source, stop, started)
    except Exception as error:
        keep_best(job, plan, channels, source, stop, started, error)
        raise


def make_learner(job: Job, hp: Hyperparameters, channels: Channels, world: World, earlier: Earlier | None = None) -> tuple[Learner, Source]:
    """The network with its first weights, frozen as asked, and its optimizer; and where the weights came from."""
    torch.manual_seed(hp.seed)
    device = pick_device(world.local_rank)
    precision = pick_precision(hp.precision, device)
    try:
        preprocessing = sizes(hp, earlier.description.preprocessing if earlier else None)
        network = build(hp.model, len(channels.classes), hp.head, preprocessing.crop)
    except ValueError as error:
        raise JobError(str(error)) from error
    try:
        check_exportable(network, preprocessing.crop)
    except RuntimeError as error:
        raise JobError(f"model {hp.model} cannot see photos of {preprocessing.crop} x {preprocessing.crop} pixels ({error}); "
                       "set another image_size") from error
    source = take_over(network, hp, earlier, channels.classes) if earlier else load_weights(network, hp.model, hp.weights, job.channels, hp.seed)
    frozen = freeze(network, hp.trainable)
    network.to(device, memory_format=torch.channels_last)
    learning = [parameter for parameter in network.parameters() if parameter.requires_grad]
    weights = class_weights(hp.class_weights, channels.train.labels, len(channels.classes))
    log.info("network: %s with %s, %s of %s parameters train, on %s in %s", hp.model, source.words, f"{sum(p.numel() for p in learning):,}",
             f"{sum(p.numel() for p in network.parameters()):,}", torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
             str(precision).removeprefix("torch."))
    if hp.weights == "none" and hp.trainable != "all":
        log.warning("weights=none with trainable=%s: what is frozen stays random; set trainable=all to learn it", hp.trainable)
    return Learner(network, len(channels.classes), frozen, make_optimizer(learning, hp), hp, preprocessing, device, precision,
                   None if weights is None else weights.to(device), world=world), source


def make_plan(job: Job, learner: Learner, channels: Channels, source: Source) -> Fit:
    """The training that is to be done: the channels' photos, or where a backbone is frozen their features, and their labels."""
    hp, preprocessing, classes = learner.hyperparameters, learner.preprocessing, len(channels.classes)
    sized = (preprocessing.pixels, preprocessing.crop) if hp.augmentation == "none" else (preprocessing.stretched, preprocessing.resize)
    photos = PhotoArrays(channels.train.paths, *sized)
    validation_photos = PhotoArrays(channels.validation.paths, preprocessing.pixels, preprocessing.crop)
    first_side = round(hp.first_resolution * preprocessing.crop)
    train = PixelFeed(photos, learner.normalize, learner.device, preprocessing.crop, hp.augmentation, hp.seed, first_side, round(hp.epochs * RISING))
    validation = PixelFeed(validation_photos, learner.normalize, learner.device, preprocessing.crop)
    train, validation = _features(learner, channels, source, train, validation) or (train, validation)
    return Fit(job, learner, train, padded(channels.train.labels, classes).to(learner.device), validation,
               padded(channels.validation.labels, classes), validation_photos, identity(hp, channels, source))


def _features(learner: Learner, channels: Channels, source: Source, train: PixelFeed, validation: PixelFeed) -> tuple[FeatureFeed, FeatureFeed] | None:
    """The two channels' features instead of their pixels, where a part in front is frozen; the learner then steps behind it."""
    hp, side = learner.hyperparameters, learner.preprocessing.crop
    if not learner.frozen or not hp.feature_views:
        return None
    if hp.first_resolution != 1:
        log.info("features: not kept, because the resolution rises; every epoch runs through the frozen part, too")
        return None
    set_training(learner.network, learner.frozen)
    with learner.autocast():
        parts = cut(learner.network, learner.frozen, torch.zeros(2, 3, side, side, device=learner.device).contiguous(memory_format=torch.channels_last))
    if parts is None:
        return None
    views = 1 if hp.augmentation == "none" else min(hp.feature_views, hp.epochs)
    key = {"model": hp.model, "weights": source.fingerprint, "trainable": hp.trainable, "preprocessing": dataclasses.asdict(learner.preprocessing),
           "precision": str(learner.precision), "torch": torch.__version__, "device": learner.device.type}
    feeds = []
    for channel, photos, feed, own in (("train", channels.train, train, {"augmentation": hp.augmentation, "seed": hp.seed if views > 1 else 0}),
                                       ("validation", channels.validation, validation, {})):
        feeds.append(feature_feed(feed, parts, views if channel == "train" else 1, key | own | photos_key(channels, photos), learner.autocast, learner.world))
    if None in feeds:
        return None
    learner.learning = parts.learning
    return tuple(feeds)


def photos_key(channels: Channels, photos: Photos) -> dict:
    """What tells these photos from others."""
    return {"data": channels.fingerprint, "photos": [str(path) for path in photos.paths]}


def sizes(hp: Hyperparameters, earlier: Preprocessing | None = None) -> Preprocessing:
    """The preprocessing asked for; where a size is 0, the earlier artifact's or the published weights' own, in proportion.
    ValueError when they do not fit."""
    own = earlier or own_preprocessing(hp.model, hp.weights if hp.weights.startswith("IMAGENET") else "DEFAULT")
    crop = hp.image_size or own.crop
    resize = hp.resize or max(crop, round(crop * own.resize / own.crop))
    return dataclasses.replace(own, crop=crop, resize=resize)


def identity(hp: Hyperparameters, channels: Channels, source: Source) -> dict:
    """What two runs must share for one to go on from the other's checkpoint: all that changes results, but for the epochs."""
    values = {name: value for name, value in dataclasses.asdict(hp).items() if name not in UNRELATED}
    return {"data": channels.fingerprint, "classes": list(channels.classes), "first weights": source.fingerprint} | {
        name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def _describe(channels: Channels, hp: Hyperparameters) -> None:
    log.info("photos: train=%d validation=%d test=%d classes=%d", len(channels.train), len(channels.validation),
             len(channels.test), len(channels.classes))
    if hp.num_classes and hp.num_classes != len(channels.classes):
        raise JobError(f"hyperparameter num_classes is {hp.num_classes}, but the train channel holds {len(channels.classes)} classes")
    if hp.num_training_samples and hp.num_training_samples != len(channels.train):
        log.warning("num_training_samples is %d, but the train channel holds %d photos", hp.num_training_samples, len(channels.train))
