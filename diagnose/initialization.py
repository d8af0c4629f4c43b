"""The rule on how the weights of a training were initialized.

Definition and defaults: SageMaker's list of Debugger built-in rules,
https://docs.aws.amazon.com/sagemaker/latest/dg/debugger-built-in-rules.html
"""

import dataclasses
import math
import statistics
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from diagnose.gradients import BIAS
from diagnose.line import Line
from diagnose.losses import losses_line
from diagnose.rule import TensorRule, largest, smallest

if TYPE_CHECKING:
    from diagnose.trial import JobTrial

NORMAL_RANGE = 3.29  # p95 - p5 of a normal distribution, in standard deviations
FEWEST_VALUES = 20  # below which a tensor has no 5th percentile


class PoorWeightInitialization(TensorRule):
    """Looks at the first `steps` saved training steps only. Fires when

    (a) the variance of the activations' inputs differs between layers by more than `threshold`
    times, or (b) the gradients of some layer spread, from the 5th to the 95th percentile, over less
    than `distribution_range`, or (c) the loss has stayed above its first value, by `loss_margin` of
    it, for `patience` saved steps.

    SageMaker's thresholds are 10 and 0.001, without a margin. Sound networks pass them: a
    pretrained EfficientNet-Lite0 has a ratio of 15, a ResNet18 gradients of 0.0001.

    SageMaker's documentation says both "variance of weights per layer" and "activation inputs". The
    parameter is named after the inputs, so those are taken, at each of the steps. (b) looks at the
    gradients of weights. It leaves out biases (see VanishingGradient), and tensors of fewer than 20
    values. Where only reductions of gradients were saved, the range is taken as that of a normal
    distribution. Where smdebug alone saved the "input" of an in-place ReLU, that
    is its output. Our hook saves the input.
    """

    advice = (
        "He (kaiming) initialization for ReLU, Xavier for tanh and sigmoid, BatchNorm, pretrained "
        "weights; if only the loss stands still, another lr"
    )
    watched = "variance of the activation's inputs"
    sagemaker: ClassVar[dict[str, object]] = {
        "threshold": 10.0,
        "distribution_range": 0.001,
        "loss_margin": 0.0,
    }
    needs = "activation inputs, gradients or losses (debug_collections=activations,gradients)"

    def __init__(
        self,
        base_trial: "JobTrial",
        *,
        activation_inputs_regex: str = ".*relu_input",
        threshold: float = 100.0,
        distribution_range: float = 1e-7,
        patience: int = 5,
        steps: int = 10,
        loss_margin: float = 0.1,
    ) -> None:
        super().__init__(base_trial)
        self.regex = activation_inputs_regex
        self.threshold = threshold
        self.range = distribution_range
        self.patience = patience
        self.steps = steps
        self.loss_margin = loss_margin
        self.losses: list[float] = []

    def invoke_at_step(self, step: int) -> bool:
        """Evaluate the three conditions at one of the first training steps."""
        is_training = self.mode_of(step).name in ("TRAIN", "GLOBAL")
        if self.steps_evaluated >= self.steps or not is_training:
            return False
        self.count_step()
        return self._is_uneven(step) or self._is_narrow(step) or self._is_stuck(step)

    def line(self) -> Line | None:
        """The losses where they stood still, else what the rule saw of the layer; to be drawn."""
        if self.losses and self.violation and "loss" in self.violation.sentence:
            return losses_line(self)
        found = super().line()
        if found is None or self.violation is None:
            return found
        if self.violation.tensor.startswith("gradient/"):
            return dataclasses.replace(found, watched="spread of the gradients")
        return dataclasses.replace(found, threshold=None)  # of a ratio, not of a variance

    def measure(self, name: str, step: int) -> float | None:
        """The spread of a gradient, else the variance."""
        if name.startswith("gradient/"):
            return self._spread(name, step)
        return self.reduction(name, step, "variance")

    def _is_uneven(self, step: int) -> bool:
        names = self.names(step, (), self.regex)
        variances = self.reduce_each(names, step, "variance")
        finite = {name: value for name, value in variances.items() if math.isfinite(value)}
        if len(finite) < 2:
            return False
        low_name, low = smallest(finite)
        high_name, high = largest(finite)
        ratio = high / low if low > 0 else math.inf
        if ratio <= self.threshold:
            return False
        sentence = (
            f"the activations' inputs vary {ratio:.3g} times as much at {high_name} as here: "
            "from layer to layer the signal fades or grows"
        )
        return self.fire(step, low_name, ratio, self.threshold, sentence)

    def _is_narrow(self, step: int) -> bool:
        spreads: dict[str, float] = {}
        for name in self.names(step, ("gradients",)):
            if name.endswith(BIAS):
                continue
            spread = self._spread(name, step)
            # of exactly 0 where a residual branch begins as 0, which many do on purpose
            if spread:
                spreads[name] = spread
        if not spreads:
            return False
        name, spread = smallest(spreads)
        if not spread < self.range:
            return False
        sentence = "the gradients of this layer lie in too narrow a range to learn from"
        return self.fire(step, name, spread, self.range, sentence)

    def _spread(self, name: str, step: int) -> float | None:
        """The range from the 5th to the 95th percentile."""
        values = self.value(name, step)
        if values is None:
            deviation = self.reduction(name, step, "std")
            if deviation is None:
                return None
            return NORMAL_RANGE * deviation
        if values.size < FEWEST_VALUES or not np.isfinite(values).all():
            return None
        low, high = np.percentile(values, (5, 95))
        return float(high - low)

    def _is_stuck(self, step: int) -> bool:
        names = self.names(step, ("losses",))
        losses = self.reduce_each(names, step, "mean")
        if not losses:
            return False
        self.losses.append(statistics.fmean(losses.values()))
        since = len(self.losses) - 1
        if since < self.patience:
            return False
        first = self.losses[0]
        best = min(self.losses[1:])
        limit = first * (1 + self.loss_margin)
        if not best >= limit:
            return False
        sentence = f"the loss has not fallen below its first value in {since} saved steps"
        return self.fire(step, names[0], best, limit, sentence)
