"""From settings and photos to a training that is ready to run.

Makes the learner, its loaders, and the identity that a checkpoint must share with the job.
"""

import dataclasses
import logging

import torch

from recipes.hyperparameters import Hyperparameters
from train.data.channels import Channels
from train.data.loader import PixelLoader
from train.data.photos import PhotoArrays
from train.device import compiled, pick_device, pick_precision
from train.distributed.context import DistributedContext
from train.job import Job
from train.learning.cached_features import CachedFeatureLoader, open_cached_features
from train.learning.choose_optimizer import choose_optimizer
from train.learning.fit import Fit
from train.learning.loop import Learner, Loader
from train.learning.objective import padded
from train.learning.optimization import class_weights, make_optimizer, parameter_groups
from train.learning.probe import make_probe
from train.model.incremental import EarlierArtifact
from train.model.networks import Network, Networks, first_side, make_network, train_side
from train.model.split_at_frozen import SplitNetwork
from train.model.weights import Source
from train.observers import attach_hook
from train.recording.profile import NoProfile, Profile

# Hyperparameters that do not change what a training learns up to an epoch.
UNRELATED = (
    "preset",
    "time_limit_s",
    "epochs",
    "test_batch_size",
    "checkpoint_frequency",
    "device",
    "num_training_samples",
    "top_k",
    "quantize",
    "probe",
    "debug",
    "debug_collections",
    "debug_train_interval",
    "debug_eval_interval",
    "debug_predict_interval",
    "debug_sample",
    "profile",
    "profile_steps",
)
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
    probed: bool = True,
) -> tuple[Fit, Source]:
    """The training, ready to run, and the source of the network's first weights.

    Its loaders give photos, or their features where a backbone is frozen and no hook observes its
    tensors. probed: it also solves a linear head on the first weights. JobError where it cannot
    run.
    """
    device = pick_device(context.local_rank)
    make = networks.make if networks else make_network
    network = make(hp, channels.classes, job.channels, device, context, earlier)
    hp = choose_optimizer(job, hp, network.module, len(channels.train), profile)
    wanted = hp.precision
    # hosts may have different processors, but must compute in one type
    precision = context.broadcast_from_main(lambda: pick_precision(wanted, device))
    learner = make_learner(hp, channels, network, device, precision, context)
    learner.profile = profile
    learner.hook = attach_hook(job, learner)
    train, validation, validation_photos = _loaders(learner, network, channels)
    probe = make_probe(learner, channels, (train, validation), network.source, probed)
    return Fit(
        job,
        learner,
        train,
        padded(channels.train.labels, learner.classes).to(device),
        validation,
        padded(channels.validation.labels, learner.classes),
        validation_photos,
        identity(hp, channels, network.source),
        probe,
    ), network.source


def _loaders(
    learner: Learner, network: Network, channels: Channels
) -> tuple[Loader, Loader, PhotoArrays]:
    """Of training, of validation, and the validation photos. Gives the learner its step module."""
    pixels = _pixel_loaders(learner, channels)
    features = None
    parts = None
    if not learner.observed:
        parts = network.parts(learner.hyperparameters, learner.device, learner.precision)
    if parts:
        features = _feature_loaders(learner, network, parts, *pixels)
    # after the choice of features, which changes the trainable part
    learner.step_module = _step_module(learner, features is not None)
    train, validation = features or pixels
    return train, validation, pixels[1].photos


def _pixel_loaders(learner: Learner, channels: Channels) -> tuple[PixelLoader, PixelLoader]:
    """The photos of the train channel as views, and of the validation channel as they are."""
    hp = learner.hyperparameters
    preprocessing = learner.preprocessing
    crop = preprocessing.crop
    sized = preprocessing.stretched
    side = preprocessing.resize
    if hp.augmentation == "none":
        sized = preprocessing.pixels
        side = crop
    # first: the memory for decoded photos goes to the channels in this order
    validation_photos = PhotoArrays(channels.validation.paths, preprocessing.pixels, crop)
    validation = PixelLoader(validation_photos, learner.normalize, learner.device, crop)
    train = PixelLoader(
        PhotoArrays(channels.train.paths, sized, side, working=learner.profile.worker),
        learner.normalize,
        learner.device,
        train_side(hp, preprocessing),
        hp.augmentation,
        hp.seed,
        first_side(hp, preprocessing),
        round(hp.epochs * RISING),
        hp.random_erasing,
    )
    return train, validation


def _step_module(learner: Learner, has_features: bool) -> torch.nn.Module:
    """The trainable part as a training step runs it."""
    module = learner.context.data_parallel(learner.trainable_part)
    # behind frozen layers there is little left to compile
    if not learner.hyperparameters.compile or has_features:
        return module
    if learner.observed:
        log.warning("compile: left out, for the debugger's hook sees no tensor in compiled code")
        return module
    return compiled(module)


def make_learner(
    hp: Hyperparameters,
    channels: Channels,
    network: Network,
    device: torch.device,
    precision: torch.dtype,
    context: DistributedContext,
) -> Learner:
    """All that a step needs, with an optimizer of the trainable parameters."""
    module = network.module
    _log_network(hp, network, device, precision)
    weights = class_weights(hp.class_weights, channels.train.labels, len(channels.classes))
    if weights is not None:
        weights = weights.to(device)
    return Learner(
        module,
        len(channels.classes),
        network.frozen,
        make_optimizer(parameter_groups(module, hp.layer_decay), hp),
        hp,
        network.preprocessing,
        device,
        precision,
        weights,
        context=context,
    )


def _log_network(
    hp: Hyperparameters,
    network: Network,
    device: torch.device,
    precision: torch.dtype,
) -> None:
    parameters = list(network.module.parameters())
    trainable = sum(parameter.numel() for parameter in parameters if parameter.requires_grad)
    total = sum(parameter.numel() for parameter in parameters)
    where = "cpu"
    if device.type == "cuda":
        where = torch.cuda.get_device_name(device)
    log.info(
        "network: %s with %s, %s of %s parameters train, on %s in %s",
        hp.model,
        network.source.words,
        f"{trainable:,}",
        f"{total:,}",
        where,
        str(precision).removeprefix("torch."),
    )
    if hp.weights == "none" and hp.trainable != "all":
        log.warning(
            "weights=none with trainable=%s: what is frozen stays random; "
            "set trainable=all to learn it",
            hp.trainable,
        )


def _feature_loaders(
    learner: Learner,
    network: Network,
    parts: SplitNetwork,
    train: PixelLoader,
    validation: PixelLoader,
) -> tuple[CachedFeatureLoader, CachedFeatureLoader] | None:
    """The two channels' cached features in place of their pixels.

    The learner then steps behind the frozen part. None where the features cannot be kept.
    """
    hp = learner.hyperparameters
    key: dict[str, object] = {
        "model": hp.model,
        "weights": network.source.fingerprint,
        "trainable": hp.trainable,
        "preprocessing": dataclasses.asdict(learner.preprocessing),
        "precision": str(learner.precision),
        "torch": torch.__version__,
        "device": learner.device.type,
    }
    views = 1
    if hp.augmentation != "none":
        views = min(hp.feature_views, hp.epochs)
    drawn: dict[str, object] = {}
    if train.preset:
        drawn = {"augmentation": hp.augmentation, "seed": hp.seed, "erased": hp.random_erasing}
    train_features = _open_features(learner, parts, train, views, key | drawn)
    validation_features = _open_features(learner, parts, validation, 1, key)
    missing = train_features is None or validation_features is None
    # all processes or none: they step through the same module
    if learner.context.any_process(missing):
        return None
    assert train_features is not None
    assert validation_features is not None
    learner.trainable_part = parts.trainable_part
    return train_features, validation_features


def _open_features(
    learner: Learner,
    parts: SplitNetwork,
    pixels: PixelLoader,
    views: int,
    key: dict[str, object],
) -> CachedFeatureLoader | None:
    photos = pixels.photos.key
    if photos is None:
        return None
    own = key | {"photos": photos}
    return open_cached_features(pixels, parts, views, own, learner.precision, learner.context)


def identity(hp: Hyperparameters, channels: Channels, source: Source) -> dict[str, object]:
    """All that two runs must share for one to go on from the other's checkpoint.

    It changes results. The number of epochs does not belong to it.
    """
    shared: dict[str, object] = {
        "data": channels.fingerprint,
        "classes": list(channels.classes),
        "first weights": source.fingerprint,
    }
    for name, value in dataclasses.asdict(hp).items():
        if name not in UNRELATED:
            # a checkpoint gives lists back
            shared[name] = list(value) if isinstance(value, tuple) else value
    return shared
