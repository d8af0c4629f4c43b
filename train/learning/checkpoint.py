"""What a job must remember to go on after it was killed: written whole or not at all, read back with no pickle code run.

    checkpoints/checkpoint-<epoch>.pt   torch.save's archive, and behind it the SHA-256 of its bytes and of the training it is of

The newest two of this training stay. Whatever else lies in the folder, which SageMaker mirrors to S3, is left alone.
"""

import hashlib
import json
import re
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import torch

from artifact.model import atomic_file, discard_unfinished, write_atomically
from train.failure import disk_full, os_error, reason
from train.job import Job, JobError
from train.learning.loop import Learner

KEPT = 2  # the newest, and one to go back to where that is damaged
SEAL = b"slipway checkpoint, sha-256:"  # then 32 bytes each of the archive and of the identity
SEAL_BYTES = len(SEAL) + 2 * 32
BEFORE_ROTATION = "checkpoint.pt"  # the one file of earlier versions: no seal
ADVICE = "empty the checkpoints folder to start anew"


@dataclass
class State:
    """Where a training stands after an epoch. `best` holds what the network had learned after `best_epoch`."""

    epoch: int = 0
    history: list[dict] = field(default_factory=list)
    best_epoch: int = 0
    best: dict[str, torch.Tensor] = field(default_factory=dict)


def learning_state(learner: Learner) -> dict:
    """All of a learner that steps change; the tensors themselves."""
    return {
        "network": learner.learned(),
        "optimizer": learner.optimizer.state_dict(),
        "scaler": learner.scaler.state_dict(),
    }


def restore_learning(learner: Learner, saved: dict) -> None:
    """Put back what `learning_state` gave."""
    learner.restore(saved["network"])
    learner.optimizer.load_state_dict(saved["optimizer"])
    if saved.get("scaler"):  # float16's; not in the checkpoints of earlier versions
        learner.scaler.load_state_dict(saved["scaler"])


def save_checkpoint(job: Job, state: State, learner: Learner, identity: dict) -> None:
    """Write checkpoints/checkpoint-<epoch>.pt and remove the ones of this training that are too old.

    The first process alone does. JobError when the folder cannot take it; what lies there stays.
    """
    if not learner.context.is_main_process:
        return
    path = job.checkpoints / f"checkpoint-{state.epoch}.pt"
    parts = learning_state(learner)
    if state.best_epoch == state.epoch:
        parts["network"] = (
            state.best
        )  # the same values: tensors that are named twice are written once
    saved = {
        "identity": identity,
        "epoch": state.epoch,
        "history": state.history,
        "best_epoch": state.best_epoch,
        "best": state.best,
        **parts,
    }
    try:
        job.checkpoints.mkdir(parents=True, exist_ok=True)
        try:
            _write(path, saved, identity)
        except Exception as error:
            if not (disk_full(error) and _prune(job.checkpoints, identity, state.epoch, 1)):
                raise
            _write(path, saved, identity)
        _prune(job.checkpoints, identity, state.epoch, KEPT)
    except Exception as error:
        if os_error(error) is None:
            raise
        raise JobError(f"{reason(error)}; '{path}' could not be written") from error


def check_writable(job: Job) -> None:
    """OSError when no checkpoint can be written: better told before hours of training than after the first epoch."""
    job.checkpoints.mkdir(parents=True, exist_ok=True)
    probe = job.checkpoints / "slipway-probe"
    write_atomically(probe, b"can be removed")
    probe.unlink()


def load_checkpoint(job: Job, learner: Learner, identity: dict) -> State:
    """The state to go on from, with network, optimizer and scaler filled; a fresh one when there is no checkpoint.

    identity: what must be equal for a checkpoint to be of this job. Takes the newest that is whole and of this job, and tells of
    newer ones that are not. JobError when there are checkpoints and none is.
    """
    saved = learner.context.broadcast_from_main(
        lambda: _newest(job, identity)
    )  # the other hosts' folders may hold an older one, or none
    if not saved:
        return State()
    restore_learning(learner, saved)
    return State(saved["epoch"], saved["history"], saved["best_epoch"], saved["best"])


def _newest(job: Job, identity: dict) -> dict:
    discard_unfinished(job.checkpoints)
    refused: list[JobError] = []
    for path in _newest_first(job.checkpoints):
        try:
            saved = _read(path, identity)
        except JobError as error:
            refused.append(error)
            continue
        for error in refused:
            print(f"checkpoint refused: {error}; going back to '{path.name}'", flush=True)
        return saved
    if refused:
        others = f" (nor can the {len(refused) - 1} older ones be used)" if len(refused) > 1 else ""
        raise JobError(f"{refused[0]}{others}; {ADVICE}") from refused[0]
    return {}


def _newest_first(folder: Path) -> list[Path]:
    """The checkpoints in a folder, by the epoch in their names; at the end the one that earlier versions wrote."""
    found = {
        int(match[1]): path
        for path in folder.glob("checkpoint-*.pt")
        if (match := re.fullmatch(r"checkpoint-(\d{1,9})\.pt", path.name))
    }
    old = folder / BEFORE_ROTATION
    return [found[epoch] for epoch in sorted(found, reverse=True)] + (
        [old] if old.is_file() else []
    )


def _read(path: Path, identity: dict) -> dict:
    """A whole checkpoint of this training. JobError for any other."""
    if path.name != BEFORE_ROTATION:
        _check_seal(path)
    saved = read_tensors(path, "a checkpoint")
    if (
        not isinstance(saved, dict)
        or not {"epoch", "history", "best_epoch", "best", "network", "optimizer"} <= saved.keys()
    ):
        raise JobError(f"'{path}' is not a checkpoint (it holds something else)")
    theirs = saved.get("identity", {})
    for name, ours in identity.items():
        if theirs.get(name) != ours:
            raise JobError(
                f"'{path}' is of another training: its {name} is {theirs.get(name)!r}, this job's {ours!r}"
            )
    return saved


def _write(path: Path, saved: dict, identity: dict) -> None:
    with atomic_file(path) as file:
        archive = _Hashed(file)
        torch.save(saved, archive)
        file.write(SEAL + archive.sum.digest() + _digest(identity))


class _Hashed:
    """A file to write, and the SHA-256 of what was written."""

    def __init__(self, file: BinaryIO):
        self.file, self.sum = file, hashlib.sha256()

    def write(self, data) -> int:
        self.sum.update(data)
        return self.file.write(data)

    def flush(self) -> None:
        self.file.flush()


def _digest(identity: dict) -> bytes:
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).digest()


def _check_seal(path: Path) -> None:
    """JobError unless the file is whole and its bytes are those that were written."""
    with path.open("rb") as file:
        seal, left, found = _seal(file), path.stat().st_size - SEAL_BYTES, hashlib.sha256()
        file.seek(0)
        while seal and left and (part := file.read(min(left, 1 << 22))):
            found.update(part)
            left -= len(part)
    if not seal or seal[0] != found.digest():
        raise JobError(
            f"'{path}' is not a checkpoint ({'damaged: its bytes are not those that were written' if seal else 'torn: its end is missing'})"
        )


def _seal(file: BinaryIO) -> tuple[bytes, bytes] | None:
    """The two digests at a checkpoint's end; None where there are none."""
    file.seek(0, 2)
    file.seek(max(0, file.tell() - SEAL_BYTES))
    end = file.read()
    return (
        (end[len(SEAL) : -32], end[-32:])
        if len(end) == SEAL_BYTES and end.startswith(SEAL)
        else None
    )


def _prune(folder: Path, identity: dict, newest: int, kept: int) -> int:
    """Remove this training's checkpoints up to epoch `newest` but for so many; how many went."""
    ours = [path for path in _newest_first(folder) if _is_ours(path, identity, newest)]
    for path in ours[kept:]:
        path.unlink(missing_ok=True)
    return len(ours[kept:])


def _is_ours(path: Path, identity: dict, newest: int) -> bool:
    if path.name == BEFORE_ROTATION:
        try:
            _read(path, identity)
            return True
        except JobError:
            return False
    with path.open("rb") as file:
        seal = _seal(file)
    return (
        seal is not None
        and seal[1] == _digest(identity)
        and int(path.stem.rpartition("-")[2]) <= newest
    )


def read_tensors(path: Path, expected: str, mapped: bool = False) -> object:
    """What torch.save wrote to a file, tensors on the CPU, no code of the file run. JobError when it is not `expected`.

    mapped: the tensors may be the file itself, read when they are looked at, where its form allows that.
    """
    try:
        return torch.load(
            path, map_location="cpu", weights_only=True, mmap=mapped and zipfile.is_zipfile(path)
        )
    except (OSError, MemoryError):
        raise
    except Exception as error:  # the unpickler raises nearly anything on damaged files
        if "can't allocate memory" in str(error):
            raise
        raise JobError(
            f"'{path}' is not {expected} ({(str(error).splitlines() or ['damaged'])[0][:200]})"
        ) from error
