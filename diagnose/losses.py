"""Rules on how the loss goes.

Definitions and defaults: SageMaker's list of Debugger built-in rules,
https://docs.aws.amazon.com/sagemaker/latest/dg/debugger-built-in-rules.html
The documentation counts steps and says nothing of validation sets of several batches. Here a pass
over them, all forward passes of EVAL without another mode between, is one point with their mean
loss: two batches of one pass hold other photos, not other weights.
"""

import statistics
from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from smdebug.core.modes import ModeKeys

from diagnose.line import Line, points
from diagnose.rule import TensorRule, split_names
from diagnose.smoothed_loss import stands_still

if TYPE_CHECKING:
    from diagnose.trial import JobTrial

LOSSES = "losses"  # smdebug's collection
CURVES = {"EVAL": "Validation", "TRAIN": "Training", "GLOBAL": "Training"}  # by mode
LEARNING_MODES = ("EVAL", "TRAIN", "GLOBAL")  # PREDICT measures a network that is done
PREFERRED_MODES = ("EVAL", "TRAIN", "GLOBAL")  # of LossNotDecreasing, by the documentation


@dataclass(frozen=True)
class Point:
    """A loss at a saved step, or the mean of a validation pass that ended there.

    step counts all forward passes, mode_step those of the mode; of EVAL it counts the passes.
    """

    mode: str
    step: int
    mode_step: int
    tensor: str
    value: float


class LossRule(TensorRule):
    """A rule that sees losses point after point."""

    needs = "losses (any run with debug=true has them)"
    watched = "loss"

    def __init__(self, base_trial: "JobTrial", regex: str | None, collections: list[str]) -> None:
        super().__init__(base_trial)
        self.regex = regex
        self.collections = collections
        # of a validation pass under way: step, tensor, loss
        self.open_pass: list[tuple[int, str, float]] = []
        self.passes = 0

    def points(self, step: int) -> list[Point]:
        """The points that are complete with this step."""
        names = self.names(step, self.collections, self.regex)
        mode, mode_step = self.base_trial.mode_modestep(step)
        found = []
        if self.open_pass and mode is not ModeKeys.EVAL:
            found.append(self._close_pass())
        losses = self.reduce_each(names, step, "mean")
        if mode is not ModeKeys.EVAL:
            for name, loss in losses.items():
                found.append(Point(mode.name, step, mode_step, name, loss))
            return found
        for name, loss in losses.items():
            self.open_pass.append((step, name, loss))
        if self.open_pass and self._is_last_of_pass(step):
            found.append(self._close_pass())
        return found

    def line(self) -> Line | None:
        """All losses of the tensor, a curve for each mode; to be drawn."""
        return losses_line(self)

    def _is_last_of_pass(self, step: int) -> bool:
        steps = self.base_trial.steps()
        after = bisect_right(steps, step)
        if after == len(steps):
            return bool(self.base_trial.loaded_all_steps)
        return self.mode_of(steps[after]) is not ModeKeys.EVAL

    def _close_pass(self) -> Point:
        step, name, _ = self.open_pass[-1]
        mean = statistics.fmean(loss for _, _, loss in self.open_pass)
        point = Point("EVAL", step, self.passes, name, mean)
        self.open_pass = []
        self.passes += 1
        return point


def losses_line(rule: TensorRule) -> Line | None:
    """The losses that a rule has looked at, by mode, over all forward passes; to be drawn.

    None where it did not fire.
    """
    if rule.violation is None:
        return None
    again = LossRule(rule.base_trial, None, [LOSSES])
    curves: dict[str, list[tuple[float, float]]] = {}
    for step in rule.base_trial.steps():
        for point in again.points(step):
            if point.mode in CURVES:
                curves.setdefault(CURVES[point.mode], []).append((float(step), point.value))
    mark = rule.violation.step
    drawn = {name: points(curves[name], mark) for name in CURVES.values() if name in curves}
    if not drawn:
        return None
    return Line(watched="loss", x_label="forward pass", curves=drawn, mark=mark)


class LossNotDecreasing(LossRule):
    """Looks every `num_steps` steps whether the loss has fallen by at least `diff_percent` percent.

    The loss is smoothed: the mean of the newest `smoothing` saved ones. It is compared with the
    first loss, once there are twice as many. It fires, too, where the smoothed loss is above the
    first one by more than `increase_threshold_percent`, and where half of what was gained is lost
    again. A loss below 0.35 is learned, and never fires. Training and validation must agree where
    both were saved often enough: a validation loss that rises alone is Overfit's.

    With smoothing=0 it is SageMaker's rule, which compares single batches: the loss with that of
    the newest saved step at least num_steps before. A rise by up to increase_threshold_percent is
    accepted. mode: train, eval, predict or global; without it, "EVAL, then TRAIN, then GLOBAL",
    taken as the first of them whose losses so far reach num_steps back.
    SageMaker's documentation does not say how the two percentages go together. Here it is as in the
    service's published test: a loss that stands still or falls by too little fires, and a loss that
    rises by up to increase_threshold_percent (noise) does not.
    """

    advice = (
        "another lr (a tenth, or ten times), a look at the labels, fewer frozen layers; "
        "late in a training: stop it, or let the lr decay (schedule=cosine)"
    )

    sagemaker: ClassVar[dict[str, object]] = {
        "diff_percent": 0.1,
        "increase_threshold_percent": 5.0,
        "smoothing": 0,
    }

    def __init__(
        self,
        base_trial: "JobTrial",
        *,
        collection_names: str | None = None,
        tensor_regex: str | None = None,
        use_losses_collection: bool = True,
        num_steps: int = 10,
        diff_percent: float = 2.0,
        increase_threshold_percent: float = 50.0,
        mode: str | None = None,
        smoothing: int = 5,
    ) -> None:
        collections = split_names(collection_names)
        if use_losses_collection:
            collections.append(LOSSES)
        super().__init__(base_trial, tensor_regex, collections)
        self.num_steps = num_steps
        self.diff_percent = diff_percent
        self.increase = increase_threshold_percent
        self.smoothing = smoothing
        self.mode = mode.upper().removeprefix("MODEKEYS.") if mode else None
        self.needs = (
            f"losses of one mode that were saved {num_steps} steps apart "
            f"(of validation: {num_steps} passes)"
        )
        if smoothing:
            self.needs = f"{2 * smoothing} saved losses of one mode (of validation: as many passes)"
        # by mode and tensor: all points, and the mode_step of the last comparison
        self.seen: dict[tuple[str, str], list[Point]] = {}
        self.checked: dict[tuple[str, str], int] = {}

    def invoke_at_step(self, step: int) -> bool:
        """Compare the step's losses with earlier ones, every num_steps steps."""
        fired = False
        for point in self.points(step):
            key = (point.mode, point.tensor)
            series = self.seen.setdefault(key, [])
            series.append(point)
            if self.smoothing:
                fired = self._check_smoothed(point) or fired
                continue
            checked = self.checked.get(key, series[0].mode_step)
            is_due = point.mode_step - checked >= self.num_steps
            if is_due and point.mode in self._modes():
                self.checked[key] = point.mode_step
                fired = self._check(series, point) or fired
        return fired

    def _check_smoothed(self, point: Point) -> bool:
        """Whether the loss stands still in every mode that has enough points."""
        modes = LEARNING_MODES if self.mode in (None, "GLOBAL") else (self.mode,)
        changes = {}
        for (mode, _), series in self.seen.items():
            if mode not in modes or len(series) < self.smoothing:
                continue
            losses = [entry.value for entry in series]
            if len(losses) >= 2 * self.smoothing and mode == point.mode:
                self.count_step()
            change = stands_still(losses, self.smoothing, self.diff_percent, self.increase)
            if change is None:
                return False
            changes[mode] = change
        if point.mode not in changes:
            return False
        change = changes[point.mode]
        moved = f"rose from {change.before:.4g} to {change.now:.4g}"
        if change.percent <= 0:
            moved = f"fell by {-change.percent:.2g} % alone, from {change.before:.4g}"
        which = "validation" if point.mode == "EVAL" else "training"
        sentence = f"the {which} loss, as the mean of {self.smoothing} saved ones, {moved}"
        return self.fire(
            point.step, point.tensor, change.now, change.before, f"{sentence}: nothing is learned"
        )

    def _modes(self) -> tuple[str, ...]:
        """The modes whose losses count."""
        if self.mode == "GLOBAL":
            return tuple(mode for mode, _ in self.seen)
        if self.mode is not None:
            return (self.mode,)
        reaching = set()  # modes with losses num_steps apart
        for (mode, _), series in self.seen.items():
            if series[-1].mode_step - series[0].mode_step >= self.num_steps:
                reaching.add(mode)
        return tuple(mode for mode in PREFERRED_MODES if mode in reaching)[:1]

    def _check(self, series: list[Point], point: Point) -> bool:
        last = point.mode_step - self.num_steps
        # Several: a hook may save more often than every num_steps steps.
        before = [earlier for earlier in series if earlier.mode_step <= last]
        if not before:
            return False
        self.count_step()
        old = before[-1]
        change = 0.0  # percent; of a loss of 0 there is none
        if old.value:
            change = 100 * (point.value - old.value) / abs(old.value)
        if change > 0:
            if change <= self.increase:
                return False
            sentence = (
                f"the loss rose from {old.value:.4g} to {point.value:.4g}, by {change:.3g} %, "
                f"since step {old.mode_step}"
            )
            return self.fire(point.step, point.tensor, change, self.increase, sentence)
        fall = 0.0 - change  # not -change, which would print as -0
        if not fall < self.diff_percent:
            return False
        sentence = (
            f"the loss went from {old.value:.4g} to {point.value:.4g}, down by {fall:.3g} %, "
            f"since step {old.mode_step}"
        )
        return self.fire(point.step, point.tensor, fall, self.diff_percent, sentence)
