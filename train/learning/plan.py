"""From settings and photos to a training that is ready to run: the learner, what it is fed, and what a checkpoint must share with it."""

import dataclasses
import logging

import torch

from recipes.hyperparameters import Hyperparameters
from train.data.cached_features import CachedFeatureLoader, open_cached_features
from train.data.channels import Channels
from train.data.loader import PixelLoader
from train.data.photos import PhotoArrays
from train.distributed.context import DistributedContext
from train.job import Job
from train.learning.fit import Fit
from train.learning.incremental import EarlierArtifact
from train.learning.loop import Learner
from train.learning.objective import padded
from train.learning.optimization import class_weights, make_optimizer
from train.model.device import compiled, pick_device, pick_precision
from train.model.networks import Network, Networks, first_side, make_network
from train.model.split_at_frozen import SplitNetwork
from train.model.weights import Source
from train.observers import attach_hook
from train.recording.profile import NoProfile, Profile

UNRELATED = (
    "epochs",
    "test_batch_size",
    "checkpoint_frequency",
    "num_training_samples",
    "top_k",
    "quantize",
    "debug",
    "debug_collections",
    "debug_train_interval",
    "debug_eval_interval",
    "debug_predict_interval",
    "debug_sample",
    "profile",
    "profile_steps",
)  # to what training learns
RISING = 2 / 3  # of the epochs pass until the resolution is full

log = logging.getLogger(__name__)


def make_plan(
    job: Job,
    hp: Hyperparameters,
    channels: Channels,
    context: DistributedContext,
    earlier: EarlierArtifact | None,
    networks: Networks | None,
    profile: NoProfile | Profile,
) -> tuple[Fit, Source]:
    """The training that is to be done, and where the network's first weights came from. JobError where it cannot be.

    It is fed the channels' photos, or where a backbone is frozen and nothing watches its tensors their features.
    """
    device = pick_device(context.local_rank)
    precision = context.broadcast_from_main(lambda: pick_precision(hp.precision, device))
    network = (networks.make if networks else make_network)(
        hp, channels.classes, job.channels, device, precision, context, earlier
    )
    learner = make_learner(hp, channels, network, device, precision, context)
    learner.profile, learner.hook = profile, attach_hook(job, learner)
    preprocessing, classes = learner.preprocessing, len(channels.classes)
    sized = (
        (preprocessing.pixels, preprocessing.crop)
        if hp.augmentation == "none"
        else (preprocessing.stretched, preprocessing.resize)
    )
    validation_photos = PhotoArrays(
        channels.validation.paths, preprocessing.pixels, preprocessing.crop
    )
    photos = PhotoArrays(channels.train.paths, *sized, working=profile.worker)
    train = PixelLoader(
        photos,
        learner.normalize,
        device,
        preprocessing.crop,
        hp.augmentation,
        hp.seed,
        first_side(hp, preprocessing),
        round(hp.epochs * RISING),
    )
    validation = PixelLoader(validation_photos, learner.normalize, device, preprocessing.crop)
    features = (
        _features(learner, network.parts, network.source, train, validation)
        if network.parts and not learner.hook
        else None
    )
    train, validation = features or (train, validation)
    learner.step_module = context.data_parallel(learner.trainable_part)
    if hp.compile and not features:  # behind a cut there is little left to compile
        learner.step_module = _compiled(learner)
    return Fit(
        job,
        learner,
        train,
        padded(channels.train.labels, classes).to(device),
        validation,
        padded(channels.validation.labels, classes),
        validation_photos,
        identity(hp, channels, network.source),
    ), network.source


def _compiled(learner: Learner) -> torch.nn.Module:
    if learner.hook:
        log.warning(
            "compile: left out, for the debugger's hook sees no tensor inside of compiled code"
        )
        return learner.step_module
    return compiled(learner.step_module)


def make_learner(
    hp: Hyperparameters,
    channels: Channels,
    network: Network,
    device: torch.device,
    precision: torch.dtype,
    context: DistributedContext,
) -> Learner:
    """What a step needs, with the optimizer of what learns."""
    module = network.module
    learning = [parameter for parameter in module.parameters() if parameter.requires_grad]
    log.info(
        "network: %s with %s, %s of %s parameters train, on %s in %s",
        hp.model,
        network.source.words,
        f"{sum(p.numel() for p in learning):,}",
        f"{sum(p.numel() for p in module.parameters()):,}",
        torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        str(precision).removeprefix("torch."),
    )
    if hp.weights == "none" and hp.trainable != "all":
        log.warning(
            "weights=none with trainable=%s: what is frozen stays random; set trainable=all to learn it",
            hp.trainable,
        )
    weights = class_weights(hp.class_weights, channels.train.labels, len(channels.classes))
    return Learner(
        module,
        len(channels.classes),
        network.frozen,
        make_optimizer(learning, hp),
        hp,
        network.preprocessing,
        device,
        precision,
        None if weights is None else weights.to(device),
        context=context,
    )


def _features(
    learner: Learner,
    parts: SplitNetwork,
    source: Source,
    train: PixelLoader,
    validation: PixelLoader,
) -> tuple[CachedFeatureLoader, CachedFeatureLoader] | None:
    """The two channels' features instead of their pixels; the learner then steps behind the cut. None where they cannot be kept."""
    hp = learner.hyperparameters
    views = 1 if hp.augmentation == "none" else min(hp.feature_views, hp.epochs)
    key = {
        "model": hp.model,
        "weights": source.fingerprint,
        "trainable": hp.trainable,
        "preprocessing": dataclasses.asdict(learner.preprocessing),
        "precision": str(learner.precision),
        "torch": torch.__version__,
        "device": learner.device.type,
    }
    drawn = {"augmentation": hp.augmentation, "seed": hp.seed} if train.preset else {}
    feeds = []
    for feed, number, own in ((train, views, drawn), (validation, 1, {})):
        feeds.append(
            feed.photos.key
            and open_cached_features(
                feed,
                parts,
                number,
                key | own | {"photos": feed.photos.key},
                learner.precision,
                learner.context,
            )
        )
    if learner.context.any_process(None in feeds):
        return None
    learner.trainable_part = parts.trainable_part
    return tuple(feeds)


def identity(hp: Hyperparameters, channels: Channels, source: Source) -> dict:
    """What two runs must share for one to go on from the other's checkpoint: all that changes results, but for the epochs."""
    values = {
        name: value for name, value in dataclasses.asdict(hp).items() if name not in UNRELATED
    }
    return {
        "data": channels.fingerprint,
        "classes": list(channels.classes),
        "first weights": source.fingerprint,
    } | {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
