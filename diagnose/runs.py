"""The rule that compares a training with other runs of it.

Definition and defaults: SageMaker's list of Debugger built-in rules,
https://docs.aws.amazon.com/sagemaker/latest/dg/debugger-built-in-rules.html
"""

import math
from typing import TYPE_CHECKING

import numpy as np

from diagnose.findings import HINT
from diagnose.gradients import ALL_TENSORS
from diagnose.rule import Array, TensorRule, largest, split_names

if TYPE_CHECKING:
    from diagnose.trial import JobTrial


class SimilarAcrossRuns(TensorRule):
    """Compares tensors with those of other runs at the same step; fires when they DIFFER.

    That is the documentation's definition, against the rule's name. other_trials (required): the
    other runs' output folders, with commas between. SageMaker's documentation does not say when two
    tensors are similar. Here numpy.allclose decides with its own tolerances, which accept
    arithmetic in another order. Without collection_names or tensor_regex all tensors are compared.
    A tensor that the other run did not save at the step is not compared. A tensor of another shape
    differs.
    """

    advice = (
        "the same seed, data, versions and thread count in both runs; the first step and tensor "
        "that differ show where the runs part"
    )
    severity = HINT
    needs = "tensors that both runs saved at the same step"

    def __init__(
        self,
        base_trial: "JobTrial",
        *,
        other_trials: str,
        collection_names: str | None = None,
        tensor_regex: str | None = None,
    ) -> None:
        # The registry hands the folders on as opened trials.
        super().__init__(base_trial, other_trials)  # type: ignore[arg-type]  # opened by then
        self.collections = split_names(collection_names)
        self.regex = tensor_regex
        if not self.collections and not tensor_regex:
            self.regex = ALL_TENSORS

    def invoke_at_step(self, step: int) -> bool:
        """Compare each tensor with the same one of each other run."""
        names = self.names(step, self.collections, self.regex)
        distances: dict[str, float] = {}  # the largest over the other runs
        for other in self.other_trials:
            saved = set(other.tensor_names(step=step))
            for name in names:
                if name not in saved:
                    continue
                distance = self._distance(name, step, other)
                if distance is not None:
                    distances[name] = max(distance, distances.get(name, 0.0))
        if not distances:
            return False
        self.count_step()
        different = {name: distance for name, distance in distances.items() if distance > 0}
        if not different:
            return False
        name, distance = largest(different)
        sentence = f"{len(different)} of {len(distances)} tensors differ from the other run's"
        return self.fire(step, name, distance, 0.0, sentence)

    def _distance(self, name: str, step: int, other: "JobTrial") -> float | None:
        """The largest difference of two values; 0 where all are close, None without values.

        Of a tensor without values the saved reductions are compared.
        """
        ours = self.value(name, step)
        if ours is not None:
            return _difference(ours, np.asarray(other.tensor(name).value(step)))
        reductions = self.reductions(name, step)
        theirs = [
            float(other.tensor(name).reduction_value(step, kind, abs=absolute))
            for kind, absolute in reductions
        ]
        return _difference(np.array(list(reductions.values())), np.array(theirs))


def _difference(ours: Array, theirs: Array) -> float | None:
    if not ours.size:
        return None
    if ours.shape != theirs.shape:
        return math.inf
    if np.allclose(ours, theirs, equal_nan=True):
        return 0.0
    with np.errstate(all="ignore"):
        differences = np.abs(ours.astype(np.float64) - theirs.astype(np.float64))
        # not 0, even where only NaN differs
        return float(np.nanmax(differences, initial=np.finfo(np.float64).tiny))
