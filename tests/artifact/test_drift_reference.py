"""What a training leaves for `launch drift`: small, whole, and read back with care."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from artifact.drift_reference import (
    DIRECTIONS,
    FILE_BYTES,
    PHOTOS,
    REFERENCE_FILE,
    Reference,
    directions_that_fit,
    read_reference,
    write_reference,
)
from artifact.model import ArtifactError, Description, MissingFile
from artifact.photos.measures import MEASURES, photo_measures
from artifact.photos.preprocessing import Preprocessing

DESCRIPTION = Description(("blue", "red"), Preprocessing(36, 32), "resnet18")


def reference(photos: int = 6, width: int = 4) -> Reference:
    kept = directions_that_fit(width, 2)
    return Reference(
        np.zeros((photos, len(MEASURES)), np.float32),
        np.full(2, 9),
        np.ones(photos, np.int64),
        np.ones(photos, np.int64),
        np.ones(photos, np.float32),
        np.ones(width, np.float32),
        np.ones((width, kept), np.float16),
        np.zeros((photos, kept), np.float32),
    )


@pytest.mark.parametrize("width", [1, 512, 2048, 4096, 25088])
def test_it_fits_into_a_megabyte(tmp_path, width):
    write_reference(tmp_path, reference(PHOTOS, width))
    assert (tmp_path / REFERENCE_FILE).stat().st_size <= FILE_BYTES
    assert read_reference(tmp_path, DESCRIPTION).center.shape == (width,)
    assert directions_that_fit(width, 2) >= min(DIRECTIONS, 10)


def test_features_are_taken_along_the_directions(tmp_path):
    found = reference(width=3)
    write_reference(tmp_path, found)
    along = read_reference(tmp_path, DESCRIPTION).along(np.array([[2, 3, 4]], np.float32))
    assert along.tolist() == [[6.0] * found.directions.shape[1]]


def test_an_artifact_without_it_says_so(tmp_path):
    with pytest.raises(MissingFile, match=REFERENCE_FILE):
        read_reference(tmp_path, DESCRIPTION)


WHOLE = reference()
ODD = {
    "holds too few probabilities": dataclasses.replace(WHOLE, probabilities=np.ones(2, np.float32)),
    "has a class that is none": dataclasses.replace(WHOLE, answers=np.full(6, 2)),
    "has other columns": dataclasses.replace(WHOLE, measures=np.zeros((5, 5), np.float32)[:, :4]),
    "is not finite": dataclasses.replace(WHOLE, center=np.full(4, np.nan, np.float32)),
    "has directions of another width": dataclasses.replace(
        WHOLE, directions=np.ones((5, 32), np.float16)
    ),
}


@pytest.mark.parametrize("odd", ODD)
def test_what_does_not_fit_is_refused(tmp_path, odd):
    write_reference(tmp_path, ODD[odd])
    with pytest.raises(ArtifactError, match=r"model.reference.npz' cannot be read as a reference"):
        read_reference(tmp_path, DESCRIPTION)


@pytest.mark.parametrize("content", [b"", b"no archive", b"x" * (FILE_BYTES + 1)])
def test_a_damaged_file_is_refused(tmp_path, content):
    (tmp_path / REFERENCE_FILE).write_bytes(content)
    with pytest.raises(ArtifactError, match="cannot be read as a reference"):
        read_reference(tmp_path, DESCRIPTION)


def test_numbers_in_place_of_arrays_are_refused(tmp_path):
    numbers: Any = {entry.name: 1 for entry in dataclasses.fields(Reference)}
    np.savez(tmp_path / REFERENCE_FILE, **numbers)
    with pytest.raises(ArtifactError, match="cannot be read as a reference .it has measures"):
        read_reference(tmp_path, DESCRIPTION)


def test_a_compressed_file_is_refused(tmp_path):
    np.savez_compressed(tmp_path / REFERENCE_FILE, measures=np.zeros((1000, 1000)))
    with pytest.raises(ArtifactError, match="it is compressed"):
        read_reference(tmp_path, DESCRIPTION)


def test_a_darker_photo_moves_its_brightness_alone():
    grey = np.random.default_rng(0).integers(40, 220, (1, 24, 24, 3)).astype(np.float32)
    bright = grey.astype(np.uint8)
    before, after = (photo_measures(photo)[0] for photo in (bright, (grey * 0.6).astype(np.uint8)))
    assert after[0] == pytest.approx(0.6 * before[0], rel=0.01)
    assert after[1:] == pytest.approx(before[1:], abs=0.01)


def test_black_photos_have_numbers():
    assert np.isfinite(photo_measures(np.zeros((2, 1, 1, 3), np.uint8))).all()
