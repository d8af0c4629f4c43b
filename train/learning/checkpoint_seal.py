"""The seal at a checkpoint's end: it tells a whole file from a torn one, and whose it is."""

import hashlib
import json
from collections.abc import Mapping
from typing import BinaryIO

SEAL = b"slipway checkpoint, sha-256:"  # then 32 bytes each of the archive and of the identity
SEAL_BYTES = len(SEAL) + 2 * 32
READ_BYTES = 1 << 22  # of a file at a time

# What a checkpoint must share with this job, by name.
Identity = Mapping[str, object]


class Hashed:
    """A file to write, and the SHA-256 of its bytes."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.sum = hashlib.sha256()

    def write(self, data: bytes) -> int:
        self.sum.update(data)
        return self.file.write(data)

    def flush(self) -> None:
        self.file.flush()


def digest_of(identity: Identity) -> bytes:
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).digest()


def archive_digest(file: BinaryIO, size: int) -> bytes:
    """The SHA-256 of the first `size` bytes."""
    found = hashlib.sha256()
    file.seek(0)
    while size:
        part = file.read(min(size, READ_BYTES))
        if not part:
            break
        found.update(part)
        size -= len(part)
    return found.digest()


def seal_of(file: BinaryIO) -> tuple[bytes, bytes] | None:
    """The two digests at a checkpoint's end; None for a file without them."""
    file.seek(0, 2)
    file.seek(max(0, file.tell() - SEAL_BYTES))
    end = file.read()
    if len(end) != SEAL_BYTES or not end.startswith(SEAL):
        return None
    return end[len(SEAL) : -32], end[-32:]
