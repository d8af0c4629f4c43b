"""The folder that stores lie in, and the room they may take there. Knows nothing of what is in them but the files' names.

Everything lies in a folder of the user's own, mode 0700, so nobody else can put anything there. One lock orders all that
opens, makes and removes stores; a store's own lock, held while it is open, keeps it from being removed.
"""

import fcntl
import logging
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from artifact.machine import memory_left, memory_limit

ROWS_FILE = "rows.bin"  # a store's process holds a lock on it
META_FILE = "meta.json"  # its time is that of the last opening
UNFINISHED = ".new"
MB = 1e6

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CacheLimits:
    """How much all stores together may take: a share of the disk that is free or theirs; where that disk is memory, or there is
    none, of the memory this process may use, too. root: the folder to make the user's own folder in; None: SLIPWAY_CACHE's,
    else the temporary one. memory: whether a store may be this process's alone, in its memory, where the disk has no room."""

    disk_share: float = 0.5
    memory_share: float = 0.25
    root: Path | None = None
    memory: bool = True


def user_folder(limits: CacheLimits) -> Path:
    """The user's own folder for stores, made if need be. OSError, its text a sentence, where there can be none."""
    given = limits.root or os.environ.get("SLIPWAY_CACHE")
    reasons = []
    for base in [given] if given else [os.environ.get("TMPDIR") or "/tmp", "/var/tmp"]:
        folder = Path(base).absolute() / f"slipway-{os.geteuid()}"
        try:
            _make_own(folder)
            return folder
        except OSError as error:
            reasons.append(f"'{folder}' cannot be used ({error.strerror or error})")
    raise OSError(" and ".join(reasons))


def _make_own(folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        pass
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode):
        raise OSError("it is no folder")
    if status.st_uid != os.geteuid():
        raise OSError(f"it belongs to user {status.st_uid}, not to {os.geteuid()}")
    if status.st_mode & 0o077:
        raise OSError(f"other users may open it; chmod 700 it, now {status.st_mode & 0o777:o}")
    if os.statvfs(folder).f_flag & os.ST_RDONLY or not os.access(folder, os.W_OK | os.X_OK):
        raise OSError("it cannot be written to")


@contextmanager
def locked(root: Path) -> Iterator[None]:
    """Alone among all processes that open, make or remove stores in the folder."""
    handle = os.open(root / ".lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def make_room(root: Path, size: int, limits: CacheLimits) -> str | None:
    """Remove stores that nobody has open, the longest unused first, until `size` bytes fit; or none, and why it cannot be.

    Call it `locked`. OSError when the disk fails.
    """
    for left in root.glob(f"{UNFINISHED}*"):  # a killed process's
        remove(left)
    stores = sorted((path for path in root.iterdir() if path.is_dir()), key=_last_use)
    sizes = {path: _size(path) for path in stores}
    bound, of_what = _bound(root, sum(sizes.values()), limits)
    excess = sum(sizes.values()) + size - bound
    removable = [path for path in stores if excess > 0 and not _is_open(path)]
    if excess > sum(sizes[path] for path in removable):
        taken = sum(sizes.values()) - sum(sizes[path] for path in removable)
        return f"it needs {size / MB:,.0f} MB, and {max(0, bound - taken) / MB:,.0f} MB may be used of {of_what}"
    for path in removable:
        if excess <= 0:
            break
        remove(path)
        excess -= sizes[path]
        log.info(
            "store: removed %s, %.0f MB, the longest unused, to make room",
            path.name,
            sizes[path] / MB,
        )
    return None


def _bound(root: Path, taken: int, limits: CacheLimits) -> tuple[int, str]:
    """Bytes that all stores may take, and words for what they are a share of."""
    disk = os.statvfs(root)
    free = disk.f_bavail * disk.f_frsize
    if not is_memory(root):
        return int((free + taken) * limits.disk_share), f"the disk of '{root}'"
    shared = int((min(free, memory_left()) + taken) * limits.disk_share)
    return min(shared, int(memory_limit() * limits.memory_share)), f"the memory that '{root}' is in"


def is_memory(folder: Path) -> bool:
    """Whether a folder's files are kept in memory (tmpfs)."""
    device = os.stat(folder).st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    for line in Path("/proc/self/mountinfo").read_text(errors="surrogateescape").splitlines():
        mount, _, kind = line.partition(" - ")
        if mount.split()[2] == number:
            return kind.split()[0] in ("tmpfs", "ramfs")
    return False


def remove(path: Path) -> None:
    """A store, whole or not, or whatever stands in its place."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _last_use(store: Path) -> float:
    try:
        return (store / META_FILE).stat().st_mtime
    except OSError:  # a damaged one goes first
        return 0.0


def _size(store: Path) -> int:
    return sum(path.lstat().st_blocks * 512 for path in store.iterdir())


def _is_open(store: Path) -> bool:
    try:
        handle = os.open(store / ROWS_FILE, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
