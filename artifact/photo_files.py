"""Photos' files: regular ones of a bounded size are read, and nothing else."""

import os
import stat
from pathlib import Path

from artifact.photo_formats import PhotoError

MAX_FILE_BYTES = 512 * 1024 * 1024  # 128 million pixels of three bytes are 384 MB

NOT_REGULAR = "it is not a regular file"


def read_regular(path: Path, max_bytes: int = MAX_FILE_BYTES) -> bytes:
    """A file's bytes.

    A device has no end, and a FIFO may have no writer. Raises PhotoError for these, and above
    max_bytes; OSError for a file that cannot be read.
    """
    # O_NONBLOCK: to open a FIFO would wait for its writer; it changes nothing for a file
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise PhotoError(NOT_REGULAR)
        # the file may grow meanwhile
        data = file.read(max_bytes + 1) if status.st_size <= max_bytes else b""
    if len(data) > max_bytes or status.st_size > max_bytes:
        raise PhotoError(f"it has {status.st_size:,} bytes; at most {max_bytes:,} are accepted")
    return data
