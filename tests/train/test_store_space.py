"""The space of stores: full disks, memory, folders that others could use."""

import os
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from artifact.host.machine import memory_limit
from tests.support.stores import (
    ROW,
    numbers,
    open_numbers,
    small_disk,
    values,
)
from train.data.cache import CacheLimits, is_memory, user_folder
from train.data.row_stores import DiskStore, MemoryStore
from train.data.store import open_store

needs_root = pytest.mark.skipif(
    os.getuid() != 0, reason="mounting, and another user's files, need root"
)


@needs_root
def test_a_full_disk_is_told_at_opening_and_never_later(tmp_path, caplog):
    caplog.set_level("INFO")
    with small_disk(tmp_path / "small", 8) as disk:
        # more than is there, as when another program fills the disk at this moment
        assert numbers(disk, 100, disk_share=9.0, memory_share=0.9, memory=False) is None
        assert "store: none for rows, 100 rows, 26 MB: No space left on device" in caplog.text
        assert [path.name for path in user_folder(CacheLimits(root=disk)).iterdir()] == [".lock"]
        store = open_numbers(disk, 8, disk_share=0.9)
        assert isinstance(store, DiskStore)
        with pytest.raises(OSError, match="No space left"):
            (disk / "filler").write_bytes(bytes(8_000_000))
        store.write(range(8), values(*range(8)))
        assert np.array_equal(store.read(range(8)), values(*range(8)))
        store.close()


@needs_root
def test_the_longest_unused_stores_that_nobody_has_open_make_room(tmp_path, caplog):
    caplog.set_level("INFO")

    def opened(name: str, rows: int = 16):  # 4 MB
        store = open_store(
            name, {}, rows, ROW, np.uint8, CacheLimits(root=disk, disk_share=0.9, memory=False)
        )
        time.sleep(0.02)
        return store

    def names() -> list[str]:
        return sorted(
            path.name[0] for path in user_folder(CacheLimits(root=disk)).iterdir() if path.is_dir()
        )

    with small_disk(tmp_path / "small", 16) as disk:
        for name in "ab":
            opened(name).close()
        used = opened("c")
        opened("a").close()  # now the longest unused is b
        (user_folder(CacheLimits(root=disk)) / ".new-torn").mkdir()  # a maker was killed
        opened("d").close()
        assert names() == ["a", "c", "d"]
        assert "store: removed b-" in caplog.text
        opened("e", 32).close()
        assert names() == ["c", "e"]
        assert opened("f", 64) is None
        assert "it needs 17 MB, and 11 MB may be used of the memory that" in caplog.text
        assert names() == ["c", "e"]  # nothing is removed in vain
        used.close()


def test_a_disk_that_is_memory_is_bounded_as_memory(tmp_path):
    assert not is_memory(Path("/proc"))
    assert is_memory(Path("/dev/shm"))
    assert isinstance(numbers(tmp_path, 2), DiskStore)
    root = Path("/dev/shm") / f"slipway-test-{os.getpid()}"
    try:
        assert numbers(root, 100, memory_share=1e-6) is None
        assert isinstance(numbers(root, 2), DiskStore)
    finally:
        subprocess.run(["rm", "-r", str(root)], check=True)


@needs_root
@pytest.mark.parametrize(
    "spoil, words",
    [
        (lambda folder: os.chown(folder, 4321, 4321), "it belongs to user 4321, not to 0"),
        (lambda folder: folder.chmod(0o777), "other users may open it; chmod 700 it, now 777"),
        (lambda folder: (folder.rmdir(), folder.symlink_to("/")), "it is not a folder"),
        (
            lambda folder: subprocess.run(
                ["mount", "-t", "tmpfs", "-o", "ro,mode=700", "tmpfs", str(folder)], check=True
            ),
            "it cannot be written to",
        ),
    ],
)
def test_where_nothing_can_be_kept_safely_the_store_is_in_memory(tmp_path, caplog, spoil, words):
    caplog.set_level("INFO")
    folder = user_folder(CacheLimits(root=tmp_path))
    spoil(folder)
    try:
        store = open_numbers(tmp_path, 3)
        assert isinstance(store, MemoryStore)
        assert words in caplog.text
        assert "in memory, for this run alone" in caplog.text
        store.write([2], values(2))
        assert np.array_equal(store.read([2]), values(2))
        assert numbers(tmp_path, 3, memory=False) is None
        assert numbers(tmp_path, 3, memory_share=1e-6) is None
    finally:
        subprocess.run(["umount", str(folder)], check=False, stderr=subprocess.DEVNULL)


def test_the_folder_is_the_users_own(tmp_path, monkeypatch):
    monkeypatch.setenv("SLIPWAY_CACHE", str(tmp_path / "given" / "one"))
    assert user_folder(CacheLimits()) == tmp_path / "given" / "one" / f"slipway-{os.geteuid()}"
    monkeypatch.delenv("SLIPWAY_CACHE")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    folder = user_folder(CacheLimits())
    assert folder.parent == tmp_path
    assert folder.stat().st_mode & 0o777 == 0o700


def test_stores_in_memory_share_one_bound(tmp_path):
    limits = CacheLimits(root=tmp_path, disk_share=0.0, memory_share=6e6 / memory_limit())
    first = open_store("rows", {}, 16, ROW, np.uint8, limits)
    assert isinstance(first, MemoryStore)
    assert open_store("rows", {}, 16, ROW, np.uint8, limits) is None
    del first
    assert isinstance(open_store("rows", {}, 16, ROW, np.uint8, limits), MemoryStore)
