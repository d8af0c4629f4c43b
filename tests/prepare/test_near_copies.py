"""Near copies: found in any form, on one side of the split, in groups of a bounded size."""

import itertools
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from local_test.figure import POSES
from local_test.stick_figures import picture as figure
from prepare import near_copies
from prepare.groups import Union
from prepare.near_copies import near_pairs
from prepare.signature import LAYOUT, signature, stack
from tests.support.photo_copies import COPIES
from tests.support.photo_folders import picture, rows, run, save


def figures(count: int) -> list[Image.Image]:
    """Stick figures of all poses."""
    poses = sorted(POSES)
    return [figure(poses[number % len(poses)], number) for number in range(count)]


def groups_of(pairs: list[tuple[int, int]], count: int) -> list[object]:
    """The group of each photo."""
    union = Union()
    for pair in pairs:
        union.join(*pair)
    return [union.root(number) for number in range(count)]


@pytest.mark.slow
def test_copies_of_every_kind_are_found_and_nothing_else():
    photos = figures(20)
    found = [signature(photo) for photo in photos]
    for change in COPIES.values():
        found += [signature(change(photo)) for photo in photos]
    pairs, cut = near_pairs(stack(found))
    assert cut == []
    assert [(a, b) for a, b in pairs if a % 20 != b % 20] == []
    groups = groups_of(pairs, len(found))
    missed = [
        (kind, number)
        for index, kind in enumerate(COPIES, start=1)
        for number in range(20)
        if groups[number] != groups[number + 20 * index]
    ]
    assert missed == []


def test_a_drawing_as_bright_as_its_background_is_known_by_its_colours():
    photo = figure("chair", 5)
    copies = [photo, *(COPIES[kind](photo) for kind in ("brightened", "watermarked"))]
    others = [figure("chair", 15), figure("chair", 25)]
    pairs, _ = near_pairs(stack(signature(one) for one in (*copies, *others)))
    assert sorted(pairs) == [(0, 1), (0, 2)]


def test_flat_photos_and_few_photos_are_no_copies():
    flat = [signature(Image.new("RGB", (60, 40), colour)) for colour in ("white", "#fefefe", "red")]
    assert near_pairs(stack(flat)) == ([], [])
    assert near_pairs(np.zeros(0, LAYOUT)) == ([], [])
    assert near_pairs(stack([signature(picture(1))])) == ([], [])


def coloured(image: Image.Image, hue: int) -> Image.Image:
    """A picture in one strong colour. hue: of 255."""
    value = image.convert("L")
    strong = Image.new("L", image.size, 200)
    return Image.merge("HSV", (Image.new("L", image.size, hue), strong, value)).convert("RGB")


def test_photos_of_other_colours_are_no_copies():
    shape = figure("tree", 1)
    for hues, expected in (((0, 128), []), ((0, 6), [(0, 1)])):
        found = stack(signature(coloured(shape, hue)) for hue in hues)
        assert near_pairs(found)[0] == expected


def frames(count: int) -> list[Image.Image]:
    """A video: a window that moves over a wide picture."""
    wide = Image.new("RGB", (96 * 8, 96))
    for index, part in enumerate(figures(8)):
        wide.paste(part.resize((96, 96)), (96 * index, 0))
    return [wide.crop((3 * number, 0, 3 * number + 192, 96)) for number in range(count)]


def test_a_chain_is_one_group_up_to_a_bound(monkeypatch):
    found = stack(signature(frame) for frame in frames(16))
    pairs, cut = near_pairs(found)
    assert len(set(groups_of(pairs, 16))) == 1
    assert cut == []
    monkeypatch.setattr(near_copies, "LARGEST_GROUP", 5)
    pairs, cut = near_pairs(found)
    sizes = Counter(groups_of(pairs, 16))
    assert 2 <= max(sizes.values()) <= 5
    assert cut


def test_near_copies_stay_on_one_side_and_are_listed(tmp_path, capsys):
    source = tmp_path / "in"
    for number in range(12):
        save(source / "ab"[number % 2] / f"{number:02d}.jpg", figure("chair", number))
    for number, kind in enumerate(("half size", "mirrored", "cut in the middle", "brightened")):
        changed = COPIES[kind](figure("chair", number))
        save(source / "ab"[number % 2] / f"copy {number:02d}.png", changed)
    assert run(source, tmp_path / "out") == 0
    said = capsys.readouterr().out
    assert "prepare: 4 groups of near copies, 8 photos in all; each group is on one side" in said
    split_of = {row["source"][2:]: row["split"] for row in rows(tmp_path / "out")}
    for number in range(4):
        assert split_of[f"copy {number:02d}.png"] == split_of[f"{number:02d}.jpg"]


def test_a_given_split_that_leaks_is_told(tmp_path, capsys):
    for split, number in itertools.product(("train", "validation", "test"), range(4)):
        index = number + 10 * ("train", "validation", "test").index(split)
        save(
            tmp_path / "in" / split / "ab"[number % 2] / f"{number}.jpg",
            picture(index, size=(96, 80)),
        )
    save(tmp_path / "in/test/a/half.jpg", picture(0, size=(96, 80)).resize((48, 40)))
    assert run(tmp_path / "in", tmp_path / "out") == 0
    (warning,) = [line for line in capsys.readouterr().err.splitlines() if "leaks" in line]
    assert "the source's own split leaks: 1 photo lies" in warning
    assert "'test/a/half.jpg' and 'train/a/0.jpg'" in warning
