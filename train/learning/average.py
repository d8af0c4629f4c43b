"""An exponential moving average of the weights, which is validated and exported in their place.

Polyak and Juditsky, "Acceleration of stochastic approximation by averaging" (1992). The decay rises
over the first steps, so that the first weights are soon forgotten.
"""

from collections.abc import Mapping
from typing import Any

import torch

RISE = 10  # steps; the decay of step n is at most (1 + n) / (RISE + n)


class WeightAverage:
    """The average of a network's learned values, by name."""

    def __init__(self, values: Mapping[str, torch.Tensor], decay: float):
        self.decay = decay
        self.steps = 0
        self.values = {name: value.clone() for name, value in values.items()}

    def update(self, values: Mapping[str, torch.Tensor]) -> None:
        """Take in the values after a step."""
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (RISE + self.steps))
        for name, value in values.items():
            if value.is_floating_point():
                self.values[name].lerp_(value, 1 - decay)
            else:  # a count of batches
                self.values[name].copy_(value)

    # Any: numbers and tensors.
    def state(self) -> dict[str, Any]:
        """For a checkpoint; the tensors themselves."""
        return {"steps": self.steps, "values": self.values}

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Put back what `state` gave."""
        self.steps = saved["steps"]
        for name, value in self.values.items():
            value.copy_(saved["values"][name])
