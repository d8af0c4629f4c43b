"""Reads a photo's file more than once where a disk or a network fails for a moment."""

import errno
import time
from pathlib import Path

from artifact.photo_files import read_regular

PAUSES_S = (0.1, 0.5)  # before the second and the third attempt
# What no second attempt changes. EIO, ESTALE and ETIMEDOUT of a network's disk may pass.
LASTING = (
    *(errno.ENOENT, errno.EACCES, errno.EPERM, errno.EISDIR, errno.ENOTDIR, errno.ELOOP),
    errno.ENAMETOOLONG,
)


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
