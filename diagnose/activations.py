"""Rules on activation functions that no longer pass anything on.

Definitions and defaults: SageMaker's list of Debugger built-in rules,
https://docs.aws.amazon.com/sagemaker/latest/dg/debugger-built-in-rules.html
The documentation speaks of nodes. Chosen: of an output [N, features] or [N, tokens, features] a
node is a feature, of a convolution's [N, C, H, W] a channel, seen at all places.
"""

import re
from typing import TYPE_CHECKING

from diagnose.rule import Array, TensorRule, largest

if TYPE_CHECKING:
    from diagnose.trial import JobTrial


ACTIVITY = "relu_activity"  # in a tensor's name: our hook's shares of outputs above 0


class ActivationRule(TensorRule):
    """Fires when more than `threshold_layer` percent of a layer's nodes are inactive.

    A node is inactive if less than `threshold_inactivity` percent of its values are active.
    """

    watched = "percent of the layer's nodes"

    def __init__(self, base_trial: "JobTrial", regex: str, inactivity: float, layer: float) -> None:
        super().__init__(base_trial)
        self.regex = regex
        self.inactivity = inactivity  # percent
        self.layer = layer  # percent

    def _inactive(self, activity: Array) -> float:
        """Percent of inactive nodes, from the share of active values of each."""
        return 100.0 * float((100.0 * activity < self.inactivity).mean())

    def _compare(self, step: int, inactive: dict[str, float], words: str) -> bool:
        """Whether the worst layer is above the threshold. inactive: percent by layer."""
        if not inactive:
            return False
        self.count_step()
        name, percent = largest(inactive)
        if not percent > self.layer:  # NaN does not fire
            return False
        sentence = f"{percent:.3g} % of this layer's {words}"
        return self.fire(step, name, percent, self.layer, sentence)


class DeadRelu(ActivationRule):
    """A ReLU node is dead if less than `threshold_inactivity` percent of its outputs are above 0.

    Fires when more than `threshold_layer` percent of a layer's nodes are dead. SageMaker's
    documentation does not say what activity is. Here it is that percentage. Our hook saves exactly
    this number, as `…relu_activity_N`. The outputs themselves would be gigabytes. Both are read.
    """

    advice = (
        "a lower lr, biases that start at 0 or above, He initialization, LeakyReLU or GELU, "
        "BatchNorm in front of the ReLU"
    )
    needs = "ReLU outputs (debug_collections=activations, and a network with nn.ReLU)"

    def __init__(
        self,
        base_trial: "JobTrial",
        *,
        tensor_regex: str = ".*relu_output",
        threshold_inactivity: float = 1.0,
        threshold_layer: float = 50.0,
    ) -> None:
        super().__init__(base_trial, tensor_regex, threshold_inactivity, threshold_layer)

    def invoke_at_step(self, step: int) -> bool:
        """Find the layer with the most dead nodes."""
        names = self.names(step, (), self.regex)
        for name in self.names(step, (), ACTIVITY):
            if re.search(self.regex, name.replace(ACTIVITY, "relu_output")):
                names.append(name)
        dead = self.measure_each(names, step)
        words = "ReLUs are dead: they give 0 for nearly every input"
        return self._compare(step, dead, words)

    def measure(self, name: str, step: int) -> float | None:
        """Percent of the layer's nodes that are dead."""
        value = self.value(name, step)
        if value is None or not value.size:
            return None
        if ACTIVITY in name:
            return self._inactive(value)
        return self._inactive((value > 0).mean(axis=other_axes(value)))


class SaturatedActivation(ActivationRule):
    """A tanh or sigmoid node is saturated if hardly any of its inputs lie within the thresholds.

    These are less than `threshold_inactivity` percent. Fires when more than `threshold_layer`
    percent of a layer's nodes are saturated. A tensor's name says which of the two functions it
    feeds. Not for ResNet and VGG, which have neither.
    """

    advice = (
        "ReLU or GELU in place of tanh and sigmoid, Xavier initialization, BatchNorm in front, a "
        "lower lr, inputs of mean 0 and variance 1"
    )
    needs = (
        "inputs of tanh or sigmoid (debug_collections=activations, "
        "and a network with nn.Tanh or nn.Sigmoid)"
    )

    def __init__(
        self,
        base_trial: "JobTrial",
        *,
        tensor_regex: str = ".*tanh_input|.*sigmoid_input",
        threshold_tanh_min: float = -9.4999,
        threshold_tanh_max: float = 9.4999,
        threshold_sigmoid_min: float = -23.0,
        threshold_sigmoid_max: float = 16.99999,
        threshold_inactivity: float = 1.0,
        threshold_layer: float = 50.0,
    ) -> None:
        super().__init__(base_trial, tensor_regex, threshold_inactivity, threshold_layer)
        self.tanh_bounds = (threshold_tanh_min, threshold_tanh_max)
        self.sigmoid_bounds = (threshold_sigmoid_min, threshold_sigmoid_max)

    def invoke_at_step(self, step: int) -> bool:
        """Find the layer with the most saturated nodes."""
        saturated = self.measure_each(self.names(step, (), self.regex), step)
        words = (
            "nodes are saturated: they give the same for every input and let no gradient through"
        )
        return self._compare(step, saturated, words)

    def measure(self, name: str, step: int) -> float | None:
        """Percent of the layer's nodes that are saturated."""
        value = self.value(name, step)
        if value is None or not value.size:
            return None
        low, high = self.tanh_bounds
        if "sigmoid" in name.lower():
            low, high = self.sigmoid_bounds
        within = (value > low) & (value < high)
        return self._inactive(within.mean(axis=other_axes(value)))


def other_axes(value: Array) -> tuple[int, ...]:
    """All axes but that of the nodes: 1 in [N, F] and [N, C, H, W], the last in [N, T, F]."""
    nodes = value.ndim - 1 if value.ndim in (1, 3) else 1
    return tuple(axis for axis in range(value.ndim) if axis != nodes)
