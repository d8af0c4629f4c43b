"""Where a training stands between two epochs, and all of a learner that steps change."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from train.learning.loop import Learner, Metrics


@dataclass
class State:
    """Where a training stands after an epoch.

    best: the values that the network had learned after `best_epoch`. start: what the head reaches
    that was solved before the first epoch. linear_head: what a linear head on the first weights'
    features reaches. times: when each epoch ended, in seconds since 1970.
    """

    epoch: int = 0
    history: list[Metrics] = field(default_factory=list)
    best_epoch: int = 0
    best: dict[str, torch.Tensor] = field(default_factory=dict)
    start: Metrics = field(default_factory=dict)
    linear_head: dict[str, Any] = field(default_factory=dict)
    times: dict[int, float] = field(default_factory=dict)


# Any: optimizers and scalers define the contents of their own states.
def learning_state(learner: Learner) -> dict[str, Any]:
    """All of a learner that steps change; the tensors themselves."""
    state = {
        "network": learner.learned(),
        "optimizer": learner.optimizer.state_dict(),
        "scaler": learner.scaler.state_dict(),
    }
    if learner.average:
        state["average"] = learner.average.state()
    return state


def restore_learning(learner: Learner, saved: Mapping[str, Any]) -> None:
    """Put back what `learning_state` gave."""
    learner.restore(saved["network"])
    learner.optimizer.load_state_dict(saved["optimizer"])
    if saved.get("scaler"):  # float16's; not in the checkpoints of earlier versions
        learner.scaler.load_state_dict(saved["scaler"])
    if learner.average:
        learner.average.restore(saved["average"])
