"""How much space stores may take, and what makes room: bounds to the byte."""

import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from train.data import cache
from train.data.cache import CacheLimits, locked, make_room, remove, user_folder
from train.data.row_stores import MemoryStore, as_bytes, checked_indices, row_bytes, runs
from train.data.store import open_store

MEMORY = 4_000_000  # bytes that the process may use


@pytest.fixture
def disk(tmp_path, monkeypatch) -> SimpleNamespace:
    """A disk whose free bytes are set by hand; `memory`: it is a tmpfs."""
    settings = SimpleNamespace(root=tmp_path, free=0, memory=False, memory_left=0)
    space = SimpleNamespace(f_frsize=1)

    def statvfs(path):
        space.f_bavail = settings.free
        return space

    monkeypatch.setattr("os.statvfs", statvfs)
    monkeypatch.setattr(cache, "is_memory", lambda folder: settings.memory)
    monkeypatch.setattr(cache, "memory_left", lambda: settings.memory_left)
    monkeypatch.setattr(cache, "memory_limit", lambda: MEMORY)
    monkeypatch.setattr(cache, "_size", lambda store: int((store / "size").read_text()))
    return settings


def make_store(root: Path, name: str, size: int, used_at: float) -> Path:
    folder = root / name
    folder.mkdir()
    (folder / "size").write_text(str(size))
    (folder / cache.ROWS_FILE).write_bytes(b"")
    (folder / cache.META_FILE).write_text("{}")
    os.utime(folder / cache.META_FILE, (used_at, used_at))
    return folder


def names(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir())


@pytest.mark.parametrize("size, fits", [(499, True), (500, True), (501, False)])
def test_half_of_the_free_disk_may_be_taken(disk, size, fits):
    disk.free = 1000
    reason = make_room(disk.root, size, CacheLimits())
    assert (reason is None) is fits


def test_the_reason_names_needed_and_usable_megabytes(disk):
    disk.free = 2_000_000_000
    assert make_room(disk.root, 1_500_000_000, CacheLimits()) == (
        f"it needs 1,500 MB, and 1,000 MB may be used of the disk of '{disk.root}'"
    )
    disk.memory = True
    disk.memory_left = 0
    assert make_room(disk.root, 3_000_000, CacheLimits()) == (
        f"it needs 3 MB, and 0 MB may be used of the memory that '{disk.root}' is in"
    )


@pytest.mark.parametrize(
    "free, left, share, size, fits",
    [
        # of a disk that is memory: the share of what is free, or of what the process may use
        (1000, 800, 1.0, 400, True),
        (1000, 800, 1.0, 401, False),
        (600, 800, 1.0, 300, True),
        (600, 800, 1.0, 301, False),
        (10**9, 10**9, 0.5, MEMORY // 2, True),
        (10**9, 10**9, 0.5, MEMORY // 2 + 1, False),
    ],
)
def test_a_disk_that_is_memory_is_bounded_twice(disk, free, left, share, size, fits):
    disk.memory = True
    disk.free = free
    disk.memory_left = left
    reason = make_room(disk.root, size, CacheLimits(memory_share=share))
    assert (reason is None) is fits


def test_the_longest_unused_stores_go_first_and_no_more_than_needed(disk):
    make_store(disk.root, "old", 100, used_at=1)
    make_store(disk.root, "new", 100, used_at=3)
    make_store(disk.root, "middle", 100, used_at=2)
    disk.free = 300  # with the stores, 600: half of it may be taken
    assert make_room(disk.root, 0, CacheLimits()) is None
    assert names(disk.root) == ["middle", "new", "old"]
    assert make_room(disk.root, 100, CacheLimits()) is None
    assert names(disk.root) == ["middle", "new"]


def test_as_many_stores_as_needed_are_removed(disk, caplog):
    caplog.set_level("INFO")
    for name, used_at in (("a", 1), ("b", 2), ("c", 3)):
        make_store(disk.root, name, 1_000_000, used_at)
    disk.free = 3_000_000
    assert make_room(disk.root, 1_000_001, CacheLimits()) is None
    assert names(disk.root) == ["c"]
    assert caplog.messages == [
        "store: removed a, 1 MB, the longest unused, to make room",
        "store: removed b, 1 MB, the longest unused, to make room",
    ]


def test_a_damaged_store_goes_before_all_others(disk):
    make_store(disk.root, "old", 100, used_at=1)
    damaged = make_store(disk.root, "damaged", 100, used_at=9)
    (damaged / cache.META_FILE).unlink()
    disk.free = 200
    assert make_room(disk.root, 100, CacheLimits()) is None
    assert names(disk.root) == ["old"]


def test_what_a_killed_process_left_is_removed_first(disk):
    (disk.root / ".new-half").mkdir()
    (disk.root / ".new-half" / "rows.bin").write_bytes(b"x")
    (disk.root / ".new-file").write_text("x")
    disk.free = 1000
    assert make_room(disk.root, 1, CacheLimits()) is None
    assert names(disk.root) == []


def test_removing_a_link_leaves_what_it_names(tmp_path):
    target = tmp_path / "target"
    target.mkdir()
    (tmp_path / "link").symlink_to(target)
    remove(tmp_path / "link")
    assert names(tmp_path) == ["target"]


def test_the_lock_file_belongs_to_the_user_alone(tmp_path):
    with locked(tmp_path):
        mode = (tmp_path / ".lock").stat().st_mode & 0o777
    assert mode == 0o600


def test_where_no_folder_can_be_used_all_are_named(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("x")
    limits = CacheLimits(root=tmp_path / "file")
    own = tmp_path / "file" / f"slipway-{os.geteuid()}"
    with pytest.raises(OSError) as caught:
        user_folder(limits)
    assert str(caught.value).startswith(f"'{own}' cannot be used (")


def test_the_limits_by_default():
    assert CacheLimits() == CacheLimits(disk_share=0.5, memory_share=0.25, root=None, memory=True)


@pytest.mark.parametrize("indices", [[0, 3], [], [2]])
def test_indices_within_a_store(indices):
    found = checked_indices(indices, 4)
    assert found.tolist() == indices
    assert found.dtype == np.int64


@pytest.mark.parametrize(
    "indices, words",
    [
        ([0, 4], "rows go from 0 to 3; found 0 to 4"),
        ([2, -1], "rows go from 0 to 3; found -1 to 2"),
    ],
)
def test_indices_outside_a_store_are_named(indices, words):
    with pytest.raises(IndexError, match=words):
        checked_indices(indices, 4)


@pytest.mark.parametrize(
    "indices, expected",
    [
        ([], []),
        ([5], [(0, 1)]),
        ([5, 6, 7], [(0, 3)]),
        ([5, 6, 8, 9, 3], [(0, 2), (2, 4), (4, 5)]),
        ([3, 2, 1], [(0, 1), (1, 2), (2, 3)]),
        ([4, 4], [(0, 1), (1, 2)]),
    ],
)
def test_runs_of_neighbours(indices, expected):
    assert list(runs(np.array(indices, np.int64))) == expected


def test_the_bytes_of_rows():
    assert row_bytes((2, 3), np.dtype(np.float32)) == 24
    assert row_bytes((), np.dtype(np.int16)) == 2
    rows = np.arange(6, dtype=np.int16).reshape(2, 3)
    assert as_bytes(rows, 2, (3,), np.dtype(np.int16)).shape == (2, 6)
    assert as_bytes(rows[:0], 0, (3,), np.dtype(np.int16)).shape[0] == 0
    with pytest.raises(ValueError, match=r"rows must be int8 \[2, 3\]; found int16 \[2, 3\]"):
        as_bytes(rows, 2, (3,), np.dtype(np.int8))
    with pytest.raises(ValueError, match=r"rows must be int16 \[2, 4\]; found int16 \[2, 3\]"):
        as_bytes(rows, 2, (4,), np.dtype(np.int16))


@pytest.mark.parametrize("rows, fits", [(99, True), (100, True), (101, False)])
def test_a_store_in_memory_takes_its_share_to_the_byte(tmp_path, monkeypatch, rows, fits):
    """A row of ten bytes has a mark of five; other stores have 500 bytes."""
    monkeypatch.setattr("train.data.store.memory_promised", lambda: 500)
    monkeypatch.setattr("train.data.store.memory_limit", lambda: 8000)
    monkeypatch.setattr("train.data.store.memory_left", lambda: 10**9)
    limits = CacheLimits(root=tmp_path, disk_share=0.0)
    store = open_store("rows", {}, rows, (10,), np.uint8, limits)
    assert isinstance(store, MemoryStore) is fits
    if isinstance(store, MemoryStore):
        assert store.size == 11 * rows


def test_a_store_in_memory_takes_no_more_than_is_left(tmp_path, monkeypatch):
    monkeypatch.setattr("train.data.store.memory_left", lambda: 1499)
    limits = CacheLimits(root=tmp_path, disk_share=0.0)
    assert open_store("rows", {}, 100, (10,), np.uint8, limits) is None
    assert open_store("rows", {}, 99, (10,), np.uint8, limits) is not None


def test_a_store_of_no_rows_is_in_memory(tmp_path):
    store = open_store("rows", {}, 0, (10,), np.uint8, CacheLimits(root=tmp_path))
    assert isinstance(store, MemoryStore)
    assert names(tmp_path) == []
