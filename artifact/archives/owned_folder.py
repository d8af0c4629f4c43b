"""Temporary folders that belong to a process: another one sees when their owner has ended.

An owner holds a lock on its folder. The kernel gives it free when the last process that has it
ends, in whatever way; processes forked from the owner have it, too.
"""

import contextlib
import fcntl
import os
import shutil
import tempfile
from pathlib import Path

from artifact.model import TEMPORARY_SUFFIX

_NEW = ".new-"  # until it is locked, so that no other process takes it for a leftover
_locks: dict[Path, int] = {}  # descriptors


def owned_folder(parent: Path, prefix: str) -> Path:
    """A new folder within another one; this process owns it until `release`.

    Raises OSError when none can be made.
    """
    new = Path(tempfile.mkdtemp(prefix=_NEW, dir=parent))
    folder = new.with_name(prefix + new.name.removeprefix(_NEW) + TEMPORARY_SUFFIX)
    descriptor = os.open(new, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    _locks[folder] = descriptor
    return new.rename(folder)


def release(folder: Path) -> None:
    """Give up a folder, which the caller has removed or leaves to `discard_leftovers`."""
    descriptor = _locks.pop(folder, None)
    if descriptor is not None:
        os.close(descriptor)


def discard_leftovers(parent: Path, prefix: str) -> None:
    """Remove those of a folder's folders whose name begins so and whose owners have ended."""
    for folder in parent.iterdir():
        # the suffix: no user's own folder has such a name
        if not folder.name.startswith(prefix) or folder.suffix != TEMPORARY_SUFFIX:
            continue
        # OSError: its owner holds the lock, has just removed it, or is another user
        with contextlib.suppress(OSError):
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(descriptor)
