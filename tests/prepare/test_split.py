"""Which photos go into train, validation and test, and the split that a source has already."""

import json

import pytest

from prepare.scan import Source
from prepare.split import assign, counts
from tests.support.photo_folders import photos, run

SHARES = (0.7, 0.1, 0.2)


@pytest.mark.parametrize(
    ("total", "shares", "expected"),
    [
        (1, SHARES, (1, 0, 0)),
        # Two photos: one to learn from, one to test on.
        (2, SHARES, (1, 0, 1)),
        (3, SHARES, (1, 1, 1)),
        (4, SHARES, (2, 1, 1)),
        (10, SHARES, (7, 1, 2)),
        (100, SHARES, (70, 10, 20)),
        (7, (1, 0, 0), (7, 0, 0)),
        (5, (0.5, 0.5, 0), (3, 2, 0)),
        (2, (0.5, 0.5, 0), (1, 1, 0)),
        (0, SHARES, (0, 0, 0)),
        # Tiny shares get a photo each.
        (5, (0.98, 0.01, 0.01), (3, 1, 1)),
    ],
)
def test_shares_of_a_class(total, shares, expected):
    assert tuple(counts(total, shares).values()) == expected


def test_the_split_depends_on_photos_and_seed_alone():
    hashes = {Source(f"a/{index}.jpg", "a"): f"hash {index}" for index in range(50)}
    # Folders list files in any order.
    backwards = dict(reversed(hashes.items()))
    splits = assign(hashes, SHARES, seed=0)
    assert assign(backwards, SHARES, seed=0) == splits
    assert assign(hashes, SHARES, seed=1) != splits


def test_a_split_that_the_source_has_is_kept(tmp_path, capsys):
    for name, count in (("train", 4), ("valid", 1), ("test", 2)):
        photos(tmp_path / "in" / name, a=count, b=count)
    assert run(tmp_path / "in", tmp_path / "out") == 0
    said = capsys.readouterr().out
    assert "train=8 validation=2 test=4" in said
    assert "--split does not apply" in said
    # Some photos are equal on both sides: the fixture draws them alike.
    assert "Leaks" in (tmp_path / "out/report.html").read_text()


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("train", "valid", "test", "others"), "beside 'others'"),
        (("train", "Valid", "cats"), "beside 'cats'"),
    ],
)
def test_a_split_beside_other_folders_is_not_taken_for_classes(tmp_path, capsys, names, words):
    for name in names:
        photos(tmp_path / "in" / name, a=1, b=1)
    assert run(tmp_path / "in", tmp_path / "out") == 1
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    "names", [("train", "validation", "testing", "__MACOSX"), ("training", "val", "test")]
)
# macOS leaves it in zip files.
def test_a_split_by_any_names_is_known(tmp_path, names):
    for name in names:
        photos(tmp_path / "in" / name, a=2, b=2)
    assert run(tmp_path / "in", tmp_path / "out") == 0
    assert json.loads((tmp_path / "out/classes.json").read_text()) == ["a", "b"]
