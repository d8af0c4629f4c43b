"""Rules on gradients and on values that stop being numbers.

Definitions and defaults: SageMaker's list of Debugger built-in rules,
https://docs.aws.amazon.com/sagemaker/latest/dg/debugger-built-in-rules.html
"""

import math
import statistics

import numpy as np

from diagnose.rule import TensorRule

BIAS = ".bias"
NORMAL_RANGE = 3.29  # p95 - p5 of a normal distribution, in standard deviations


class VanishingGradient(TensorRule):
    """Fires when the mean of a gradient's absolute values falls below `threshold`.

    Vague in the documentation: "any gradient". Chosen: a layer's bias is judged only where its weight's gradient was not saved. A bias in
    front of a BatchNorm has a gradient of 0 by arithmetic, in the healthiest of networks.
    """

    advice = (
        "ReLU or GELU instead of sigmoid and tanh, BatchNorm or residual connections, He or Xavier initialization, fewer layers, "
        "or pretrained weights; if the loss is already near 0, the training is simply done"
    )
    needs = "gradients (debug_collections=gradients)"

    def __init__(self, base_trial, *, threshold: float = 1e-7):
        super().__init__(base_trial)
        self.threshold = threshold

    def invoke_at_step(self, step: int) -> bool:
        names = self.names(step, ("gradients",))
        judged = [
            name
            for name in names
            if not (name.endswith(BIAS) and name.removesuffix(BIAS) + ".weight" in names)
        ]
        means = {
            name: mean
            for name in judged
            if (mean := self.reduction(name, step, "mean", absolute=True)) is not None
        }
        if not means:
            return False
        self.count_step()
        vanished = {name: mean for name, mean in means.items() if mean < self.threshold}
        if not vanished:
            return False
        worst = min(vanished, key=vanished.get)
        return self.fire(
            step,
            worst,
            vanished[worst],
            self.threshold,
            f"the gradients of {len(vanished)} of {len(means)} tensors are as good as 0, so those layers no longer learn",
        )


class ExplodingTensor(TensorRule):
    """Fires when a tensor holds NaN or an infinity; with only_nan only NaN.

    Vague in the documentation: which tensors when neither collection_names nor tensor_regex is given. Chosen: all that were saved.
    Where reductions of a whole tensor were saved they are looked at beside the values kept: a maximum carries NaN
    and infinity on; of a mean or a variance NaN can also mean an infinity among the values, which only_nan leaves out.
    """

    advice = (
        "a lower lr, warmup_epochs, gradient clipping; with precision=float16 take bfloat16 or float32; look for a division by 0 or a "
        "logarithm of 0 in the loss, and for broken photos"
    )
    needs = "any tensors"
    exact = ("min", "max")

    def __init__(
        self,
        base_trial,
        *,
        collection_names: str | None = None,
        tensor_regex: str | None = None,
        only_nan: bool = False,
    ):
        super().__init__(base_trial)
        self.collections = collection_names.split(",") if collection_names else []
        self.regex, self.only_nan = tensor_regex, only_nan

    def invoke_at_step(self, step: int) -> bool:
        regex = self.regex or (None if self.collections else ".*")
        names = self.names(step, self.collections, regex)
        bad = {name: kind for name in names if (kind := self._broken(name, step)) is not None}
        if names:
            self.count_step()
        if not bad:
            return False
        first = next((name for name in bad if name.startswith("gradient/")), next(iter(bad)))
        what = "NaN (not a number)" if math.isnan(bad[first]) else "infinite values"
        return self.fire(
            step, first, bad[first], math.inf, f"{len(bad)} of {len(names)} tensors hold {what}"
        )

    def _broken(self, name: str, step: int) -> float | None:
        """NaN or an infinity that the tensor holds; None when all its values are numbers."""
        reductions = self.reductions(name, step)
        usable = {
            key: value
            for key, value in reductions.items()
            if not self.only_nan or key[0] in self.exact
        }
        for value in usable.values():
            if math.isnan(value) or (math.isinf(value) and not self.only_nan):
                return value
        values = self.value(name, step)
        if values is None or values.dtype.kind != "f":
            return None
        if np.isnan(values).any():
            return math.nan
        return math.inf if np.isinf(values).any() and not self.only_nan else None


class PoorWeightInitialization(TensorRule):
    """Looks at the first `steps` saved training steps only. Fires when (a) the variance of the activations' inputs differs between layers by
    more than `threshold` times, or (b) the gradients of some layer spread, from the 5th to the 95th percentile, over less than
    `distribution_range`, or (c) the loss has not fallen below its first value for `patience` saved steps.

    Vague in the documentation: it says both "variance of weights per layer" and "activation inputs"; the parameter is named after the
    inputs, so those are taken, at each of the steps. (b) looks at weights' gradients; biases are left out (see VanishingGradient), and
    tensors of fewer than 20 values, which have no such percentiles. Of gradients saved as reductions only, the range is taken as that of a
    normal distribution, 3.29 standard deviations. Wide and pretrained networks have narrow gradients by nature (ResNet50: some 0.0001):
    lower distribution_range for them. Where smdebug alone saved the "input" of an in-place ReLU, that is its output; our hook undoes it.
    """

    advice = (
        "He (kaiming) initialization for ReLU, Xavier for tanh and sigmoid, BatchNorm, pretrained weights; if only the loss stands still, "
        "another lr"
    )
    needs = "activation inputs, gradients or losses (debug_collections=activations,gradients)"

    def __init__(
        self,
        base_trial,
        *,
        activation_inputs_regex: str = ".*relu_input",
        threshold: float = 10.0,
        distribution_range: float = 0.001,
        patience: int = 5,
        steps: int = 10,
    ):
        super().__init__(base_trial)
        self.regex, self.threshold, self.range, self.patience, self.steps = (
            activation_inputs_regex,
            threshold,
            distribution_range,
            patience,
            steps,
        )
        self.losses: list[float] = []

    def invoke_at_step(self, step: int) -> bool:
        if self.steps_evaluated >= self.steps or self.mode_of(step).name not in ("TRAIN", "GLOBAL"):
            return False
        self.count_step()
        return self._uneven(step) or self._narrow(step) or self._stuck(step)

    def _uneven(self, step: int) -> bool:
        variances = {
            name: value
            for name in self.names(step, (), self.regex)
            if (value := self.reduction(name, step, "variance")) is not None
            and math.isfinite(value)
        }
        if len(variances) < 2:
            return False
        low, high = min(variances, key=variances.get), max(variances, key=variances.get)
        ratio = variances[high] / variances[low] if variances[low] > 0 else math.inf
        return ratio > self.threshold and self.fire(
            step,
            low,
            ratio,
            self.threshold,
            f"the activations' inputs vary {ratio:.3g} times as much at {high} as here: from layer to layer the signal fades or grows",
        )

    def _narrow(self, step: int) -> bool:
        spreads = {
            name: spread
            for name in self.names(step, ("gradients",))
            if not name.endswith(BIAS) and (spread := self._spread(name, step)) is not None
        }
        narrow = min(spreads, key=spreads.get, default=None)
        return (
            narrow is not None
            and spreads[narrow] < self.range
            and self.fire(
                step,
                narrow,
                spreads[narrow],
                self.range,
                "the gradients of this layer lie in too narrow a range to learn from",
            )
        )

    def _spread(self, name: str, step: int) -> float | None:
        values = self.value(name, step)
        if values is not None:
            return (
                float(np.subtract(*np.percentile(values, (95, 5))))
                if values.size >= 20 and np.isfinite(values).all()
                else None
            )
        deviation = self.reduction(name, step, "std")
        return None if deviation is None else NORMAL_RANGE * deviation

    def _stuck(self, step: int) -> bool:
        values = [
            value
            for name in self.names(step, ("losses",))
            if (value := self.reduction(name, step, "mean")) is not None
        ]
        if not values:
            return False
        self.losses.append(statistics.fmean(values))
        since = len(self.losses) - 1
        return (
            since >= self.patience
            and min(self.losses[1:]) >= self.losses[0]
            and self.fire(
                step,
                self.names(step, ("losses",))[0],
                min(self.losses[1:]),
                self.losses[0],
                f"the loss has not fallen below its first value in {since} saved steps",
            )
        )
