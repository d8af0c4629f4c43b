"""Rules on trainings that go on for too long: Overfit and Overtraining.

Definitions and defaults: SageMaker's list of Debugger built-in rules,
https://docs.aws.amazon.com/sagemaker/latest/dg/debugger-built-in-rules.html
"""

import dataclasses
import math
import statistics
from typing import TYPE_CHECKING, ClassVar

from smdebug.core.modes import ModeKeys

from diagnose.findings import HINT
from diagnose.losses import LOSSES, LossRule, Point

if TYPE_CHECKING:
    from diagnose.trial import JobTrial


class Overfit(LossRule):
    """Fires when the validation loss is too far above the training loss.

    The ratio (mean validation loss - mean training loss) / mean training loss is then above
    `ratio_threshold` in each of `patience` passes in a row. SageMaker's documentation does not say
    what the means are taken over. Here they are taken over the validation pass, and over the
    training steps that were saved since the pass before. A "step" of `patience` is a validation
    pass. `start_step` counts all forward passes. A training loss of 0 makes the ratio infinite.

    A gap alone is no harm: the training loss is of photos that were just learned, and of a network
    that is nearly done it is as good as 0. So a pass counts only where the validation loss has
    risen above its best by `rise`, and by that share of it, while the training loss is lower than
    it was then. SageMaker's rule has patience=1 and rise=0, which is without that condition.
    """

    advice = (
        "more photos or stronger augmentation, weight_decay, label_smoothing, dropout, fewer "
        "trainable layers, early_stopping; the artifact is of the best epoch all the same"
    )
    needs = "losses of both train and eval (validation photos, and eval steps saved)"
    sagemaker: ClassVar[dict[str, object]] = {"patience": 1, "rise": 0.0}

    def __init__(
        self,
        base_trial: "JobTrial",
        *,
        tensor_regex: str | None = None,
        start_step: int = 0,
        patience: int = 5,
        ratio_threshold: float = 0.1,
        rise: float = 0.1,
    ) -> None:
        super().__init__(base_trial, tensor_regex, [] if tensor_regex else [LOSSES])
        self.start_step = start_step
        self.patience = patience
        self.threshold = ratio_threshold
        self.rise = rise
        self.best = (math.inf, math.inf)  # the lowest validation loss, and the training loss then
        self.training: list[float] = []  # losses since the last validation pass
        self.streak = 0  # passes in a row above the threshold

    def invoke_at_step(self, step: int) -> bool:
        """Compare a validation pass, once it is complete, with the training steps before it."""
        if step < self.start_step:
            return False
        fired = False
        for point in self.points(step):
            if point.mode == "TRAIN":
                self.training.append(point.value)
            elif point.mode == "EVAL" and self.training:
                self.count_step()
                fired = self._compare(point, statistics.fmean(self.training)) or fired
                self.training = []
        return fired

    def _compare(self, point: Point, train: float) -> bool:
        ratio = _excess(point.value, train)
        if ratio > self.threshold and self._has_risen(point.value, train):
            self.streak += 1
        else:
            self.streak = 0
        if self.streak < self.patience:
            return False
        sentence = (
            f"the validation loss ({point.value:.4g}) is {100 * ratio:.0f} % above the training "
            f"loss ({train:.4g}) of the steps before it"
        )
        return self.fire(point.step, point.tensor, ratio, self.threshold, sentence)

    def _has_risen(self, validation: float, train: float) -> bool:
        """Whether the validation loss has left its best while the training loss fell on."""
        if not self.rise:
            return True
        best, train_then = self.best
        if not validation >= best:
            self.best = (validation, train)
            return False
        return validation > best + max(self.rise, self.rise * best) and train < train_then


def _excess(validation: float, train: float) -> float:
    """By what part of the training loss the validation loss is above it."""
    if train > 0:
        return (validation - train) / train
    return math.inf if validation > train else 0.0


class Overtraining(LossRule):
    """Fires when a loss has not improved by `delta` on its best for too many points.

    These are `patience_train` points of the training loss, or `patience_validation` points of the
    validation loss. The training then only costs, or spoils what was learned.

    SageMaker's documentation does not say whether one of the two is enough ("thresholds and
    conditions to determine if the model is not improving"). One is enough without `both`, which
    asks for both where there is validation: a training loss that is as good as 0 cannot fall by
    `delta`, and the validation loss may still. Points are
    validation passes, and for the training loss its means between them. Without validation, each
    saved training step is a point.
    """

    advice = (
        "fewer epochs or early_stopping; before that a lower lr or schedule=cosine, "
        "which may find a lower loss still"
    )
    severity = HINT
    sagemaker: ClassVar[dict[str, object]] = {"patience_train": 5, "both": False}

    def __init__(
        self,
        base_trial: "JobTrial",
        *,
        patience_train: int = 10,
        patience_validation: int = 10,
        delta: float = 0.01,
        both: bool = True,
    ) -> None:
        super().__init__(base_trial, None, [LOSSES])
        self.patience = {"TRAIN": patience_train, "EVAL": patience_validation}
        self.delta = delta
        self.both = both
        self.best = {"TRAIN": math.inf, "EVAL": math.inf}
        self.since = {"TRAIN": 0, "EVAL": 0}  # points without a better loss
        self.training: list[Point] = []  # since the last validation pass

    def invoke_at_step(self, step: int) -> bool:
        """Compare the step's points with the best losses so far."""
        fired = False
        for point in self.points(step):
            if point.mode == "EVAL":
                fired = self._add_training_mean() or fired
                fired = self._add(point) or fired
            elif self._has_validation():
                self.training.append(point)
            else:
                fired = self._add(dataclasses.replace(point, mode="TRAIN")) or fired
        return fired

    def _add_training_mean(self) -> bool:
        if not self.training:
            return False
        mean = statistics.fmean(point.value for point in self.training)
        last = self.training[-1]
        self.training = []
        return self._add(dataclasses.replace(last, mode="TRAIN", value=mean))

    def _has_validation(self) -> bool:
        """Whether there is validation; a training saves its first one before long, or never."""
        return ModeKeys.EVAL in self.base_trial.modes()

    def _add(self, point: Point) -> bool:
        self.count_step()
        mode = point.mode
        best = self.best[mode]
        if point.value < best - self.delta:
            self.best[mode] = point.value
            self.since[mode] = 0
            return False
        self.since[mode] += 1
        modes = list(self.patience) if self.both and self._has_validation() else [mode]
        if any(self.since[each] < self.patience[each] for each in modes):
            return False
        which = "training" if mode == "TRAIN" else "validation"
        sentence = (
            f"the {which} loss has not improved on {best:.4g} by {self.delta:g} "
            f"for {self.since[mode]} points, it is now {point.value:.4g}"
        )
        return self.fire(point.step, point.tensor, best - point.value, self.delta, sentence)
