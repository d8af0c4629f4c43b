"""Rules on gradients, and on values that are no longer numbers.

Definitions and defaults: SageMaker's list of Debugger built-in rules,
https://docs.aws.amazon.com/sagemaker/latest/dg/debugger-built-in-rules.html
"""

import math
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from diagnose.findings import CRITICAL
from diagnose.rule import TensorRule, smallest, split_names

if TYPE_CHECKING:
    from diagnose.trial import JobTrial

BIAS = ".bias"
ALL_TENSORS = ".*"  # a regex


class VanishingGradient(TensorRule):
    """Fires when the mean of a gradient's absolute values falls below `threshold`.

    SageMaker's documentation says "any gradient". Here a layer's bias counts only where the
    gradient of its weight was not saved. A bias in front of a BatchNorm always has a gradient of 0,
    in a healthy network, too. A step whose loss is below `loss_above` does not count: all is
    learned there, and no gradient is left. Nor do the first `warmup_steps` training steps: many
    networks begin with residual branches that give 0, and have gradients of 0 until then.
    """

    advice = (
        "ReLU or GELU instead of sigmoid and tanh, BatchNorm or residual connections, He or Xavier "
        "initialization, fewer layers, or pretrained weights; "
        "if the loss is already near 0, the training is simply done"
    )
    needs = "gradients (debug_collections=gradients)"
    severity = CRITICAL
    watched = "mean absolute gradient"
    sagemaker: ClassVar[dict[str, object]] = {"loss_above": 0.0, "warmup_steps": 0}

    def __init__(
        self,
        base_trial: "JobTrial",
        *,
        threshold: float = 1e-7,
        loss_above: float = 0.05,
        warmup_steps: int = 1,
    ) -> None:
        super().__init__(base_trial)
        self.threshold = threshold
        self.loss_above = loss_above
        self.warmup_steps = warmup_steps

    def invoke_at_step(self, step: int) -> bool:
        """Compare the smallest mean with the threshold."""
        names = self.names(step, ("gradients",))
        chosen = [name for name in names if not _is_bias_of_weight(name, names)]
        means = self.reduce_each(chosen, step, "mean", absolute=True)
        if not means:
            return False
        self.count_step()
        vanished = {name: mean for name, mean in means.items() if mean < self.threshold}
        if not vanished or self.loss(step) < self.loss_above:
            return False
        if self.base_trial.mode_modestep(step)[1] < self.warmup_steps:
            return False
        name, mean = smallest(vanished)
        sentence = (
            f"the gradients of {len(vanished)} of {len(means)} tensors are as good as 0, "
            "so those layers no longer learn"
        )
        return self.fire(step, name, mean, self.threshold, sentence)

    def measure(self, name: str, step: int) -> float | None:
        """The mean of the absolute values."""
        return self.reduction(name, step, "mean", absolute=True)


def _is_bias_of_weight(name: str, names: list[str]) -> bool:
    """Whether it is a bias, and the gradient of its layer's weight is there, too."""
    return name.endswith(BIAS) and name.removesuffix(BIAS) + ".weight" in names


class ExplodingTensor(TensorRule):
    """Fires when a tensor holds NaN or an infinity; with only_nan only NaN.

    SageMaker's documentation does not say which tensors are meant when neither collection_names nor
    tensor_regex is given. Here these are all that were saved. Where reductions of a whole tensor
    were saved, they are used beside the values: a maximum is NaN or infinite where a value is. NaN
    as a mean or a variance can also come from an infinity among the values, so only_nan leaves
    these two out.
    """

    advice = (
        "a lower lr, warmup_epochs, gradient clipping; with precision=float16 take bfloat16 or "
        "float32; look for a division by 0 or a logarithm of 0 in the loss, and for broken photos"
    )
    needs = "any tensors"
    severity = CRITICAL
    exact = ("min", "max")  # reductions that are NaN only where a value is

    def __init__(
        self,
        base_trial: "JobTrial",
        *,
        collection_names: str | None = None,
        tensor_regex: str | None = None,
        only_nan: bool = False,
    ) -> None:
        super().__init__(base_trial)
        self.collections = split_names(collection_names)
        self.regex = tensor_regex
        if not self.collections and not tensor_regex:
            self.regex = ALL_TENSORS
        self.only_nan = only_nan

    def invoke_at_step(self, step: int) -> bool:
        """Look for a value that is not a finite number."""
        names = self.names(step, self.collections, self.regex)
        bad: dict[str, float] = {}
        for name in names:
            value = self._bad_value(name, step)
            if value is not None:
                bad[name] = value
        if names:
            self.count_step()
        if not bad:
            return False
        # a gradient is nearest to the cause
        gradients = [name for name in bad if name.startswith("gradient/")]
        first = [*gradients, *bad][0]
        what = "NaN (not a number)" if math.isnan(bad[first]) else "infinite values"
        sentence = f"{len(bad)} of {len(names)} tensors hold {what}"
        return self.fire(step, first, bad[first], math.inf, sentence)

    def _bad_value(self, name: str, step: int) -> float | None:
        """NaN or an infinity that the tensor holds; None when all its values are numbers."""
        for (kind, _), value in self.reductions(name, step).items():
            if self.only_nan:
                if kind in self.exact and math.isnan(value):
                    return value
            elif not math.isfinite(value):
                return value
        values = self.value(name, step)
        if values is None or values.dtype.kind != "f":
            return None
        if np.isnan(values).any():
            return math.nan
        if not self.only_nan and np.isinf(values).any():
            return math.inf
        return None
