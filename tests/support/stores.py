"""Stores of numbered rows, for tests of train/data/store.py."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.support.jobs import REPOSITORY
from train.data.cache import CacheLimits, user_folder
from train.data.store import Store, open_store

ROW = (256, 1024)  # 256 KB

# Writes all rows once, in an order of its own; each row holds its number in every byte.
WRITER = """
import sys, numpy as np
from pathlib import Path
from train.data.cache import CacheLimits
from train.data.store import open_store
root, seed, rows = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
limits = CacheLimits(root=root)
store = open_store("rows", {"what": "numbers"}, rows, (256, 1024), "u1", limits)
print("open", flush=True)
# Two writers meet the rows in different orders.
for index in np.random.default_rng(seed).permutation(rows):
    store.write([index], np.full((1, 256, 1024), index % 255 + 1, np.uint8))
print("done", flush=True)
"""


def numbers(root: Path, rows: int, **limits: Any) -> Store | None:
    """The store of numbered rows, if there can be one. limits: of CacheLimits."""
    own = CacheLimits(root=root, **limits)
    return open_store("rows", {"what": "numbers"}, rows, ROW, np.uint8, own)


def open_numbers(root: Path, rows: int, **limits: Any) -> Store:
    """The store of numbered rows."""
    store = numbers(root, rows, **limits)
    assert store is not None
    return store


def values(*indices: int) -> NDArray[np.uint8]:
    """The content of numbered rows."""
    return np.stack([np.full(ROW, index % 255 + 1, np.uint8) for index in indices])


def start_writer(root: Path, seed: int, rows: int) -> "subprocess.Popen[str]":
    """A process that writes all rows; it has the store open."""
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(root), str(seed), str(rows)],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert writer.stdout is not None
    # From here on the writer holds the store; a test may look at it or kill the writer.
    assert writer.stdout.readline() == "open\n"
    return writer


def folder_of(root: Path) -> Path:
    """The folder of the only store."""
    [folder] = user_folder(CacheLimits(root=root)).glob("rows-*")
    return folder


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """A disk in memory of this size; root only."""
    folder.mkdir()
    size = f"size={megabytes}m"
    subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)
