"""What all rules over tensors share: smdebug's Rule, and ways to find and read tensors."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from smdebug.core.modes import ModeKeys
from smdebug.exceptions import SMDebugError
from smdebug.rules import Rule

from diagnose.findings import WARNING
from diagnose.line import Line, points

if TYPE_CHECKING:
    from diagnose.trial import JobTrial

Array = NDArray[Any]  # of the dtype that was saved


@dataclass(frozen=True)
class Violation:
    """Where a rule fired, and why: `value` against `threshold`. step counts all forward passes."""

    step: int
    tensor: str
    value: float
    threshold: float
    sentence: str


class TensorRule(Rule):  # type: ignore[misc]  # smdebug has no types
    """A rule on saved tensors.

    `invoke_at_step` sees one saved step after the other and returns whether the rule fires.
    Parameters are the keywords of __init__, with SageMaker's names and defaults. advice: what to
    try when the rule fires. needs: what must be saved for the rule, in words. severity: how grave
    it is when it fires. watched: what `measure` gives, in words. sagemaker: SageMaker's documented
    defaults of the parameters whose defaults here are others, which fire less on sound trainings.
    steps_evaluated counts the steps at which the rule found what it needs.
    """

    advice = ""
    needs = ""
    severity = WARNING
    watched = "largest absolute value"
    draws_threshold = True  # False where it is of another quantity than `measure`
    sagemaker: ClassVar[dict[str, object]] = {}
    base_trial: "JobTrial"

    def __init__(
        self, base_trial: "JobTrial", other_trials: Sequence["JobTrial"] | None = None
    ) -> None:
        super().__init__(base_trial, action_str="", other_trials=other_trials)
        self.steps_evaluated = 0
        self.violation: Violation | None = None

    def invoke_at_step(self, step: int) -> bool:
        """Whether the rule fires at a saved step."""
        raise NotImplementedError

    def fire(self, step: int, tensor: str, value: float, threshold: float, sentence: str) -> bool:
        """Note the violation, in smdebug's own report too; True, for invoke_at_step to return."""
        self.violation = Violation(step, tensor, float(value), float(threshold), sentence)
        self.report["RuleTriggered"] += 1
        self.report["Violations"] += 1
        self.report["Details"][f"step_{step}"] = sentence
        return True

    def line(self) -> Line | None:
        """What the rule watched, over all steps of the mode in which it fired; to be drawn."""
        violation = self.violation
        if violation is None:
            return None
        mode, mark = self.base_trial.mode_modestep(violation.step)
        measured = []
        for step in self.base_trial.steps(mode):
            value = self.measure(violation.tensor, self.base_trial.global_step(mode, step))
            if value is not None:
                measured.append((float(step), value))
        if not measured:
            return None
        drawn = self.draws_threshold and math.isfinite(violation.threshold)
        return Line(
            watched=self.watched,
            x_label=f"{mode.name.lower()} step",
            curves={violation.tensor: points(measured, mark)},
            mark=mark,
            threshold=violation.threshold if drawn else None,
        )

    def measure(self, name: str, step: int) -> float | None:
        """What the rule looks at in a tensor at a step; None where it was not saved."""
        return self.reduction(name, step, "max", absolute=True)

    def measure_each(self, names: Iterable[str], step: int) -> dict[str, float]:
        """`measure` of each tensor by name, of those that have it."""
        found = {}
        for name in names:
            value = self.measure(name, step)
            if value is not None:
                found[name] = value
        return found

    def count_step(self) -> None:
        """Count a step that had what the rule needs."""
        self.steps_evaluated += 1
        self.report["Datapoints"] = self.steps_evaluated

    def names(
        self, step: int, collections: Iterable[str] = (), regex: str | None = None
    ) -> list[str]:
        """Tensors saved at the step, of one of the collections or with a match of the regex."""
        found: set[str] = set()
        for name in collections:
            if name in self.base_trial.collections():
                found.update(self.base_trial.tensor_names(step=step, collection=name))
        if regex:
            found.update(self.base_trial.tensor_names(step=step, regex=regex))
        return sorted(found)

    def mode_of(self, step: int) -> ModeKeys:
        """Whether the step is one of TRAIN, EVAL or PREDICT."""
        return self.base_trial.mode_modestep(step)[0]

    def value(self, name: str, step: int) -> Array | None:
        """A tensor's values at a step, or the sample of them that was saved.

        None when it was not saved or cannot be read.
        """
        try:
            return np.asarray(self.base_trial.tensor(name).value(step))
        except SMDebugError:
            return None

    def reduction(self, name: str, step: int, kind: str, absolute: bool = False) -> float | None:
        """A reduction of the whole tensor: as saved, else computed from the values saved.

        kind: min, max, mean, std, variance … None when neither is there.
        """
        try:
            with np.errstate(all="ignore"):  # values may be NaN or infinite
                return float(self.base_trial.tensor(name).reduction_value(step, kind, abs=absolute))
        except SMDebugError:
            return None

    def reductions(self, name: str, step: int) -> dict[tuple[str, bool], float]:
        """All reductions that were saved of a tensor, by (kind, of absolute values)."""
        try:
            found = self.base_trial.tensor(name).reduction_values(step)
            return {key: float(value) for key, value in found.items()}
        except SMDebugError:
            return {}

    def reduce_each(
        self, names: Iterable[str], step: int, kind: str, absolute: bool = False
    ) -> dict[str, float]:
        """One reduction of each tensor by name, of those that have it."""
        found = {}
        for name in names:
            value = self.reduction(name, step, kind, absolute)
            if value is not None:
                found[name] = value
        return found

    def loss(self, step: int) -> float:
        """The mean of the losses that were saved at the step; NaN without any."""
        losses = self.reduce_each(self.names(step, ("losses",)), step, "mean")
        return float(np.mean(list(losses.values()))) if losses else math.nan

    def trained(self, names: list[str]) -> list[str]:
        """The trained weights among these: those with a gradient, where any gradient was saved."""
        gradients = {
            name.removeprefix("gradient/")
            for name in self.base_trial.tensor_names()
            if name.startswith("gradient/")
        }
        if not gradients:
            return names
        return [name for name in names if name in gradients]


def split_names(names: str | None) -> list[str]:
    """Collections from a parameter: names with commas between."""
    return names.split(",") if names else []


def largest(values: dict[str, float]) -> tuple[str, float]:
    """The largest value with its name; the first of several."""
    name = max(values, key=lambda entry: values[entry])
    return name, values[name]


def smallest(values: dict[str, float]) -> tuple[str, float]:
    """The smallest value with its name; the first of several."""
    name = min(values, key=lambda entry: values[entry])
    return name, values[name]
