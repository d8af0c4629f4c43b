"""Whether an int8 model answers as the f32 model does: the comparison of both, and its gate."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from artifact.text.intervals import Z_95
from artifact.text.numbers import percent

ROUNDING = 1e-9

Correct = NDArray[np.bool_]  # [N]
Figures = dict[str, Any]  # for model.json


@dataclass(frozen=True)
class Judgement:
    """Answers to photos. answers: class numbers [N], or with several labels bool [N, classes]."""

    answers: NDArray[Any]
    correct: Correct


@dataclass(frozen=True)
class Gate:
    """When int8 is kept.

    photos: least number that judge. agreement: least share of them that int8 answers as f32 does.
    loss: share by which it may be less accurate, where that is no luck of these photos.
    """

    photos: int = 100
    agreement: float = 0.99
    loss: float = 0.002


GATE = Gate()


@dataclass(frozen=True)
class Comparison:
    """Of int8 with f32 on the same photos, all as shares. loss: of accuracy; low, high: its 95 %
    interval."""

    photos: int
    agreement: float
    loss: float
    low: float
    high: float

    def figures(self) -> Figures:
        """As model.json has them."""
        return {
            "agreement": self.agreement,
            "loss": self.loss,
            "loss_interval": [self.low, self.high],
        }

    def obstacle(self, gate: Gate) -> str | None:
        """Why int8 is not kept, in one sentence; None where it is."""
        if self.agreement < gate.agreement - ROUNDING:
            return (
                f"it answers {percent(self.agreement, 2)} of {self.photos} photos as f32 does; "
                f"{percent(gate.agreement, 0)} are wanted"
            )
        if self.loss > gate.loss + ROUNDING and self.low > 0:
            return (
                f"it loses {100 * self.loss:.2f} percentage points of accuracy "
                f"({100 * self.low:.2f} to {100 * self.high:.2f}); "
                f"{100 * gate.loss:.1f} may be lost"
            )
        return None


def compared(before: Judgement, after: Judgement) -> Comparison:
    """int8 (after) beside f32 (before). The interval is that of the paired differences."""
    count = len(before.correct)
    same = (before.answers == after.answers).reshape(count, -1).all(axis=1)
    differences = before.correct.astype(float) - after.correct.astype(float)
    loss = float(differences.mean())
    half = Z_95 * float(differences.std()) / math.sqrt(count)
    return Comparison(count, float(same.mean()), loss, loss - half, loss + half)
