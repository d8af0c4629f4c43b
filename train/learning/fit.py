"""Epoch after epoch: train, validate, remember the best, checkpoint, and know when to end."""

import copy
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch

from artifact.text.names import printable
from recipes.hyperparameters import Hyperparameters
from train.data.photos import PhotoArrays
from train.failure import reason
from train.job import Job, JobError
from train.learning.checkpoint import check_writable, load_checkpoint, save_checkpoint
from train.learning.linear_head import solve_head, take_over
from train.learning.loop import Learner, Loader, Metrics, train_epoch, validate
from train.learning.optimization import SCALE, learning_rate
from train.learning.probe import Probe, run_probe
from train.learning.state import State, learning_state, restore_learning
from train.recording.history import write_history, write_linear_head
from train.tracking import NoTracker


@dataclass
class Fit:
    """A training under way. Labels are padded, int64 [N, K].

    validation_photos: sized as the artifact sizes them, to measure it on. identity: all that a
    checkpoint must share with this job. probe: of the first weights, where it is wanted. exported:
    the artifact of the best epoch is written. tracker: gets each epoch's metrics, too.
    """

    job: Job
    learner: Learner
    train: Loader
    train_labels: torch.Tensor
    validation: Loader
    validation_labels: torch.Tensor
    validation_photos: PhotoArrays
    identity: Mapping[str, object]
    probe: Probe | None = None
    state: State = field(default_factory=State)
    exported: bool = False
    tracker: NoTracker = field(default_factory=NoTracker)

    def restore_best(self) -> None:
        """The best epoch's weights into the network; without a best epoch it keeps its own."""
        if self.state.best:
            self.learner.restore(self.state.best)


def fit(plan: Fit, stop: Callable[[], bool]) -> None:
    """Train from the checkpoint, or the start, to the last epoch, early stopping, or a stop.

    `plan.state` holds how far it came. Prints one metric line per epoch. JobError when the loss is
    not finite, the checkpoints are another job's, or one cannot be written: a training that went
    on would silently lose what it is asked to keep. OSError and PhotoError for files.
    """
    learner = plan.learner
    hp = learner.hyperparameters
    is_main = learner.context.is_main_process
    plan.state = load_checkpoint(plan.job, learner, plan.identity)
    state = plan.state
    _prepare(plan, stop)
    unsaved = None  # the state after the last whole epoch, where no checkpoint holds it
    while _goes_on(state, hp):
        started = time.monotonic()
        epoch = state.epoch + 1
        lr = _set_learning_rate(plan, epoch)
        metrics = _run_epoch(plan, epoch, stop)
        if metrics is None:
            if unsaved:
                restore_learning(learner, unsaved)
                save_checkpoint(plan.job, state, learner, plan.identity)
            return
        seconds = time.monotonic() - started  # without the checkpoint
        state.history.append({"epoch": epoch, **metrics, "lr": lr, "seconds": seconds})
        state.times[epoch] = time.time()
        state.epoch = epoch
        _keep_best(state, learner)
        if is_main:
            print(metric_line(state.history[-1]), flush=True)
            plan.tracker.metrics(state.history[-1], epoch)
        if epoch % hp.checkpoint_frequency == 0 or not _goes_on(state, hp) or stop():
            with learner.profile.span("Checkpoint"):
                save_checkpoint(plan.job, state, learner, plan.identity)
            unsaved = None
        else:
            unsaved = copy.deepcopy(learning_state(learner))  # a stop may come within an epoch
        if is_main:
            _keep_history(plan)


def _keep_history(plan: Fit) -> None:
    """Write history.csv. Each epoch writes it whole, so what fails here ends no training."""
    try:
        write_history(plan.job, plan.state.history, plan.state.times)
    except OSError as error:
        print(printable(f"the history could not be written: {reason(error)}"), flush=True)


def _prepare(plan: Fit, stop: Callable[[], bool]) -> None:
    if plan.learner.context.is_main_process:
        _prepare_files(plan)
    if not plan.state.epoch:
        _begin(plan, stop)


def _prepare_files(plan: Fit) -> None:
    state = plan.state
    if state.epoch:
        print(f"going on from the checkpoint of epoch {state.epoch}", flush=True)
        for row in state.history:
            plan.tracker.metrics(row, int(row["epoch"] or 0))
        # a new machine has the checkpoints only
        _keep_history(plan)
        if state.linear_head:
            write_linear_head(plan.job, state.linear_head)
    if _goes_on(state, plan.learner.hyperparameters):
        check_writable(plan.job)


def _begin(plan: Fit, stop: Callable[[], bool]) -> None:
    """Before the first epoch: solve a linear head on the first weights, and take it if asked."""
    learner = plan.learner
    hp = learner.hyperparameters
    if plan.probe is None:
        return
    labels = (plan.train_labels, plan.validation_labels)
    document, solved = run_probe(learner, plan.probe, *labels, stop)
    state = plan.state
    state.linear_head = document
    if document and learner.context.is_main_process:
        write_linear_head(plan.job, document)
    if solved is None or not hp.head_first:
        return
    take_over(learner, solved.chosen)
    learner.begin_average()
    state.start = {"epoch": 0, **solved.reached()}
    _keep_best(state, learner)


def _goes_on(state: State, hp: Hyperparameters) -> bool:
    return state.epoch < hp.epochs and not stalled(state.history, hp)


def _set_learning_rate(plan: Fit, epoch: int) -> float:
    losses = [row["validation_loss"] for row in plan.state.history]
    known = [loss for loss in losses if loss is not None]
    lr = learning_rate(plan.learner.hyperparameters, epoch, known)
    for group in plan.learner.optimizer.param_groups:
        group["lr"] = lr * group.get(SCALE, 1.0)
    return lr


def _run_epoch(plan: Fit, epoch: int, stop: Callable[[], bool]) -> Metrics | None:
    """Train and validate; the metrics of both, None when stopped."""
    learner = plan.learner
    if learner.hyperparameters.optimizer == "lbfgs":
        trained = _solve(plan, stop)
    else:
        trained = train_epoch(learner, plan.train, plan.train_labels, epoch, stop)
    if trained is None:
        return None
    _check_finite("training", trained["train_loss"], epoch, learner.hyperparameters.lr)
    if not len(plan.validation_labels):
        return {**trained, "validation_loss": None, "validation_accuracy": None}
    with learner.averaged():
        validated = validate(learner, plan.validation, plan.validation_labels, stop)
    if validated is None:
        return None
    _check_finite("validation", validated["validation_loss"], epoch, learner.hyperparameters.lr)
    return trained | validated


def _solve(plan: Fit, stop: Callable[[], bool]) -> Metrics | None:
    """The optimum of the head in place of an epoch; None when stopped."""
    learner = plan.learner
    solved = solve_head(
        learner,
        plan.train,
        plan.train_labels,
        plan.validation,
        plan.validation_labels,
        stop,
        learner.precision,
    )
    if solved is None:
        return None
    take_over(learner, solved.chosen)
    if learner.hook:
        learner.hook.mode("train")
        learner.hook.record(torch.tensor(solved.chosen.train_loss))
    accuracy = {"validation": solved.chosen.validation_accuracy}
    plan.state.linear_head = solved.document() | {"accuracy": accuracy}
    if learner.context.is_main_process:
        write_linear_head(plan.job, plan.state.linear_head)
    return solved.metrics()


def _check_finite(
    which: str,
    loss: float | None,
    epoch: int,
    lr: float,
) -> None:
    if loss is not None and not math.isfinite(loss):
        raise JobError(
            f"the {which} loss became {loss} in epoch {epoch}; a lower lr (now {lr}) may help"
        )


def _keep_best(state: State, learner: Learner) -> None:
    """Keep the values of this epoch if it is the best so far."""
    best = best_row(state.start, state.history)
    if best["epoch"] == state.epoch:
        state.best_epoch = state.epoch
        values = learner.average.values if learner.average else learner.learned()
        state.best = {name: value.cpu().clone() for name, value in values.items()}


def best_row(start: Metrics, history: Sequence[Metrics]) -> Metrics:
    """The best epoch, or `start`, what a solved head reached before the first; {} without one."""
    rows = [*history]
    if start:
        rows.insert(0, start)
    return max(rows, key=_rank)


def _rank(row: Metrics) -> tuple[float, float]:
    """The higher validation accuracy is better; of equal ones the lower loss.

    A solved head that no epoch gets above is kept: few validation photos tell little apart, and its
    features are the published ones. Without validation photos the later epoch is better.
    """
    accuracy = row["validation_accuracy"]
    loss = row["validation_loss"]
    if accuracy is None or loss is None:
        return (row["epoch"] or 0, 0.0)
    if not row["epoch"]:
        return (accuracy, math.inf)
    return (accuracy, -loss)


def stalled(history: Sequence[Metrics], hp: Hyperparameters) -> bool:
    """Whether early stopping ends the training.

    It does when the validation accuracy has not risen above the tolerance for `patience` epochs.
    """
    found = [row["validation_accuracy"] for row in history]
    accuracies = [accuracy for accuracy in found if accuracy is not None]
    if not hp.early_stopping or len(accuracies) < hp.early_stopping_min_epochs:
        return False
    best = -1.0
    epochs_since = 0
    for accuracy in accuracies:
        epochs_since += 1
        if _has_risen(accuracy, best, hp.early_stopping_tolerance):
            best = accuracy
            epochs_since = 0
    return epochs_since >= hp.early_stopping_patience


def _has_risen(accuracy: float, best: float, tolerance: float) -> bool:
    """The tolerance is relative to the best accuracy, which may still be 0."""
    if accuracy <= best:
        return False
    return best <= 0 or (accuracy - best) / best > tolerance


def metric_line(row: Metrics) -> str:
    """`epoch=3 train_loss=0.51234 …`: name=value, as SageMaker's metric regexes read them."""
    parts = [f"epoch={row['epoch']}"]
    for name, value in row.items():
        if name.endswith(("_loss", "_accuracy")) and value is not None:
            parts.append(f"{name}={value:.5f}")
    parts += [f"lr={row['lr']:.6g}", f"seconds={row['seconds']:.1f}"]
    return " ".join(parts)
