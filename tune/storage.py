"""Where a search is kept: a file in its output folder, or a database that several machines share.

The file is a line an event. Its lock is the kernel's, which frees it when its holder is killed.
"""

import fcntl
import json
import os
import threading
import time
import warnings
from pathlib import Path

import optuna
from optuna.storages import (
    BaseStorage,
    JournalStorage,
    RDBStorage,
    RetryHeartbeatStaleTrialCallback,
)
from optuna.storages.journal import JournalFileBackend

from tune.errors import SearchError

STUDY_FILE = "study.log"
HEARTBEAT_S, GRACE_S = 30, 120  # of trials on a database: a machine that is silent so long is gone
TRIES = 3  # to open a database


class FileLock:
    """For JournalFileBackend. Optuna's own locks are files, which outlive a killed holder by half a minute."""

    def __init__(self, path: Path):
        self._path, self._held = path, threading.local()

    def acquire(self) -> bool:
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        fcntl.flock(handle, fcntl.LOCK_EX)
        self._held.handle = handle
        return True

    def release(self) -> None:
        os.close(self._held.handle)


def open_storage(out: Path, url: str | None = None) -> BaseStorage:
    """The file in the output folder, or the database. SearchError when it cannot be used."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    if url is None:
        path = out / STUDY_FILE
        try:
            return JournalStorage(
                JournalFileBackend(str(path), FileLock(path.with_suffix(".lock")))
            )
        except OSError:
            raise
        except Exception as error:  # whatever Optuna makes of lines that are not its own
            raise _foreign(path, error) from error
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    warnings.filterwarnings(
        "ignore", "Heartbeat of storage is supposed to be used with", UserWarning
    )  # ours beats in tune.trials
    waiting = {"connect_args": {"timeout": 60}} if url.startswith("sqlite") else {}
    for tries_left in reversed(range(TRIES)):
        try:
            return RDBStorage(
                url,
                engine_kwargs=waiting,
                heartbeat_interval=HEARTBEAT_S,
                grace_period=GRACE_S,
                heartbeat_stale_trial_callback=RetryHeartbeatStaleTrialCallback(),
            )
        except Exception as error:  # SQLAlchemy's and the drivers' own; Optuna's RuntimeError for tables of another version
            if not tries_left:
                raise SearchError(
                    f"the storage '{_without_password(url)}' cannot be used ({' '.join(str(error).split())[:200]})"
                ) from error
            time.sleep(0.5)  # another machine may be making the same tables


def repair(out: Path) -> None:
    """Cut a last line that a full disk or a crash of the machine left unfinished: nothing could be added behind it. The tuner does, before
    others use the file. SearchError when the file is something else."""
    path = out / STUDY_FILE
    if not path.is_file():
        return
    with open(path, "r+b") as file:
        first = file.readline()
        try:
            if first.endswith(b"\n"):
                json.loads(first)["op_code"]
        except (ValueError, KeyError, TypeError) as error:
            raise _foreign(path, error) from error
        end = file.seek(0, os.SEEK_END)
        whole = end
        while whole and (file.seek(whole - 1), file.read(1))[1] != b"\n":
            whole -= 1
        if whole < end:
            file.truncate(whole)


def _foreign(path: Path, error: Exception) -> SearchError:
    return SearchError(
        f"'{path}' is not a file of this version's searches ({type(error).__name__}: {' '.join(str(error).split())[:100]}); "
        "name another --out, or remove it"
    )


def _without_password(url: str) -> str:
    head, at, tail = url.rpartition("@")
    return f"{head.partition('://')[0]}://…@{tail}" if at else tail
