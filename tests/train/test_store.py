"""Stores on disk: found again, shared, killed, damaged."""

import json
import os
import signal
import threading
import time

import numpy as np
import pytest

from tests.support.stores import (
    ROW,
    folder_of,
    numbers,
    open_numbers,
    start_writer,
    values,
)
from train.data.cache import CacheLimits
from train.data.row_stores import DiskStore, MemoryStore
from train.data.store import open_store


def test_rows_are_found_again_by_key_shape_and_type(tmp_path):
    store = open_numbers(tmp_path, 10)
    assert isinstance(store, DiskStore)
    assert not store.have(range(10)).any()
    store.write([7, 2, 3], values(7, 2, 3))
    store.write([3], values(99))  # is there already
    store.close()
    again = open_numbers(tmp_path, 10)
    assert np.flatnonzero(again.have(range(10))).tolist() == [2, 3, 7]
    assert again.filled() == 3
    np.testing.assert_array_equal(again.read([3, 7, 2, 3]), values(3, 7, 2, 3))
    assert again.read([]).shape == (0, *ROW)
    limits = CacheLimits(root=tmp_path)
    for rows, shape, dtype in (
        (10, ROW, np.int8),
        (11, ROW, np.uint8),
        (10, (1024, 256), np.uint8),
    ):
        other = open_store("rows", {"what": "numbers"}, rows, shape, dtype, limits)
        assert other is not None
        assert other.filled() == 0
    for kind, key in (("rows", "letters"), ("other", "numbers")):
        other = open_store(kind, {"what": key}, 10, ROW, np.uint8, limits)
        assert other is not None
        assert other.filled() == 0


@pytest.mark.parametrize("share", [1.0, 0.0], ids=["disk", "memory"])
def test_rows_of_any_type_and_mistakes(tmp_path, share):
    dtype = np.dtype([("aspect", "<f4"), ("pixels", "u1", (3, 5, 3))])
    store = open_store("rows", {}, 4, (), dtype, CacheLimits(root=tmp_path, disk_share=share))
    expected = DiskStore if share else MemoryStore
    assert isinstance(store, expected)
    rows = np.zeros(2, dtype)
    rows["aspect"], rows["pixels"] = [0.5, 2.0], np.arange(90).reshape(2, 3, 5, 3)
    store.write([3, 1], rows)
    assert store.have([0, 1, 2, 3]).tolist() == [False, True, False, True]
    found = store.read([1, 3])
    assert found["aspect"].tolist() == [2.0, 0.5]
    assert np.array_equal(found["pixels"], rows["pixels"][::-1])
    with pytest.raises(ValueError, match="not all of these rows are in the store"):
        store.read([0, 1])
    for indices in ([4], [-1]):
        with pytest.raises(IndexError, match="rows go from 0 to 3"):
            store.have(indices)
    with pytest.raises(ValueError, match=r"rows must be .* \[2, "):
        store.write([0, 2], rows[:1])


@pytest.mark.slow
def test_a_writer_that_is_killed_leaves_no_torn_row(tmp_path):
    found = []
    for seed in range(6):
        writer = start_writer(tmp_path, seed, 2000)
        watched = open_numbers(tmp_path, 2000)
        while watched.filled() < 20 * seed:
            time.sleep(0.0005)
        writer.send_signal(signal.SIGKILL)
        watched.close()
        writer.communicate()
        store = open_numbers(tmp_path, 2000)
        there = np.flatnonzero(store.have(range(2000)))
        for index in there:
            assert (store.read([int(index)])[0] == index % 255 + 1).all(), index
        found.append(len(there))
        store.close()
    assert found == sorted(found)
    assert found[-1] > 0
    assert min(found) < 2000  # at least one was killed in the middle


def test_processes_write_and_read_one_store_at_once(tmp_path):
    writers = [start_writer(tmp_path, seed, 300) for seed in (0, 1)]
    store, seen = open_numbers(tmp_path, 300), 0
    while any(writer.poll() is None for writer in writers):
        there = np.flatnonzero(store.have(range(300)))
        chosen = there[:: max(1, len(there) // 8)]
        assert (store.read(chosen) == (chosen % 255 + 1)[:, None, None]).all()
        seen += len(chosen)
    assert [writer.communicate()[0] for writer in writers] == ["done\n"] * 2
    assert seen
    assert store.have(range(300)).all()
    assert (store.read(range(300)) == (np.arange(300) % 255 + 1)[:, None, None]).all()


def test_threads_write_one_store_at_once(tmp_path):
    store = open_numbers(tmp_path, 64)
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
    store = open_numbers(tmp_path, 6)
    store.write(range(5), values(*range(5)))
    folder, meta = folder_of(tmp_path), json.loads((folder_of(tmp_path) / "meta.json").read_text())
    with (folder / "rows.bin").open("r+b") as file:  # pages that never reached the disk
        file.seek(2 * 256 * 1024 + 4096)
        file.write(bytes(4096))
    (folder / "meta.json").write_text(json.dumps(meta | {"boot": "an earlier one"}))
    assert isinstance(numbers(tmp_path, 6), MemoryStore)  # as if a machine elsewhere had it open
    store.close()
    store = open_numbers(tmp_path, 6)
    assert store.have(range(6)).tolist() == [True, True, False, True, True, False]
    store.write([2], values(2))
    assert np.array_equal(open_numbers(tmp_path, 6).read(range(5)), values(*range(5)))


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
    store = open_numbers(tmp_path, 3)
    store.write([1], values(1))
    store.close()
    damage(folder_of(tmp_path))
    again = open_numbers(tmp_path, 3)
    assert isinstance(again, DiskStore)
    assert again.filled() == 0
    assert [
        record.getMessage().count("is damaged (")
        for record in caplog.records
        if record.levelname == "WARNING"
    ] == [1]
    again.write([1], values(1))
    assert np.array_equal(open_numbers(tmp_path, 3).read([1]), values(1))
