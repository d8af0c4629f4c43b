"""Decoded photos: kept from run to run, streamed where they do not fit, prepared a little ahead."""

import itertools
import os
import time
from pathlib import Path

import numpy as np
import pytest

from artifact.photos.decoder import read_photo
from artifact.photos.kinds import PhotoError
from artifact.photos.preprocessing import Preprocessing
from tests.support.jobs import draw_channel, draw_photo
from train.data.cache import CacheLimits, user_folder
from train.data.channels import Photos, read_channels
from train.data.photos import AHEAD, PhotoArrays, in_order

SIZING = Preprocessing(36, 32)
NOWHERE = CacheLimits(disk_share=0.0, memory=False)


def listed(folder: Path) -> Photos:
    return read_channels({"train": folder}, (1.0, 0.0, 0.0), 0).train


def everything(photos: PhotoArrays, size: int = 4) -> np.ndarray:
    """All pixels, by index, taken in an order of their own."""
    order = np.random.default_rng(0).permutation(len(photos.paths))
    pixels = np.empty((len(order), photos.side, photos.side, 3), np.uint8)
    for indices, batch in photos.batches(
        [order[start : start + size] for start in range(0, len(order), size)]
    ):
        pixels[indices] = batch
    return pixels


def decoded(photos: Photos, sized) -> np.ndarray:
    return np.stack([sized(read_photo(path)) for path in photos.paths])


@pytest.fixture
def photos(tmp_path: Path) -> Photos:
    return listed(draw_channel(tmp_path / "photos", 7))


@pytest.mark.parametrize("keep", [True, False])
def test_a_second_run_decodes_nothing(tmp_path, photos, keep):
    limits = CacheLimits(root=tmp_path / "cache")
    first = PhotoArrays(photos.paths, SIZING.pixels, 32, keep, limits)
    expected = decoded(photos, SIZING.pixels)
    assert np.array_equal(everything(first), expected)
    assert first.aspects.std() > 0
    for path in photos.paths:
        path.write_bytes(b"gone")
    assert np.array_equal(everything(first), expected)
    first.close()
    second = PhotoArrays(photos.paths, SIZING.pixels, 32, keep, limits)
    assert np.array_equal(everything(second, 5), expected)
    assert np.array_equal(second.aspects, first.aspects)


def test_photos_sized_or_chosen_otherwise_are_not_mixed_up(tmp_path, photos):
    limits = CacheLimits(root=tmp_path / "cache")
    sizings = [
        (SIZING.pixels, 32),
        (SIZING.stretched, 36),
        (Preprocessing(40, 32).pixels, 32),
        (Preprocessing(36, 32, "bicubic").pixels, 32),
        (Preprocessing(36, 30, "bicubic").stretched, 36),
    ]
    for sized, side in sizings * 2:
        assert np.array_equal(
            everything(PhotoArrays(photos.paths, sized, side, limits=limits)),
            decoded(photos, sized),
        )
    some = photos.take([5, 3, 20])
    assert np.array_equal(
        everything(PhotoArrays(some.paths, SIZING.pixels, 32, limits=limits)),
        decoded(some, SIZING.pixels),
    )
    assert np.array_equal(
        everything(PhotoArrays(list(some.paths), SIZING.pixels, 32, limits=limits)),
        decoded(some, SIZING.pixels),
    )
    assert len(list(user_folder(limits).glob("photos-*"))) == len(sizings) + 2


def test_a_photo_that_was_changed_is_decoded_anew(tmp_path):
    """Of the same size and time of writing, as uncompressed photos may be."""
    limits, folder = CacheLimits(root=tmp_path / "cache"), tmp_path / "photos"
    for name, colour in (("a", (0, 0, 255)), ("b", (255, 0, 0))):
        draw_photo(folder / name / "1.bmp", colour, 1)
    before, status = listed(folder), (folder / "a" / "1.bmp").stat()
    everything(PhotoArrays(before.paths, SIZING.pixels, 32, limits=limits))
    time.sleep(0.02)  # a kernel's tick or more
    draw_photo(folder / "a" / "1.bmp", (0, 255, 0), 1)
    os.utime(folder / "a" / "1.bmp", ns=(status.st_atime_ns, status.st_mtime_ns))
    assert (folder / "a" / "1.bmp").stat().st_size == status.st_size
    after = listed(folder)
    assert np.array_equal(
        everything(PhotoArrays(after.paths, SIZING.pixels, 32, limits=limits)),
        decoded(after, SIZING.pixels),
    )


@pytest.mark.parametrize(
    "limits", [None, NOWHERE, CacheLimits(disk_share=0.0)], ids=["none", "no room", "memory"]
)
def test_photos_stream_or_stay_in_memory_where_the_disk_has_no_room(photos, limits):
    arrays, expected = (
        PhotoArrays(photos.paths, SIZING.pixels, 32, limits=limits),
        decoded(photos, SIZING.pixels),
    )
    for _ in range(2):
        assert np.array_equal(everything(arrays), expected)


def test_a_few_batches_are_prepared_ahead_and_no_more_after_the_last_one_wanted(photos):
    seen = []

    def counted(photo) -> np.ndarray:
        seen.append(photo.size)
        return SIZING.pixels(photo)

    arrays = PhotoArrays(photos.paths, counted, 32)
    batches = arrays.batches(in_order(21, 2))
    next(batches)
    deadline = time.monotonic() + 60
    while len(seen) < 2 * (AHEAD + 1) and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.1)  # in which more would be prepared
    assert len(seen) == 2 * (AHEAD + 1)
    batches.close()
    time.sleep(0.1)
    assert len(seen) == 2 * (AHEAD + 1)
    assert [len(indices) for indices, _ in arrays.batches(in_order(5, 2))] == [2, 2, 1]
    assert list(arrays.batches([])) == []


def test_the_order_may_be_endless(photos):
    arrays = PhotoArrays(photos.paths, SIZING.pixels, 32)
    batches = arrays.batches(np.array([number % 21, 3]) for number in itertools.count())
    assert next(batches)[1].shape == (2, 32, 32, 3)
    batches.close()


def test_a_photo_that_cannot_be_read_is_told_at_its_batch(photos):
    photos.paths[5].write_bytes(b"\xff\xd8\xff torn")
    photos.paths[6].unlink()
    for paths in (photos.paths, list(photos.paths)):
        batches = PhotoArrays(paths, SIZING.pixels, 32).batches([[0, 1], [4, 5], [6]])
        assert next(batches)[0].tolist() == [0, 1]
        with pytest.raises(PhotoError, match="photo '.*blue 5.jpg': it is not a complete photo"):
            next(batches)
        with pytest.raises(PhotoError, match="photo '.*blue 6.jpg' cannot be read: No such file"):
            list(PhotoArrays(paths, SIZING.pixels, 32).batches([[6]]))


def test_a_store_that_fails_is_done_without(tmp_path, photos, caplog):
    limits = CacheLimits(root=tmp_path / "cache")
    arrays, expected = (
        PhotoArrays(photos.paths, SIZING.pixels, 32, limits=limits),
        decoded(photos, SIZING.pixels),
    )
    everything(arrays)
    [rows] = user_folder(limits).glob("photos-*/rows.bin")
    os.truncate(rows, 1000)
    assert np.array_equal(everything(arrays), expected)
    assert (
        "the decoded photos are not kept any more (the store's file ends too early)" in caplog.text
    )
    assert np.array_equal(
        everything(PhotoArrays(photos.paths, SIZING.pixels, 32, limits=limits)), expected
    )


def test_what_a_slow_disk_has_no_time_for_is_kept_later(tmp_path, photos, monkeypatch):
    monkeypatch.setattr("train.data.photos.WAITING_BYTES", 0)  # one photo may wait
    limits = CacheLimits(root=tmp_path / "cache")
    arrays, expected = (
        PhotoArrays(photos.paths, SIZING.pixels, 32, limits=limits),
        decoded(photos, SIZING.pixels),
    )
    for _ in range(21):
        assert np.array_equal(everything(arrays), expected)
    for path in photos.paths:
        path.unlink()
    assert np.array_equal(everything(arrays), expected)
