"""The folder of all stores, and how much space they may take there.

It knows a store's file names, not their content. The folder belongs to the user alone (mode 0700),
so nobody else can put anything there. One lock orders the opening, making and removing of stores. A
store also holds its own lock while it is open, which protects it from being removed.
"""

import contextlib
import fcntl
import logging
import os
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from artifact.host.machine import memory_left, memory_limit

ROWS_FILE = "rows.bin"  # a store's process holds a lock on it
META_FILE = "meta.json"  # its time is that of the last opening
UNFINISHED = ".new"
MB = 1e6

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CacheLimits:
    """How much space all stores together may take."""

    # of the disk's space that is free or already taken by stores
    disk_share: float = 0.5
    # of the memory that this process may use; for stores in memory, and for a disk that is memory
    memory_share: float = 0.25
    # the user's own folder is made in it; None: in SLIPWAY_CACHE, else in the temporary folder
    root: Path | None = None
    # whether a store may be in this process's memory where the disk has no room
    memory: bool = True


# A default argument must not be a call; frozen, so one may serve all.
DEFAULT_LIMITS = CacheLimits()


def user_folder(limits: CacheLimits) -> Path:
    """The user's own folder for stores, made if it is missing.

    OSError, with a sentence as its text, when no folder can be used.
    """
    given = limits.root or os.environ.get("SLIPWAY_CACHE")
    bases = [os.environ.get("TMPDIR") or "/tmp", "/var/tmp"]
    if given:
        bases = [str(given)]
    reasons = []
    for base in bases:
        folder = Path(base).absolute() / f"slipway-{os.geteuid()}"
        try:
            _make_own(folder)
            return folder
        except OSError as error:
            reasons.append(f"'{folder}' cannot be used ({error.strerror or error})")
    raise OSError(" and ".join(reasons))


def _make_own(folder: Path) -> None:
    """Make the folder, or check that the existing one is safe. OSError when it is not."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    status = folder.lstat()  # not stat: a link may have been planted there
    if not stat.S_ISDIR(status.st_mode):
        raise OSError("it is not a folder")
    if status.st_uid != os.geteuid():
        raise OSError(f"it belongs to user {status.st_uid}, not to {os.geteuid()}")
    if status.st_mode & 0o077:
        mode = status.st_mode & 0o777
        raise OSError(f"other users may open it; chmod 700 it, now {mode:o}")
    read_only = os.statvfs(folder).f_flag & os.ST_RDONLY
    if read_only or not os.access(folder, os.W_OK | os.X_OK):
        raise OSError("it cannot be written to")


@contextlib.contextmanager
def locked(root: Path) -> Iterator[None]:
    """Hold the lock of all processes that open, make or remove stores in the folder."""
    handle = os.open(root / ".lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def make_room(root: Path, size: int, limits: CacheLimits) -> str | None:
    """Remove closed stores, the longest unused first, until `size` bytes fit.

    When even that would not make enough room, nothing is removed and the reason is returned.
    Call it while `locked`. OSError when the disk fails.
    """
    for left in root.glob(f"{UNFINISHED}*"):  # by a process that was killed
        remove(left)
    stores = sorted((path for path in root.iterdir() if path.is_dir()), key=_last_use)
    sizes = {path: _size(path) for path in stores}
    taken = sum(sizes.values())
    bound, of_what = _bound(root, taken, limits)
    excess = taken + size - bound
    if excess <= 0:
        return None
    removable = [path for path in stores if not _is_open(path)]
    kept = taken - sum(sizes[path] for path in removable)
    if kept + size > bound:
        usable = max(0, bound - kept)
        return f"it needs {size / MB:,.0f} MB, and {usable / MB:,.0f} MB may be used of {of_what}"
    for path in removable:
        if excess <= 0:
            break
        remove(path)
        excess -= sizes[path]
        removed_mb = sizes[path] / MB
        log.info(
            "store: removed %s, %.0f MB, the longest unused, to make room", path.name, removed_mb
        )
    return None


def _bound(root: Path, taken: int, limits: CacheLimits) -> tuple[int, str]:
    """Bytes that all stores may take, and words for the disk or memory they are a share of."""
    disk = os.statvfs(root)
    free = disk.f_bavail * disk.f_frsize
    if not is_memory(root):
        return int((free + taken) * limits.disk_share), f"the disk of '{root}'"
    shared = int((min(free, memory_left()) + taken) * limits.disk_share)
    bound = min(shared, int(memory_limit() * limits.memory_share))
    return bound, f"the memory that '{root}' is in"


def is_memory(folder: Path) -> bool:
    """Whether a folder's files are kept in memory (tmpfs)."""
    device = os.stat(folder).st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    mounts = Path("/proc/self/mountinfo").read_text(errors="surrogateescape")
    for line in mounts.splitlines():
        mount, _, kind = line.partition(" - ")  # proc(5): the third field is major:minor
        if mount.split()[2] == number:
            return kind.split()[0] in ("tmpfs", "ramfs")
    return False


def remove(path: Path) -> None:
    """Remove a store, whole or not, or anything else that has its name."""
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
    """Bytes on the disk; st_blocks counts units of 512 bytes on any file system."""
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
