"""What all rules share: smdebug's Rule, the ways to find tensors, and the answer in words."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from smdebug.core.modes import ModeKeys
from smdebug.exceptions import SMDebugError
from smdebug.rules import Rule


@dataclass(frozen=True)
class Violation:
    """Where a rule fired: at this step (of all forward passes), on this tensor, with this value against this threshold."""

    step: int
    tensor: str
    value: float
    threshold: float
    sentence: str


class TensorRule(Rule):
    """A rule on saved tensors. `invoke_at_step` sees one saved step after the other and returns whether the rule fires.

    Parameters are the keywords of __init__, with SageMaker's names and defaults; `advice` is what to try when it fires.
    `judged` counts the steps at which the rule found what it needs.
    """

    advice = ""
    needs = ""  # what must be saved, in words, for the rule to say anything

    def __init__(self, base_trial, other_trials=None):
        super().__init__(base_trial, action_str="", other_trials=other_trials)
        self.steps_evaluated = 0
        self.violation: Violation | None = None

    def fire(self, step: int, tensor: str, value: float, threshold: float, sentence: str) -> bool:
        """Note what was found, in smdebug's own report too; True, for invoke_at_step to return."""
        self.violation = Violation(step, tensor, float(value), float(threshold), sentence)
        self.report["RuleTriggered"] += 1
        self.report["Violations"] += 1
        self.report["Details"][f"step_{step}"] = sentence
        return True

    def count_step(self) -> None:
        """Count a step that could be judged."""
        self.steps_evaluated += 1
        self.report["Datapoints"] = self.steps_evaluated

    # --- finding tensors

    def names(
        self, step: int, collections: Iterable[str] = (), regex: str | None = None
    ) -> list[str]:
        """Tensors saved at the step that are of one of the collections, or match the regex anywhere."""
        found: set[str] = set()
        for name in collections:
            if name in self.base_trial.collections():
                found.update(self.base_trial.tensor_names(step=step, collection=name))
        if regex:
            found.update(self.base_trial.tensor_names(step=step, regex=regex))
        return sorted(found)

    def mode_of(self, step: int) -> ModeKeys:
        return self.base_trial.mode_modestep(step)[0]

    def value(self, name: str, step: int) -> np.ndarray | None:
        """What was kept of a tensor at a step: all of it or a sample; None when it was not saved or cannot be read."""
        try:
            return np.asarray(self.base_trial.tensor(name).value(step))
        except SMDebugError:
            return None

    def reduction(self, name: str, step: int, kind: str, absolute: bool = False) -> float | None:
        """A reduction of the whole tensor: as saved, else computed from what was kept; None when neither is there."""
        try:
            with np.errstate(all="ignore"):
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

    def trained(self, names: list[str]) -> list[str]:
        """The weights among these that are trained: those with a gradient, where any gradients were saved."""
        gradients = {
            name.removeprefix("gradient/")
            for name in self.base_trial.tensor_names()
            if name.startswith("gradient/")
        }
        return [name for name in names if name in gradients] if gradients else names
