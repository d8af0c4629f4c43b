"""Stores on disk: shared, killed, full, damaged, another's."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from tests.support.jobs import REPOSITORY
from train.data.cache import CacheLimits, is_memory, user_folder
from train.data.disk_store import DiskStore
from train.data.memory_store import MemoryStore
from train.data.store import open_store

needs_root = pytest.mark.skipif(
    os.getuid() != 0, reason="mounting, and another user's files, need root"
)
ROW = (256, 1024)  # 256 KB

# writes rows in an order of its own, for ever or once through; each row is its number, over and over
WRITER = """
import sys, numpy as np
from pathlib import Path
from train.data.cache import CacheLimits
from train.data.store import open_store
root, seed, rows = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
store = open_store("rows", {"what": "numbers"}, rows, (256, 1024), "u1", CacheLimits(root=root))
print("open", flush=True)
for index in np.random.default_rng(seed).permutation(rows):
    store.write([index], np.full((1, 256, 1024), index % 255 + 1, np.uint8))
print("done", flush=True)
"""


def numbers(root: Path, rows: int, **limits) -> DiskStore | MemoryStore | None:
    return open_store(
        "rows", {"what": "numbers"}, rows, ROW, np.uint8, CacheLimits(root=root, **limits)
    )


def values(*indices: int) -> np.ndarray:
    return np.stack([np.full(ROW, index % 255 + 1, np.uint8) for index in indices])


def start_writer(root: Path, seed: int, rows: int) -> subprocess.Popen:
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(root), str(seed), str(rows)],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert writer.stdout.readline() == "open\n"
    return writer


def folder_of(root: Path) -> Path:
    """The only store's."""
    [folder] = user_folder(CacheLimits(root=root)).glob("rows-*")
    return folder


@contextmanager
def small_disk(folder: Path, megabytes: int):
    folder.mkdir()
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)], check=True
    )
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_rows_are_found_again_by_key_shape_and_type(tmp_path):
    store = numbers(tmp_path, 10)
    assert isinstance(store, DiskStore) and not store.have(range(10)).any()
    store.write([7, 2, 3], values(7, 2, 3))
    store.write([3], values(99))  # is there already
    store.close()
    again = numbers(tmp_path, 10)
    assert np.flatnonzero(again.have(range(10))).tolist() == [2, 3, 7] and again.filled() == 3
    np.testing.assert_array_equal(again.read([3, 7, 2, 3]), values(3, 7, 2, 3))
    assert again.read([]).shape == (0, *ROW)
    for other in ((10, ROW, np.int8), (11, ROW, np.uint8), (10, (1024, 256), np.uint8)):
        assert (
            open_store("rows", {"what": "numbers"}, *other, CacheLimits(root=tmp_path)).filled()
            == 0
        )
    assert (
        open_store(
            "rows", {"what": "letters"}, 10, ROW, np.uint8, CacheLimits(root=tmp_path)
        ).filled()
        == 0
    )
    assert (
        open_store(
            "other", {"what": "numbers"}, 10, ROW, np.uint8, CacheLimits(root=tmp_path)
        ).filled()
        == 0
    )


@pytest.mark.parametrize("share", [1.0, 0.0], ids=["disk", "memory"])
def test_rows_of_any_type_and_mistakes(tmp_path, share):
    dtype = np.dtype([("aspect", "<f4"), ("pixels", "u1", (3, 5, 3))])
    store = open_store("rows", {}, 4, (), dtype, CacheLimits(root=tmp_path, disk_share=share))
    assert isinstance(store, DiskStore if share else MemoryStore)
    rows = np.zeros(2, dtype)
    rows["aspect"], rows["pixels"] = [0.5, 2.0], np.arange(90).reshape(2, 3, 5, 3)
    store.write([3, 1], rows)
    assert store.have([0, 1, 2, 3]).tolist() == [False, True, False, True]
    found = store.read([1, 3])
    assert found["aspect"].tolist() == [2.0, 0.5] and np.array_equal(
        found["pixels"], rows["pixels"][::-1]
    )
    with pytest.raises(ValueError, match="not all of these rows are in the store"):
        store.read([0, 1])
    for indices in ([4], [-1]):
        with pytest.raises(IndexError, match="rows go from 0 to 3"):
            store.have(indices)
    with pytest.raises(ValueError, match=r"rows must be .* \[2, "):
        store.write([0, 2], rows[:1])


def test_a_writer_that_is_killed_leaves_no_torn_row(tmp_path):
    found = []
    for seed in range(6):
        writer = start_writer(tmp_path, seed, 2000)
        time.sleep(0.003 * seed)
        writer.send_signal(signal.SIGKILL)
        writer.communicate()
        store = numbers(tmp_path, 2000)
        there = np.flatnonzero(store.have(range(2000)))
        for index in there:
            assert (store.read([index])[0] == index % 255 + 1).all(), index
        found.append(len(there))
        store.close()
    assert found == sorted(found) and 0 < found[-1] < 2000


def test_processes_write_and_read_one_store_at_once(tmp_path):
    writers = [start_writer(tmp_path, seed, 300) for seed in (0, 1)]
    store, seen = numbers(tmp_path, 300), 0
    while any(writer.poll() is None for writer in writers):
        there = np.flatnonzero(store.have(range(300)))
        chosen = there[:: max(1, len(there) // 8)]
        assert (store.read(chosen) == (chosen % 255 + 1)[:, None, None]).all()
        seen += len(chosen)
    assert [writer.communicate()[0] for writer in writers] == ["done\n"] * 2 and seen
    assert (
        store.have(range(300)).all()
        and (store.read(range(300)) == (np.arange(300) % 255 + 1)[:, None, None]).all()
    )


def test_threads_write_one_store_at_once(tmp_path):
    store = numbers(tmp_path, 64)
    threads = [
        threading.Thread(
            target=lambda part: [store.write([i], values(i)) for i in range(part, 64, 2)],
            args=(part % 2,),
        )
        for part in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert np.array_equal(store.read(range(64)), values(*range(64)))


def test_after_a_crash_of_the_machine_only_rows_with_the_right_checksum_are_there(tmp_path):
    store = numbers(tmp_path, 6)
    store.write(range(5), values(*range(5)))
    folder, meta = folder_of(tmp_path), json.loads((folder_of(tmp_path) / "meta.json").read_text())
    with (folder / "rows.bin").open("r+b") as file:  # pages that never reached the disk
        file.seek(2 * 256 * 1024 + 4096)
        file.write(bytes(4096))
    (folder / "meta.json").write_text(json.dumps(meta | {"boot": "an earlier one"}))
    assert isinstance(numbers(tmp_path, 6), MemoryStore)  # as if a machine elsewhere had it open
    store.close()
    store = numbers(tmp_path, 6)
    assert store.have(range(6)).tolist() == [True, True, False, True, True, False]
    store.write([2], values(2))
    assert np.array_equal(numbers(tmp_path, 6).read(range(5)), values(*range(5)))


@needs_root
def test_a_full_disk_is_told_at_opening_and_never_later(tmp_path, caplog):
    caplog.set_level("INFO")
    with small_disk(tmp_path / "small", 8) as disk:
        # more than is there, as when another program fills the disk at this moment
        assert numbers(disk, 100, disk_share=9.0, memory_share=0.9, memory=False) is None
        assert "store: none for rows, 100 rows, 26 MB: No space left on device" in caplog.text
        assert [path.name for path in user_folder(CacheLimits(root=disk)).iterdir()] == [".lock"]
        store = numbers(disk, 8, disk_share=0.9)
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
        assert names() == ["a", "c", "d"] and "store: removed b-" in caplog.text
        opened("e", 32).close()
        assert names() == ["c", "e"]
        assert (
            opened("f", 64) is None
            and "it needs 17 MB, and 11 MB may be used of the memory that" in caplog.text
        )
        assert names() == ["c", "e"]  # nothing is removed in vain
        used.close()


def test_a_disk_that_is_memory_is_bounded_as_memory(tmp_path):
    assert (
        not is_memory(Path("/proc"))
        and is_memory(Path("/dev/shm"))
        and isinstance(numbers(tmp_path, 2), DiskStore)
    )
    root = Path("/dev/shm") / f"slipway-test-{os.getpid()}"
    try:
        assert numbers(root, 100, memory_share=1e-6) is None
        assert isinstance(numbers(root, 2), DiskStore)
    finally:
        subprocess.run(["rm", "-r", str(root)], check=True)


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: os.truncate(folder / "rows.bin", 1000),
        lambda folder: os.truncate(folder / "marks.bin", 3),
        lambda folder: (folder / "marks.bin").unlink(),
        lambda folder: (folder / "meta.json").write_text("{"),
        lambda folder: (folder / "meta.json").write_text("[]"),
        lambda folder: (folder / "meta.json").write_text(
            (folder / "meta.json").read_text().replace('"numbers"', '"others"')
        ),
        lambda folder: (folder.rename(folder.with_name("away")), folder.symlink_to("nowhere")),
    ],
    ids=["rows", "marks", "no marks", "meta", "other meta", "of another key", "a link"],
)
def test_a_damaged_store_is_made_anew(tmp_path, caplog, damage):
    store = numbers(tmp_path, 3)
    store.write([1], values(1))
    store.close()
    damage(folder_of(tmp_path))
    again = numbers(tmp_path, 3)
    assert isinstance(again, DiskStore) and again.filled() == 0
    assert [
        record.getMessage().count("is damaged (")
        for record in caplog.records
        if record.levelname == "WARNING"
    ] == [1]
    again.write([1], values(1))
    assert np.array_equal(numbers(tmp_path, 3).read([1]), values(1))


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
        store = numbers(tmp_path, 3)
        assert (
            isinstance(store, MemoryStore)
            and words in caplog.text
            and "in memory, for this run alone" in caplog.text
        )
        store.write([2], values(2))
        assert np.array_equal(store.read([2]), values(2))
        assert (
            numbers(tmp_path, 3, memory=False) is None
            and numbers(tmp_path, 3, memory_share=1e-6) is None
        )
    finally:
        subprocess.run(["umount", str(folder)], check=False, stderr=subprocess.DEVNULL)


def test_the_folder_is_the_users_own(tmp_path, monkeypatch):
    monkeypatch.setenv("SLIPWAY_CACHE", str(tmp_path / "given" / "one"))
    assert user_folder(CacheLimits()) == tmp_path / "given" / "one" / f"slipway-{os.geteuid()}"
    monkeypatch.delenv("SLIPWAY_CACHE")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    folder = user_folder(CacheLimits())
    assert folder.parent == tmp_path and folder.stat().st_mode & 0o777 == 0o700


def test_stores_in_memory_share_one_bound(tmp_path):
    from artifact.machine import memory_limit

    limits = CacheLimits(root=tmp_path, disk_share=0.0, memory_share=6e6 / memory_limit())
    first = open_store("rows", {}, 16, ROW, np.uint8, limits)
    assert (
        isinstance(first, MemoryStore) and open_store("rows", {}, 16, ROW, np.uint8, limits) is None
    )
    del first
    assert isinstance(open_store("rows", {}, 16, ROW, np.uint8, limits), MemoryStore)
