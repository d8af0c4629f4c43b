"""Epoch after epoch: train, validate, remember the best, checkpoint, and know when to end."""

import copy
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch

from recipes.hyperparameters import Hyperparameters
from train.data.cached_features import CachedFeatureLoader
from train.data.loader import PixelLoader
from train.data.photos import PhotoArrays
from train.job import Job, JobError
from train.learning.checkpoint import (
    State,
    check_writable,
    learning_state,
    load_checkpoint,
    restore_learning,
    save_checkpoint,
)
from train.learning.loop import Learner, train_epoch, validate
from train.learning.optimization import learning_rate
from train.result.output_files import write_history


@dataclass
class Fit:
    """A training under way. Labels are padded, int64 [N, K]; identity is what a checkpoint must share with this job.

    validation_photos: the validation channel's photos, sized as the artifact sizes them, to measure it on. exported: whether the
    artifact of the best epoch is written.
    """

    job: Job
    learner: Learner
    train: PixelLoader | CachedFeatureLoader
    train_labels: torch.Tensor
    validation: PixelLoader | CachedFeatureLoader
    validation_labels: torch.Tensor
    validation_photos: PhotoArrays
    identity: dict
    state: State = field(default_factory=State)
    exported: bool = False


def fit(plan: Fit, stop: Callable[[], bool]) -> None:
    """Train from the checkpoint, or the start, to the last epoch, early stopping, or a stop; plan.state tells how far.

    Prints one metric line an epoch. JobError when the loss is no number any more, the checkpoints are another's, or one cannot be
    written: going on without would risk in silence what the user asked to have kept. OSError and PhotoError for files.
    """
    hp, learner = plan.learner.hyperparameters, plan.learner
    plan.state = state = load_checkpoint(plan.job, learner, plan.identity)
    first = learner.context.is_main_process
    if state.epoch and first:
        print(f"going on from the checkpoint of epoch {state.epoch}", flush=True)
        write_history(plan.job, state.history)  # a new machine has the checkpoints only
    if first and state.epoch < hp.epochs and not stalled(state.history, hp):
        check_writable(plan.job)
    whole = None  # what was learned up to the last whole epoch, where no checkpoint holds it
    while state.epoch < hp.epochs and not stalled(state.history, hp):
        started, epoch = time.monotonic(), state.epoch + 1
        lr = learning_rate(
            hp,
            epoch,
            [row["validation_loss"] for row in state.history if row["validation_loss"] is not None],
        )
        for group in learner.optimizer.param_groups:
            group["lr"] = lr
        row = _epoch(plan, epoch, stop)
        if row is None:
            if whole:
                restore_learning(learner, whole)
                save_checkpoint(plan.job, state, learner, plan.identity)
            return
        state.history.append(
            {"epoch": epoch, **row, "lr": lr, "seconds": time.monotonic() - started}
        )
        state.epoch = epoch
        _keep_best(state, learner)
        if first:
            print(metric_line(state.history[-1]), flush=True)
        if (
            epoch % hp.checkpoint_frequency == 0
            or epoch == hp.epochs
            or stop()
            or stalled(state.history, hp)
        ):
            with learner.profile.span("Checkpoint"):
                save_checkpoint(plan.job, state, learner, plan.identity)
            whole = None
        else:
            whole = copy.deepcopy(learning_state(learner))
        if first:
            write_history(plan.job, state.history)


def _epoch(plan: Fit, epoch: int, stop: Callable[[], bool]) -> dict | None:
    row = train_epoch(plan.learner, plan.train, plan.train_labels, epoch, stop)
    if row is None:
        return None
    _check_finite("training", row["train_loss"], epoch, plan.learner.hyperparameters.lr)
    if not len(plan.validation_labels):
        return row | {"validation_loss": None, "validation_accuracy": None}
    validated = validate(plan.learner, plan.validation, plan.validation_labels, stop)
    if validated is None:
        return None
    _check_finite(
        "validation", validated["validation_loss"], epoch, plan.learner.hyperparameters.lr
    )
    return row | validated


def _check_finite(which: str, loss: float, epoch: int, lr: float) -> None:
    if not math.isfinite(loss):
        raise JobError(
            f"the {which} loss became {loss} in epoch {epoch}; a lower lr (now {lr}) may help"
        )


def _keep_best(state: State, learner: Learner) -> None:
    """The highest validation accuracy, the lower loss where two are equal; without validation photos the last epoch."""

    def rank(row: dict) -> tuple[float, float]:
        return (
            (row["validation_accuracy"], -row["validation_loss"])
            if row["validation_loss"] is not None
            else (row["epoch"], 0.0)
        )

    best = max(state.history, key=rank)
    if best["epoch"] == state.epoch:
        state.best_epoch = state.epoch
        state.best = {name: value.cpu().clone() for name, value in learner.learned().items()}


def stalled(history: Sequence[dict], hp: Hyperparameters) -> bool:
    """Whether early stopping ends the training: no rise of validation accuracy above the tolerance for `patience` epochs."""
    accuracies = [
        row["validation_accuracy"] for row in history if row["validation_accuracy"] is not None
    ]
    if not hp.early_stopping or len(accuracies) < hp.early_stopping_min_epochs:
        return False
    best, since = -1.0, 0
    for accuracy in accuracies:
        if accuracy > best and (
            best <= 0 or (accuracy - best) / best > hp.early_stopping_tolerance
        ):
            best, since = accuracy, 0
        else:
            since += 1
    return since >= hp.early_stopping_patience


def metric_line(row: dict) -> str:
    """`epoch=3 train_loss=0.51234 …`: name=value with blanks between, what SageMaker's metric regexes read."""
    parts = [f"epoch={row['epoch']}"]
    for name, value in row.items():
        if name.endswith(("_loss", "_accuracy")) and value is not None:
            parts.append(f"{name}={value:.5f}")
    return " ".join([*parts, f"lr={row['lr']:.6g}", f"seconds={row['seconds']:.1f}"])
