"""A value that one process of a host makes and the others map into their memory: it is there once.

Its arrays lie in a file without a name by the time that it is used. The rest is pickled, which only
this user's own processes write and read.
"""

import mmap
import os
import pickle
import struct
import tempfile
from pathlib import Path
from typing import TypeVar

from train.data.cache import DEFAULT_LIMITS, user_folder

NUMBER = struct.Struct("<q")
ALIGNED = 64  # bytes, as numpy aligns what it makes

Made = TypeVar("Made")


def write_shared(value: object) -> Path:
    """Write a value for `read_shared` into a file of the user's own folder. OSError."""
    arrays: list[pickle.PickleBuffer] = []
    rest = pickle.dumps(value, protocol=5, buffer_callback=arrays.append)
    parts = [memoryview(rest), *(found.raw() for found in arrays)]
    handle, name = tempfile.mkstemp(prefix=".shared-", dir=user_folder(DEFAULT_LIMITS))
    with open(handle, "wb") as file:
        try:
            file.write(NUMBER.pack(len(parts)))
            for part in parts:
                file.write(NUMBER.pack(len(part)))
            for part in parts:
                file.write(b"\0" * (-file.tell() % ALIGNED))
                file.write(part)
        except BaseException:
            os.unlink(name)
            raise
    return Path(name)


# Any type: whatever was written.
def read_shared(path: Path) -> object:
    """The value in a file of `write_shared`; its arrays stay in the file. OSError."""
    with open(path, "rb") as file:
        content = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    (count,) = NUMBER.unpack_from(content)
    place = NUMBER.size * (1 + count)
    parts = []
    for number in range(count):
        (length,) = NUMBER.unpack_from(content, NUMBER.size * (1 + number))
        place += -place % ALIGNED
        parts.append(content[place : place + length])
        place += length
    return pickle.loads(parts[0], buffers=parts[1:])
