"""Photos' files: regular ones of a bounded size are read, and nothing else.

One that a training needs is read more than once where a disk or a network fails for a moment.
"""

import errno
import os
import stat
import time
from pathlib import Path
from typing import BinaryIO

from artifact.photos.kinds import BEGINNING_BYTES, PhotoError, known_kind

MAX_FILE_BYTES = 512 * 1024 * 1024  # 128 million pixels of three bytes are 384 MB

NOT_REGULAR = "it is not a regular file"
PAUSES_S = (0.1, 0.5)  # before the second and the third attempt
# What no second attempt changes. EIO, ESTALE and ETIMEDOUT of a network's disk may pass.
LASTING = (
    *(errno.ENOENT, errno.EACCES, errno.EPERM, errno.EISDIR, errno.ENOTDIR, errno.ELOOP),
    errno.ENAMETOOLONG,
)


def read_regular(path: Path, max_bytes: int = MAX_FILE_BYTES) -> bytes:
    """A file's bytes.

    A device has no end, and a FIFO may have no writer. Raises PhotoError for these, and above
    max_bytes; OSError for a file that cannot be read.
    """
    with _opened(path) as file:
        status = os.fstat(file.fileno())
        data = b""
        if status.st_size <= max_bytes:
            data = file.read(status.st_size + 1)  # not more: Python takes all that memory at first
            if len(data) > status.st_size:  # the file grows meanwhile
                data += file.read(max_bytes + 1 - len(data))
    if len(data) > max_bytes or status.st_size > max_bytes:
        raise PhotoError(f"it has {status.st_size:,} bytes; at most {max_bytes:,} are accepted")
    return data


def begins_as_photo(path: Path) -> bool:
    """Whether a file begins as a photo does. PhotoError for no regular file, OSError."""
    with _opened(path) as file:
        return known_kind(file.read(BEGINNING_BYTES)) is not None


def _opened(path: Path) -> BinaryIO:
    """A regular file, open. PhotoError for others, OSError for a folder."""
    # O_NONBLOCK: to open a FIFO would wait for its writer; it changes nothing for a file
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    file = os.fdopen(descriptor, "rb")
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        file.close()
        raise PhotoError(NOT_REGULAR)
    return file


def read_patiently(path: Path) -> bytes:
    """As read_regular. OSError only when all attempts failed; it says how many there were."""
    for pause_s in PAUSES_S:
        try:
            return read_regular(path)
        except OSError as error:
            if error.errno in LASTING:
                raise
        time.sleep(pause_s)
    try:
        return read_regular(path)
    except OSError as error:
        attempts = len(PAUSES_S) + 1
        words = f"{error.strerror or error} ({attempts} attempts)"
        raise OSError(error.errno or errno.EIO, words, str(path)) from error
