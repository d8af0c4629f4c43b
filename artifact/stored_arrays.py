"""Arrays in an npz file that may come from anyone: no larger than the file, and no objects."""

import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def read_arrays(path: Path, names: Iterable[str], most_bytes: int) -> dict[str, NDArray[Any]]:
    """The arrays of these names.

    Raises OSError, and ValueError for a file of more than most_bytes, a compressed one, and one
    that lacks an array or holds something else in its place.
    """
    if path.stat().st_size > most_bytes:
        raise ValueError(f"it has more than {most_bytes / 1e6:g} MB")
    try:
        with zipfile.ZipFile(path) as archive:
            if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
                raise ValueError("it is compressed")
        with np.load(path, allow_pickle=False) as opened:
            arrays = {name: opened[name] for name in names}
    except (OSError, ValueError):
        raise
    except Exception as error:  # zipfile and numpy raise nearly anything on damaged files
        raise ValueError(str(error) or type(error).__name__) from error
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray):  # numpy gives the bytes of what is no array
            raise ValueError(f"its {name} is no array")
    return arrays
