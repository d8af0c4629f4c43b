"""Rules on how weights, or any tensors, change from step to step.

Definitions and defaults: SageMaker's list of Debugger built-in rules,
https://docs.aws.amazon.com/sagemaker/latest/dg/debugger-built-in-rules.html
Where the hook kept a sample of a large tensor, "the tensor" is that sample: the same places at
every step.
"""

from typing import TYPE_CHECKING, ClassVar

import numpy as np
from smdebug.core.modes import ModeKeys

from diagnose.findings import CRITICAL
from diagnose.gradients import BIAS
from diagnose.rule import Array, TensorRule, largest, smallest, split_names

if TYPE_CHECKING:
    from diagnose.trial import JobTrial


class WeightUpdateRatio(TensorRule):
    """Fires when a weight's update, in units of the weight, is too large or too small.

    The ratio mean |w_s - w_p| / (mean |w_p| + epsilon) is above `large_threshold` or below
    `small_threshold`. p is the saved step before s; with `num_steps` the earliest saved one from
    s - num_steps on. SageMaker's documentation does not name the norm. Here it is the mean of
    absolute values, which does not depend on the tensor's size. Two kinds of weights are left out:
    frozen ones, which have no saved gradient and a ratio of 0, and weights that were all 0, for
    which the ratio of any update is infinite.
    """

    advice = (
        "too large: a lower lr, warmup_epochs. Too small: a higher lr, a look at what is frozen, "
        "at vanishing gradients and at the lr schedule's end"
    )
    needs = "weights at two steps (debug_collections=weights)"
    watched = "update, in units of the weight"

    def __init__(
        self,
        base_trial: "JobTrial",
        *,
        num_steps: int | None = None,
        large_threshold: float = 10.0,
        small_threshold: float = 1e-8,
        epsilon: float = 1e-9,
    ) -> None:
        super().__init__(base_trial)
        self.num_steps = num_steps
        self.large = large_threshold
        self.small = small_threshold
        self.epsilon = epsilon
        # by mode: saved steps, each as counted within the mode and over all forward passes
        self.steps: dict[str, list[tuple[int, int]]] = {}

    def invoke_at_step(self, step: int) -> bool:
        """Compare the weights with those of an earlier step."""
        # Between two steps of a validation nothing updates them.
        if self.mode_of(step) is not ModeKeys.TRAIN and ModeKeys.TRAIN in self.base_trial.modes():
            return False
        names = self.trained(self.names(step, ("weights",)))
        if not names:
            return False
        before = self._earlier(step)
        if before is None:
            return False
        ratios: dict[str, float] = {}
        for name in names:
            ratio = self._ratio(name, before, step)
            if ratio is not None:
                ratios[name] = ratio
        if not ratios:
            return False
        self.count_step()
        name, ratio = largest(ratios)
        if ratio > self.large:
            sentence = "this weight is overwritten rather than updated"
            return self.fire(step, name, ratio, self.large, sentence)
        small = sum(ratio < self.small for ratio in ratios.values())
        if not small:
            return False
        name, ratio = smallest(ratios)
        sentence = f"{small} of {len(ratios)} weights hardly change"
        return self.fire(step, name, ratio, self.small, sentence)

    def _earlier(self, step: int) -> int | None:
        """The step to compare with, of the same mode; notes this one for later."""
        mode, mode_step = self.base_trial.mode_modestep(step)
        earlier = self.steps.setdefault(mode.name, [])
        before = None
        if self.num_steps is None:
            if earlier:
                before = earlier[-1][1]  # the step before this one
        else:
            first = mode_step - self.num_steps
            earlier[:] = [entry for entry in earlier if entry[0] >= first]
            if earlier:
                before = earlier[0][1]  # the earliest that is near enough
        earlier.append((mode_step, step))
        return before

    def measure(self, name: str, step: int) -> float | None:
        """The ratio to the saved step before of the same mode."""
        steps = self.base_trial.steps(self.mode_of(step))
        index = steps.index(self.base_trial.mode_modestep(step)[1])
        if not index:
            return None
        before = self.base_trial.global_step(self.mode_of(step), steps[index - 1])
        return self._ratio(name, before, step)

    def _ratio(self, name: str, before: int, step: int) -> float | None:
        old = self.value(name, before)
        new = self.value(name, step)
        if old is None or new is None:
            return None
        if old.shape != new.shape or not np.any(old):
            return None
        with np.errstate(all="ignore"):
            ratio = float(np.abs(new - old).mean() / (np.abs(old).mean() + self.epsilon))
        return ratio if np.isfinite(ratio) else None  # NaN is ExplodingTensor's


class UnchangedTensor(TensorRule):
    """Fires when the last `num_steps` saved values of a tensor are all close to each other.

    Close is as numpy.allclose has it (rtol, atol, equal_nan). Documented is that collection_names
    or tensor_regex must be given. Here, without either, it fires when a loss stands still, or all
    trained weights do: single ones, such as BatchNorm's scales of 1, move by less than rtol in many
    a sound training. Steps of one mode are compared with each other. A step whose loss is below
    `loss_above` does not count: all is learned there.
    """

    advice = (
        "a higher lr; a look at what is frozen, at gradients of 0 and at whether the optimizer has "
        "these parameters"
    )
    needs = "a tensor at num_steps steps"
    severity = CRITICAL
    watched = "mean absolute value"
    draws_threshold = False
    sagemaker: ClassVar[dict[str, object]] = {"loss_above": 0.0}

    def __init__(
        self,
        base_trial: "JobTrial",
        *,
        collection_names: str | None = None,
        tensor_regex: str | None = None,
        num_steps: int = 3,
        rtol: float = 1e-05,
        atol: float = 1e-08,
        equal_nan: bool = False,
        loss_above: float = 0.05,
    ) -> None:
        super().__init__(base_trial)
        self.collections = split_names(collection_names)
        self.regex = tensor_regex
        self.chosen = bool(collection_names or tensor_regex)
        self.num_steps = num_steps
        self.rtol = rtol
        self.atol = atol
        self.equal_nan = equal_nan
        self.loss_above = loss_above
        self.last: dict[tuple[str, str], list[Array]] = {}  # by mode and tensor, num_steps at most

    def invoke_at_step(self, step: int) -> bool:
        """Compare each tensor with its values at the steps before."""
        mode = self.mode_of(step).name
        names = self._names(step, mode)
        complete = [name for name in names if self._keep(mode, name, step)]
        unchanged = [name for name in complete if self._stands_still(self.last[mode, name])]
        if complete:
            self.count_step()
        if not self.chosen:
            weights = set(names) - set(self.names(step, ("losses",)))
            if not weights <= set(unchanged):
                unchanged = [name for name in unchanged if name not in weights]
        if not unchanged or self.loss(step) < self.loss_above:
            return False
        values = self.last[mode, unchanged[0]]
        old = values[0].astype(np.float64)
        new = values[-1].astype(np.float64)
        change = np.abs(new - old).max(initial=0.0)
        tolerance = self.atol + self.rtol * np.abs(old).max(initial=0.0)
        sentence = (
            f"{len(unchanged)} of {len(names)} tensors have not changed over {self.num_steps} "
            "saved steps"
        )
        return self.fire(step, unchanged[0], change, tolerance, sentence)

    def measure(self, name: str, step: int) -> float | None:
        """The mean of the absolute values."""
        return self.reduction(name, step, "mean", absolute=True)

    def _names(self, step: int, mode: str) -> list[str]:
        if self.chosen:
            return self.names(step, self.collections, self.regex)
        weights = self.trained(self.names(step, ("weights",)))
        if mode == "EVAL":
            # a validation loss stands still while the same weights see the same photos
            return weights
        return weights + self.names(step, ("losses",))

    def _keep(self, mode: str, name: str, step: int) -> bool:
        """Keep the tensor's value; whether num_steps values are there now."""
        value = self.value(name, step)
        if value is None:
            return False
        kept = self.last.setdefault((mode, name), [])
        kept.append(value)
        del kept[: -self.num_steps]
        return len(kept) == self.num_steps

    def _stands_still(self, values: list[Array]) -> bool:
        new = values[-1]
        return all(self._are_close(new, old) for old in values[:-1])

    def _are_close(self, new: Array, old: Array) -> bool:
        if old.shape != new.shape:
            return False
        close = np.allclose(new, old, rtol=self.rtol, atol=self.atol, equal_nan=self.equal_nan)
        return bool(close)


class AllZero(TensorRule):
    """Fires when at least `threshold` percent of a tensor's values are 0.

    Documented is that collection_names or tensor_regex must be given. Here, without either,
    gradients and trained weights are evaluated, biases not: they start at 0 by custom. Of a tensor
    saved as reductions only, its largest absolute value shows whether all of it is 0. The first
    `warmup_steps` training steps do not count: many residual branches begin as 0.
    """

    advice = (
        "a look at dead ReLUs, at the initialization and at what is cut off from the loss "
        "(detached, masked, or behind an activation that is 0)"
    )
    needs = "gradients or weights (debug_collections=gradients,weights)"
    severity = CRITICAL
    watched = "percent of values that are 0"
    sagemaker: ClassVar[dict[str, object]] = {"warmup_steps": 0}

    def __init__(
        self,
        base_trial: "JobTrial",
        *,
        collection_names: str | None = None,
        tensor_regex: str | None = None,
        threshold: float = 100.0,
        warmup_steps: int = 1,
    ) -> None:
        super().__init__(base_trial)
        self.collections = split_names(collection_names)
        self.regex = tensor_regex
        self.threshold = threshold
        self.warmup_steps = warmup_steps

    def invoke_at_step(self, step: int) -> bool:
        """Compare the largest share of zeros with the threshold."""
        shares = self.measure_each(self._names(step), step)
        if not shares:
            return False
        self.count_step()
        count = sum(share >= self.threshold for share in shares.values())
        if not count:
            return False
        if self.base_trial.mode_modestep(step)[1] < self.warmup_steps:
            return False
        name, share = largest(shares)
        sentence = f"{count} of {len(shares)} tensors are {share:.4g} % zeros"
        return self.fire(step, name, share, self.threshold, sentence)

    def _names(self, step: int) -> list[str]:
        if self.collections or self.regex:
            return self.names(step, self.collections, self.regex)
        gradients = [name for name in self.names(step, ("gradients",)) if not name.endswith(BIAS)]
        return gradients + self.trained(self.names(step, ("weights",)))

    def measure(self, name: str, step: int) -> float | None:
        """The share of zeros in percent; None where nothing of the tensor is known."""
        most = self.reductions(name, step).get(("max", True))
        if most == 0:
            return 100.0
        value = self.value(name, step)
        if value is None or not value.size:
            if most is None:
                return None
            return 0.0  # not all are 0, as far as is known
        share = 100.0 * float((value == 0).mean())
        if most:
            # a sample can be all 0 where the whole tensor is not
            return min(share, float(np.nextafter(100.0, 0)))
        return share
