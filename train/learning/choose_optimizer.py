"""The optimizer of a training where none is named: steps, or a head that is solved."""

import dataclasses
import logging

from torch import nn

from artifact.host.machine import memory_limit
from recipes.hyperparameters import Hyperparameters, given
from recipes.presets import preset_values
from recipes.solved_head import obstacle as settings_obstacle
from recipes.solved_head import refused
from train.job import Job, JobError
from train.model.trainable import head_name
from train.observers import wants_network_hook
from train.recording.profile import NoProfile, Profile

# With one of these given, `optimizer: auto` descends by gradients.
GRADIENT_SETTINGS = frozenset(
    {
        "lr",
        "momentum",
        "weight_decay",
        "beta_1",
        "beta_2",
        "eps",
        "gamma",
        "schedule",
        "lr_scheduler_factor",
        "lr_scheduler_step",
        "lr_scheduler_patience",
        "warmup_epochs",
        "batch_size",
        "label_smoothing",
        "augmentation",
        "feature_views",
        "first_resolution",
        "compile",
        "head_first",
        "layer_decay",
        "ema_decay",
        "frozen_statistics",
        "mixup",
        "cutmix",
        "random_erasing",
        "clip_gradients",
        "accumulate",
        "train_size",
    }
)
MOST_FEATURES = 8192  # whose covariance is quick to factorise
MEMORY_SHARE = 0.4  # of this process's memory, for features and what the solver makes of them
COPIES = 3  # of the features, at the peak


log = logging.getLogger(__name__)


def choose_optimizer(
    job: Job, hp: Hyperparameters, network: nn.Module, photos: int, profile: NoProfile | Profile
) -> Hyperparameters:
    """The settings with `auto` replaced; those of a solved head are fitted to it.

    photos: of the train channel. profile: it watches steps, as a hook does. JobError where lbfgs is
    asked for and cannot be had.
    """
    if hp.optimizer not in ("auto", "lbfgs"):
        return hp
    observed = isinstance(profile, Profile) or wants_network_hook(job, hp)
    obstacle = _obstacle(hp, network, photos, observed)
    # defaults ask for nothing
    named = given(job.hyperparameters()) | preset_values(hp.preset).keys()
    if hp.optimizer == "auto" and (obstacle or named & GRADIENT_SETTINGS):
        return dataclasses.replace(hp, optimizer="adamw")
    if obstacle:
        raise JobError(refused(obstacle))
    log.info(
        "optimizer: lbfgs solves the head on the centre view of each photo, in float32; epochs, "
        "schedule, augmentation and precision are not used (optimizer=adamw learns in steps)"
    )
    return dataclasses.replace(
        hp,
        optimizer="lbfgs",
        epochs=1,
        lr=0.0,
        augmentation="none",
        compile=False,
        head_first=False,
        ema_decay=0.0,
        train_size=0,
        # each feature is computed once: rounding would save little, and can only lose
        precision="float32",
    )


def _obstacle(hp: Hyperparameters, network: nn.Module, photos: int, observed: bool) -> str:
    """Why the head cannot be solved, as the end of a sentence; "" where it can."""
    name = head_name(network)
    of_settings = settings_obstacle(hp, name, observed)
    if of_settings:
        return of_settings
    head = network.get_submodule(name)
    if not isinstance(head, nn.Linear):
        return f"solves a linear layer, and the head of {hp.model} is none; set optimizer=adamw"
    return size_obstacle(hp.model, photos, head.in_features)


def size_obstacle(model: str, photos: int, features: int) -> str:
    """Why a head on so many features cannot be solved, as the end of a sentence; "" if it can."""
    gigabytes = COPIES * photos * features * 4 / 1e9
    if features > MOST_FEATURES:
        return f"takes at most {MOST_FEATURES} features; {model} has {features}"
    if gigabytes * 1e9 > MEMORY_SHARE * memory_limit():
        return f"needs {gigabytes:.1f} GB of memory for the features; set optimizer=adamw"
    return ""
