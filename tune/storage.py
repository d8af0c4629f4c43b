"""Where a search is kept: a file in its output folder, or a database that several machines share.

The file holds one event per line. Its lock is the kernel's, which frees it when its holder is
killed.
"""

import fcntl
import json
import os
import threading
import time
import warnings
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import optuna
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.storages.journal._file import BaseJournalFileLock  # optuna exports no public name

from tune.errors import SearchError
from tune.storage_url import shown, without_secrets
from tune.trial_states import requeue_silent

STUDY_FILE = "study.log"
LOCK_S = 60.0  # an event is written in milliseconds: by then its writer has stopped
LOCK_LOOK_S = 0.002  # from one try to take the lock to the next
HEARTBEAT_S = 30  # of trials on a database
GRACE_S = 120  # a machine that is silent for longer is gone
TRIES = 3  # to open a database
CONNECT_S = 10  # until a PostgreSQL server must answer
ERROR_LENGTH = 200  # characters of a library's own error


class FileLock(BaseJournalFileLock):
    """For JournalFileBackend. Its own locks are files, which outlive a killed holder by 30 s."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._held = threading.local()

    def acquire(self) -> bool:
        """Wait until this thread holds the lock. SearchError when that takes LOCK_S."""
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        deadline = time.monotonic() + LOCK_S
        while not _taken(handle):
            if time.monotonic() > deadline:
                os.close(handle)
                raise SearchError(
                    f"another process has held '{self._path}' for {LOCK_S:.0f} s; end it, "
                    "and give the same command again"
                )
            time.sleep(LOCK_LOOK_S)
        self._held.handle = handle
        return True

    def release(self) -> None:
        """Free it: the kernel does when the file is closed."""
        os.close(self._held.handle)

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


def _taken(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        return False


class StudyGone(SearchError):
    """The file of a running search was taken away, or another one put in its place."""


class StorageGone(SearchError):
    """The database of a running search answers no more."""


class StudyFile(JournalFileBackend):
    """Optuna's file of events. A reader of Optuna's own waits for ever for what a new file of the
    same name will never hold.
    """

    def __init__(self, path: Path, lock: FileLock) -> None:
        super().__init__(str(path), lock)
        self._path = path
        self._opened = _identity(path)

    def read_logs(self, log_number_from: int) -> Generator[dict[str, Any], None, None]:
        """The events from a number on. StudyGone when the file is another one."""
        self._check()
        return super().read_logs(log_number_from)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Add events. StudyGone when the file is another one."""
        self._check()
        super().append_logs(logs)

    def _check(self) -> None:
        if _identity(self._path) != self._opened:
            raise StudyGone(
                f"'{self._path}' was removed as the search ran; the same command goes on with "
                "the trials that ended"
            )


def _identity(path: Path) -> tuple[int, int] | None:
    """What names a file whatever it is called; None where there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def open_storage(out: Path, url: str | None = None) -> BaseStorage:
    """The file in the output folder, or the database. SearchError when it cannot be used."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    if url is None:
        return _open_file(out / STUDY_FILE)
    return _open_database(url)


def _open_file(path: Path) -> JournalStorage:
    lock = FileLock(path.with_suffix(".lock"))
    try:
        return JournalStorage(StudyFile(path, lock))
    except (OSError, SearchError):
        raise
    except Exception as error:  # Optuna raises anything on lines that are not its own
        raise _foreign(path, error) from error


def _open_database(url: str) -> RDBStorage:
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    # Our own heartbeat is in tune.trials.
    warnings.filterwarnings(
        "ignore", "Heartbeat of storage is supposed to be used with", UserWarning
    )
    tries = 0
    while True:
        tries += 1
        try:
            return RDBStorage(
                url,
                engine_kwargs=_connections(url),
                heartbeat_interval=HEARTBEAT_S,
                grace_period=GRACE_S,
                heartbeat_stale_trial_callback=requeue_silent,
            )
        except ImportError as error:
            raise SearchError(_without_driver(url)) from error
        # SQLAlchemy's and the drivers' own; Optuna's RuntimeError for tables of another version
        except Exception as error:
            if tries == TRIES:
                raise SearchError(
                    f"the storage '{shown(url)}' cannot be used ({_cause(error, url)})"
                ) from error
            time.sleep(0.5)  # another machine may be making the same tables


def _connections(url: str) -> dict[str, Any]:
    """How SQLAlchemy connects."""
    if url.startswith("sqlite"):  # its writers lock the whole file; seconds to wait for it
        return {"connect_args": {"timeout": 60}}
    # A connection is tried before it is used: the server may have started again meanwhile.
    options: dict[str, Any] = {"pool_pre_ping": True}
    if url.startswith("postgres"):
        options["connect_args"] = {"connect_timeout": CONNECT_S}
    return options


def _without_driver(url: str) -> str:
    scheme = url.partition("://")[0]
    advice = "install its driver for SQLAlchemy beside Optuna"
    if scheme.startswith("postgres"):
        advice = "install it: pip install 'psycopg[binary]'"
    return f"the storage '{shown(url)}' needs a driver that is not installed here; {advice}"


@contextmanager
def answering(url: str | None) -> Iterator[None]:
    """Inside, a database that answers no more is a SearchError. url: None for a file."""
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (optuna.exceptions.StorageInternalError, SQLAlchemyError) as error:
        if url is None:
            raise
        cause = error.__cause__ or error
        raise StorageGone(
            f"the storage '{shown(url)}' answers no more ({_cause(cause, url)}); "
            "the same command goes on where this one stopped"
        ) from error


def _cause(error: BaseException, url: str) -> str:
    """A driver's error in one line, without SQLAlchemy's statement, its link and any secret."""
    words = str(error).partition("(Background on")[0].partition("[SQL:")[0]
    return _line(without_secrets(words, url))


def repair(out: Path) -> None:
    """Cut off an unfinished last line: nothing could be added behind it.

    A full disk or a crash of the machine leaves one. The tuner repairs before others use the file.
    SearchError when the file is something else.
    """
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
        whole = _end_of_last_line(file, end)
        if whole < end:
            file.truncate(whole)


def _end_of_last_line(file: BinaryIO, end: int) -> int:
    """The position after the last line break, bytes; 0 where there is none."""
    for position in range(end, 0, -1):
        file.seek(position - 1)
        if file.read(1) == b"\n":
            return position
    return 0


def _foreign(path: Path, error: Exception) -> SearchError:
    return SearchError(
        f"'{path}' is not a file of this version's searches "
        f"({type(error).__name__}: {_line(error)}); name another --out, or remove it"
    )


def _line(words: object) -> str:
    """An error's text in one line, and not too long."""
    return " ".join(str(words).split())[:ERROR_LENGTH]
