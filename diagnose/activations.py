"""Rules on activation functions that have stopped to pass anything on.

Definitions and defaults: SageMaker's list of Debugger built-in rules,
https://docs.aws.amazon.com/sagemaker/latest/dg/debugger-built-in-rules.html
The documentation speaks of nodes. Chosen: of an output [N, features] or [N, tokens, features] a node is a feature, of a convolution's
[N, C, H, W] a channel, seen at all places.
"""

import re

import numpy as np

from diagnose.rule import TensorRule


class DeadRelu(TensorRule):
    """A ReLU node is dead if less than `threshold_inactivity` percent of its outputs are above 0. Fires when more than `threshold_layer` percent of
    a layer's nodes are dead.

    Vague in the documentation: what activity is; chosen is that share. Our hook saves it, exactly, as `…relu_activity_N` in place of the
    outputs themselves, which would be gigabytes; both are read.
    """

    advice = "a lower lr, biases that start at 0 or above, He initialization, LeakyReLU or GELU, BatchNorm in front of the ReLU"
    needs = "ReLU outputs (debug_collections=activations, and a network with nn.ReLU)"

    def __init__(
        self,
        base_trial,
        *,
        tensor_regex: str = ".*relu_output",
        threshold_inactivity: float = 1.0,
        threshold_layer: float = 50.0,
    ):
        super().__init__(base_trial)
        self.regex, self.inactivity, self.layer = (
            tensor_regex,
            threshold_inactivity,
            threshold_layer,
        )

    def invoke_at_step(self, step: int) -> bool:
        dead = {}
        for name in self.names(step, (), self.regex):
            value = self.value(name, step)
            if value is not None and value.size:
                dead[name] = self._dead((value > 0).mean(axis=other_axes(value)))
        for name in self.names(step, (), "relu_activity"):
            if (
                re.search(self.regex, name.replace("relu_activity", "relu_output"))
                and (value := self.value(name, step)) is not None
            ):
                dead[name] = self._dead(value)
        if not dead:
            return False
        self.count_step()
        worst = max(dead, key=dead.get)
        return dead[worst] > self.layer and self.fire(
            step,
            worst,
            dead[worst],
            self.layer,
            f"{dead[worst]:.3g} % of this layer's ReLUs are dead: they give 0 for nearly every input",
        )

    def _dead(self, activity: np.ndarray) -> float:
        return 100.0 * float((100.0 * activity < self.inactivity).mean())


class SaturatedActivation(TensorRule):
    """A tanh or sigmoid node is saturated if less than `threshold_inactivity` percent of its inputs lie within the thresholds. Fires when more
    than `threshold_layer` percent of a layer's nodes are saturated.

    Which of the two a tensor feeds is read from its name. Not for ResNet and VGG, which have neither.
    """

    advice = "ReLU or GELU in place of tanh and sigmoid, Xavier initialization, BatchNorm in front, a lower lr, inputs of mean 0 and variance 1"
    needs = "inputs of tanh or sigmoid (debug_collections=activations, and a network with nn.Tanh or nn.Sigmoid)"

    def __init__(
        self,
        base_trial,
        *,
        tensor_regex: str = ".*tanh_input|.*sigmoid_input",
        threshold_tanh_min: float = -9.4999,
        threshold_tanh_max: float = 9.4999,
        threshold_sigmoid_min: float = -23.0,
        threshold_sigmoid_max: float = 16.99999,
        threshold_inactivity: float = 1.0,
        threshold_layer: float = 50.0,
    ):
        super().__init__(base_trial)
        self.regex, self.inactivity, self.layer = (
            tensor_regex,
            threshold_inactivity,
            threshold_layer,
        )
        self.bounds = {
            "tanh": (threshold_tanh_min, threshold_tanh_max),
            "sigmoid": (threshold_sigmoid_min, threshold_sigmoid_max),
        }

    def invoke_at_step(self, step: int) -> bool:
        saturated = {}
        for name in self.names(step, (), self.regex):
            value = self.value(name, step)
            if value is None or not value.size:
                continue
            low, high = self.bounds["sigmoid" if "sigmoid" in name.lower() else "tanh"]
            active = 100.0 * ((value > low) & (value < high)).mean(axis=other_axes(value))
            saturated[name] = 100.0 * float((active < self.inactivity).mean())
        if not saturated:
            return False
        self.count_step()
        worst = max(saturated, key=saturated.get)
        return saturated[worst] > self.layer and self.fire(
            step,
            worst,
            saturated[worst],
            self.layer,
            f"{saturated[worst]:.3g} % of this layer's nodes are saturated: they give the same for every input and let no gradient through",
        )


def other_axes(value: np.ndarray) -> tuple[int, ...]:
    """All axes but that of the nodes: 1 in [N, F] and [N, C, H, W], the last in [N, T, F]."""
    return tuple(
        axis
        for axis in range(value.ndim)
        if axis != (value.ndim - 1 if value.ndim in (1, 3) else 1)
    )
