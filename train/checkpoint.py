"""What a job must remember to go on after it was killed: written whole or not at all, read back with no pickle code run."""

from dataclasses import dataclass, field
from pathlib import Path

import torch

from artifact.model import atomic_file, discard_unfinished
from train.job import Job, JobError
from train.loop import Learner

CHECKPOINT_FILE = "checkpoint.pt"


@dataclass
class State:
    """Where a training stands after an epoch. `best` holds what the network had learned after `best_epoch`."""

    epoch: int = 0
    history: list[dict] = field(default_factory=list)
    best_epoch: int = 0
    best: dict[str, torch.Tensor] = field(default_factory=dict)


def save_checkpoint(job: Job, state: State, learner: Learner, identity: dict) -> None:
    """Write checkpoints/checkpoint.pt. OSError or RuntimeError (torch's writer) when the folder cannot take it."""
    if not learner.world.first:
        return
    job.checkpoints.mkdir(parents=True, exist_ok=True)
    with atomic_file(job.checkpoints / CHECKPOINT_FILE) as file:
        torch.save({"identity": identity, "epoch": state.epoch, "history": state.history, "best_epoch": state.best_epoch,
                    "best": state.best, "network": learner.learned(), "optimizer": learner.optimizer.state_dict()}, file)


def load_checkpoint(job: Job, learner: Learner, identity: dict) -> State:
    """The state to go on from, network and optimizer filled; a fresh one when there is no checkpoint.

    identity: what must be equal for the checkpoint to be of this job. JobError when it is another's or damaged.
    """
    saved = learner.world.of_first(lambda: _read(job, identity))  # the other hosts' folders may hold an older one, or none
    if not saved:
        return State()
    learner.restore(saved["network"])
    learner.optimizer.load_state_dict(saved["optimizer"])
    return State(saved["epoch"], saved["history"], saved["best_epoch"], saved["best"])


def _read(job: Job, identity: dict) -> dict:
    path = job.checkpoints / CHECKPOINT_FILE
    discard_unfinished(job.checkpoints)
    if not path.is_file():
        return {}
    saved = read_tensors(path, "a checkpoint; empty the checkpoints folder to start anew")
    theirs = saved.get("identity", {}) if isinstance(saved, dict) else {}
    for name, ours in identity.items():
        if theirs.get(name) != ours:
            raise JobError(f"'{path}' is of another training: its {name} is {theirs.get(name)!r}, this job's {ours!r}; "
                           "empty the checkpoints folder to start anew")
    return saved


def read_tensors(path: Path, expected: str) -> object:
    """What torch.save wrote to a file, tensors on the CPU, no code of the file run. JobError when it is not `expected`."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise
    except Exception as error:  # the unpickler raises nearly anything on damaged files
        raise JobError(f"'{path}' is not {expected} ({(str(error).splitlines() or ['damaged'])[0][:200]})") from error
