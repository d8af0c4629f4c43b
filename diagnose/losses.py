"""Rules on how the loss goes.

Definitions and defaults: SageMaker's list of Debugger built-in rules,
https://docs.aws.amazon.com/sagemaker/latest/dg/debugger-built-in-rules.html
The documentation counts steps and says nothing of validation sets of several batches. Here a pass over them, all forward passes of EVAL
without another mode between, is one point with their mean loss: two batches of one pass hold other photos, not other weights.
"""

import dataclasses
import math
import statistics
from bisect import bisect_right
from dataclasses import dataclass

from smdebug.core.modes import ModeKeys

from diagnose.rule import TensorRule

LOSSES = "losses"


@dataclass(frozen=True)
class Point:
    """A loss at a saved step, or the mean of a validation pass that ended there. mode_step counts within the mode, of EVAL the passes."""

    mode: str
    step: int
    mode_step: int
    tensor: str
    value: float


class LossRule(TensorRule):
    """A rule that sees losses point after point."""

    needs = "losses (any run with debug=true has them)"

    def __init__(self, base_trial, regex: str | None, collections: list[str]):
        super().__init__(base_trial)
        self.regex, self.collections = regex, collections
        self.open: list[
            tuple[int, str, float]
        ] = []  # of a validation pass under way: step, tensor, loss
        self.passes = 0

    def points(self, step: int) -> list[Point]:
        """The points that are complete with this step."""
        names = self.names(step, self.collections, self.regex)
        mode, mode_step = self.base_trial.mode_modestep(step)
        found = []
        if self.open and mode is not ModeKeys.EVAL:
            found.append(self._close_pass())
        losses = {
            name: loss for name in names if (loss := self.reduction(name, step, "mean")) is not None
        }
        if mode is ModeKeys.EVAL:
            self.open.extend((step, name, loss) for name, loss in losses.items())
            if self.open and self._last_of_pass(step):
                found.append(self._close_pass())
        else:
            found.extend(
                Point(mode.name, step, mode_step, name, loss) for name, loss in losses.items()
            )
        return found

    def _last_of_pass(self, step: int) -> bool:
        steps = self.base_trial.steps()
        after = bisect_right(steps, step)
        return (
            self.mode_of(steps[after]) is not ModeKeys.EVAL
            if after < len(steps)
            else self.base_trial.loaded_all_steps
        )

    def _close_pass(self) -> Point:
        step, name, _ = self.open[-1]
        point = Point(
            "EVAL", step, self.passes, name, statistics.fmean(loss for _, _, loss in self.open)
        )
        self.open, self.passes = [], self.passes + 1
        return point


class LossNotDecreasing(LossRule):
    """Looks every `num_steps` steps whether the loss fell by at least `diff_percent` percent of what it was at the newest saved step at least
    num_steps before. A rise is let pass up to `increase_threshold_percent` percent.

    mode: train, eval, predict or global; without it, "EVAL, then TRAIN, then GLOBAL", taken as the first of them whose losses so far reach
    num_steps back.
    Vague in the documentation: how the two percentages go together. Chosen, as in the service's published test: a loss that stands still
    or falls by too little fires, one that rises by up to increase_threshold_percent (noise) does not.
    """

    advice = "another lr (a tenth, or ten times), a look at the labels, fewer frozen layers; late in a training: stop it, or let the lr decay (schedule=cosine)"

    def __init__(
        self,
        base_trial,
        *,
        collection_names: str | None = None,
        tensor_regex: str | None = None,
        use_losses_collection: bool = True,
        num_steps: int = 10,
        diff_percent: float = 0.1,
        increase_threshold_percent: float = 5.0,
        mode: str | None = None,
    ):
        collections = (collection_names.split(",") if collection_names else []) + (
            [LOSSES] if use_losses_collection else []
        )
        super().__init__(base_trial, tensor_regex, collections)
        self.num_steps, self.diff_percent, self.increase = (
            num_steps,
            diff_percent,
            increase_threshold_percent,
        )
        self.mode = mode.upper().removeprefix("MODEKEYS.") if mode else None
        self.seen: dict[tuple[str, str], list[Point]] = {}
        self.needs = f"losses of one mode that were saved {num_steps} steps apart (of validation: {num_steps} passes)"
        self.checked: dict[tuple[str, str], int] = {}

    def invoke_at_step(self, step: int) -> bool:
        fired = False
        for point in self.points(step):
            key = (point.mode, point.tensor)
            series = self.seen.setdefault(key, [])
            series.append(point)
            if (
                self._wanted(point.mode)
                and point.mode_step - self.checked.get(key, series[0].mode_step) >= self.num_steps
            ):
                self.checked[key] = point.mode_step
                fired = self._check(series, point) or fired
        return fired

    def _wanted(self, mode: str) -> bool:
        if self.mode is not None:
            return self.mode in (mode, "GLOBAL")
        reaching = {
            name
            for (name, _), series in self.seen.items()
            if series[-1].mode_step - series[0].mode_step >= self.num_steps
        }
        return mode == next(
            (name for name in ("EVAL", "TRAIN", "GLOBAL") if name in reaching), None
        )

    def _check(self, series: list[Point], point: Point) -> bool:
        before = [
            earlier for earlier in series if earlier.mode_step <= point.mode_step - self.num_steps
        ]
        if not before:
            return False
        self.count_step()
        old = before[-1]
        change = 100 * (point.value - old.value) / abs(old.value) if old.value else 0.0
        if change > 0:
            return change > self.increase and self.fire(
                point.step,
                point.tensor,
                change,
                self.increase,
                f"the loss rose from {old.value:.4g} to {point.value:.4g}, by {change:.3g} %, since step {old.mode_step}",
            )
        return -change < self.diff_percent and self.fire(
            point.step,
            point.tensor,
            0.0 - change,
            self.diff_percent,
            f"the loss went from {old.value:.4g} to {point.value:.4g}, down by {0.0 - change:.3g} %, since step {old.mode_step}",
        )


class Overfit(LossRule):
    """Fires when (mean validation loss - mean training loss) / mean training loss is above `ratio_threshold` for `patience` passes in a row.

    Vague in the documentation: over what the means are. Chosen: the validation pass, and the training steps saved since the pass before. A
    "step" of patience is a validation pass; start_step counts all forward passes. A training loss of 0 counts as an endless ratio.
    """

    advice = (
        "more photos or stronger augmentation, weight_decay, label_smoothing, dropout, fewer trainable layers, early_stopping; the artifact is of "
        "the best epoch all the same"
    )
    needs = "losses of both train and eval (validation photos, and eval steps saved)"

    def __init__(
        self,
        base_trial,
        *,
        tensor_regex: str | None = None,
        start_step: int = 0,
        patience: int = 1,
        ratio_threshold: float = 0.1,
    ):
        super().__init__(base_trial, tensor_regex, [] if tensor_regex else [LOSSES])
        self.start_step, self.patience, self.threshold = start_step, patience, ratio_threshold
        self.training: list[float] = []
        self.streak = 0

    def invoke_at_step(self, step: int) -> bool:
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
        ratio = (
            (point.value - train) / train if train > 0 else math.inf if point.value > train else 0.0
        )
        self.streak = self.streak + 1 if ratio > self.threshold else 0
        return self.streak >= self.patience and self.fire(
            point.step,
            point.tensor,
            ratio,
            self.threshold,
            f"the validation loss ({point.value:.4g}) is {100 * ratio:.0f} % above the training loss ({train:.4g}) of the steps before it",
        )


class Overtraining(LossRule):
    """Fires when a loss has not improved by `delta` on its best so far: the training loss for `patience_train`, or the validation loss for
    `patience_validation` points. The training then only costs, or spoils what was learned.

    Vague in the documentation: whether one of the two is enough ("thresholds and conditions to determine if the model is not improving").
    Chosen: one is enough. Points are validation passes, and for the training loss its means between them; where there is no validation,
    each saved training step is a point.
    """

    advice = "fewer epochs or early_stopping; before that a lower lr or schedule=cosine, which may find a lower loss still"

    def __init__(
        self,
        base_trial,
        *,
        patience_train: int = 5,
        patience_validation: int = 10,
        delta: float = 0.01,
    ):
        super().__init__(base_trial, None, [LOSSES])
        self.patience = {"TRAIN": patience_train, "EVAL": patience_validation}
        self.delta = delta
        self.best = {"TRAIN": math.inf, "EVAL": math.inf}
        self.since = {"TRAIN": 0, "EVAL": 0}
        self.training: list[Point] = []

    def invoke_at_step(self, step: int) -> bool:
        fired = False
        for point in self.points(step):
            if point.mode == "EVAL":
                if self.training:
                    mean = statistics.fmean(entry.value for entry in self.training)
                    fired = (
                        self._add(dataclasses.replace(self.training[-1], mode="TRAIN", value=mean))
                        or fired
                    )
                    self.training = []
                fired = self._add(point) or fired
            elif self._validated():
                self.training.append(point)
            else:
                fired = self._add(dataclasses.replace(point, mode="TRAIN")) or fired
        return fired

    def _validated(self) -> bool:
        """Whether there is validation: looked up once, for a training saves its first validation before long or never."""
        return ModeKeys.EVAL in self.base_trial.modes()

    def _add(self, point: Point) -> bool:
        self.count_step()
        if point.value < self.best[point.mode] - self.delta:
            self.best[point.mode], self.since[point.mode] = point.value, 0
            return False
        self.since[point.mode] += 1
        which = "training" if point.mode == "TRAIN" else "validation"
        return self.since[point.mode] >= self.patience[point.mode] and self.fire(
            point.step,
            point.tensor,
            self.best[point.mode] - point.value,
            self.delta,
            f"the {which} loss has not improved on {self.best[point.mode]:.4g} by {self.delta:g} for {self.since[point.mode]} points, "
            f"it is now {point.value:.4g}",
        )
