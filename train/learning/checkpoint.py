"""All that a job needs to go on after it was killed, in a file that is whole or not there.

    checkpoints/checkpoint-<epoch>.pt   torch.save's archive, then the SHA-256 of its bytes and of
                                        the identity of the training

The newest two of this training stay. All other files of the folder, which SageMaker mirrors to S3,
are left alone. Reading runs no pickle code.
"""

import re
from pathlib import Path
from typing import IO, Any, cast

import torch

from artifact.model import atomic_file, discard_unfinished, write_atomically
from artifact.text.names import printable
from train.failure import disk_full, os_error, reason
from train.job import Job, JobError
from train.learning.checkpoint_seal import (
    SEAL,
    SEAL_BYTES,
    Hashed,
    Identity,
    archive_digest,
    digest_of,
    seal_of,
)
from train.learning.loop import Learner
from train.learning.state import State, learning_state, restore_learning
from train.model.weight_files import read_tensors

KEPT = 2  # the newest, and one to go back to where that is damaged
NAME = re.compile(r"checkpoint-(\d{1,9})\.pt")
BEFORE_ROTATION = "checkpoint.pt"  # the one file of earlier versions, without a seal
FIELDS = {"epoch", "history", "best_epoch", "best", "network", "optimizer"}
ADVICE = "empty the checkpoints folder to start anew"


def save_checkpoint(
    job: Job,
    state: State,
    learner: Learner,
    identity: Identity,
) -> None:
    """Write checkpoints/checkpoint-<epoch>.pt and remove this training's old ones.

    Only the main process writes. JobError when the folder cannot take it; the files there stay.
    """
    if not learner.context.is_main_process:
        return
    path = job.checkpoints / f"checkpoint-{state.epoch}.pt"
    saved = {
        "identity": identity,
        "epoch": state.epoch,
        "history": state.history,
        "best_epoch": state.best_epoch,
        "best": state.best,
        "start": state.start,
        "linear_head": state.linear_head,
        "times": state.times,
        **learning_state(learner),
    }
    if state.best_epoch == state.epoch and not learner.average:
        # equal values: torch.save writes a tensor once, however many names it has
        saved["network"] = state.best
    try:
        job.checkpoints.mkdir(parents=True, exist_ok=True)
        _write_or_make_room(path, saved, identity, state.epoch)
    except Exception as error:
        if os_error(error) is None:
            raise
        raise JobError(f"{reason(error)}; '{path}' could not be written") from error
    _keep_house(job.checkpoints, identity, state.epoch)


def _keep_house(folder: Path, identity: Identity, newest: int) -> None:
    """Remove old checkpoints. The new one is written, so what fails here ends no training."""
    try:
        _prune(folder, identity, newest, KEPT)
    except OSError as error:
        print(printable(f"old checkpoints could not be removed: {reason(error)}"), flush=True)


def _write_or_make_room(
    path: Path,
    saved: dict[str, Any],
    identity: Identity,
    epoch: int,
) -> None:
    try:
        _write(path, saved, identity)
    except Exception as error:
        if not disk_full(error):
            raise
        if not give_up_older(path.parent, identity, epoch):
            raise
        _write(path, saved, identity)


def give_up_older(folder: Path, identity: Identity, epoch: int) -> int:
    """Make room on a full disk: of this training's checkpoints up to an epoch, the last one stays.

    Returns how many were removed.
    """
    return _prune(folder, identity, epoch, 1)


def check_writable(job: Job) -> None:
    """OSError when no checkpoint can be written: before hours of training, not after an epoch."""
    job.checkpoints.mkdir(parents=True, exist_ok=True)
    probe = job.checkpoints / "slipway-probe"
    write_atomically(probe, b"can be removed")
    probe.unlink(missing_ok=True)  # another process may keep the folder tidy


def load_checkpoint(job: Job, learner: Learner, identity: Identity) -> State:
    """The state to go on from, with network, optimizer and scaler filled; a fresh one without any.

    Takes the newest checkpoint that is whole and of this job, and prints why newer ones are
    refused. JobError when there are checkpoints and all are refused.
    """
    # the other hosts' folders may hold an older one, or none
    saved = learner.context.broadcast_from_main(lambda: _newest(job, identity))
    if not saved:
        return State()
    restore_learning(learner, saved)
    return State(
        saved["epoch"],
        saved["history"],
        saved["best_epoch"],
        saved["best"],
        saved.get("start", {}),
        saved.get("linear_head", {}),
        saved.get("times", {}),
    )


def _newest(job: Job, identity: Identity) -> dict[str, Any]:
    """The newest usable checkpoint's content; empty where the folder holds no checkpoint."""
    discard_unfinished(job.checkpoints)
    refusals: list[JobError] = []
    for path in _newest_first(job.checkpoints):
        try:
            saved = _read(path, identity)
        except JobError as error:
            refusals.append(error)
            continue
        except FileNotFoundError:
            continue  # another process rotates or syncs the folder, too
        for refusal in refusals:
            line = f"checkpoint refused: {refusal}; going back to '{path.name}'"
            print(printable(line), flush=True)
        return saved
    if not refusals:
        return {}
    others = ""
    if len(refusals) > 1:
        others = f" (nor can the {len(refusals) - 1} older ones be used)"
    raise JobError(f"{refusals[0]}{others}; {ADVICE}") from refusals[0]


def _newest_first(folder: Path) -> list[Path]:
    """The folder's checkpoints by the epoch in their names; last, the one of earlier versions."""
    by_epoch = {}
    for path in folder.glob("checkpoint-*.pt"):
        match = NAME.fullmatch(path.name)
        if match:
            by_epoch[int(match[1])] = path
    paths = [by_epoch[epoch] for epoch in sorted(by_epoch, reverse=True)]
    old = folder / BEFORE_ROTATION
    if old.is_file():
        paths.append(old)
    return paths


def _read(path: Path, identity: Identity) -> dict[str, Any]:
    """A whole checkpoint of this training. JobError for any other file."""
    if path.name != BEFORE_ROTATION:
        _check_seal(path)
    saved = read_tensors(path, "a checkpoint")
    if not isinstance(saved, dict) or not saved.keys() >= FIELDS:
        raise JobError(f"'{path}' is not a checkpoint (it holds something else)")
    theirs = saved.get("identity", {})
    for name, ours in identity.items():
        if theirs.get(name) != ours:
            raise JobError(
                f"'{path}' is of another training: its {name} is {theirs.get(name)!r}, "
                f"this job's {ours!r}"
            )
    return saved


def _write(path: Path, saved: dict[str, Any], identity: Identity) -> None:
    with atomic_file(path) as file:
        archive = Hashed(file)
        # torch.save calls write and flush alone
        torch.save(saved, cast(IO[bytes], archive))
        file.write(SEAL + archive.sum.digest() + digest_of(identity))


def _check_seal(path: Path) -> None:
    """JobError unless the file is whole and its bytes are those that were written."""
    with path.open("rb") as file:
        seal = seal_of(file)
        if seal is None:
            raise JobError(f"'{path}' is not a checkpoint (torn: its end is missing)")
        wanted, _ = seal
        if wanted != archive_digest(file, path.stat().st_size - SEAL_BYTES):
            raise JobError(
                f"'{path}' is not a checkpoint (damaged: its bytes are not those that were written)"
            )


def _prune(
    folder: Path,
    identity: Identity,
    newest: int,
    kept: int,
) -> int:
    """Remove this training's checkpoints up to epoch `newest`, but for the last `kept`.

    Returns how many were removed.
    """
    ours = [path for path in _newest_first(folder) if _is_ours(path, identity, newest)]
    for path in ours[kept:]:
        path.unlink(missing_ok=True)
    return len(ours[kept:])


def _is_ours(path: Path, identity: Identity, newest: int) -> bool:
    if path.name == BEFORE_ROTATION:
        try:
            _read(path, identity)
            return True
        except JobError:
            return False
    try:
        with path.open("rb") as file:
            seal = seal_of(file)
    except FileNotFoundError:
        return False  # another process rotates or syncs the folder, too
    if seal is None or seal[1] != digest_of(identity):
        return False
    return int(path.stem.rpartition("-")[2]) <= newest
