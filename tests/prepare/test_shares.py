"""How many photos a split gets, which ones, and where each photo goes: exactly, at the bounds."""

import hashlib
import itertools
import os
from pathlib import Path

import pytest

from prepare.__main__ import _are_shares, _parse
from prepare.place import move_all, output_paths, remove_stale
from prepare.scan import PrepareError, Source, scan
from prepare.split import assign, counts

THIRDS = (1 / 3, 1 / 3, 1 / 3)


@pytest.mark.parametrize(
    ("total", "shares", "expected"),
    [
        (3, THIRDS, (1, 1, 1)),
        (4, THIRDS, (2, 1, 1)),  # of equals, train is first
        (5, THIRDS, (2, 1, 2)),  # then test
        (2, (0.4, 0.6, 0), (1, 1, 0)),
        (3, (0.4, 0.6, 0), (1, 2, 0)),
        (3, (0.9, 0.1, 0), (2, 1, 0)),
        (20, (0.9, 0.05, 0.05), (18, 1, 1)),
        (19, (0.9, 0.05, 0.05), (17, 1, 1)),
        (1, (0.1, 0.9, 0), (1, 0, 0)),
        (9, (0.99, 0, 0.01), (8, 0, 1)),
        (1000, (0.7, 0.1, 0.2), (700, 100, 200)),
        (6, (0.5, 0.25, 0.25), (3, 1, 2)),
        (13, (0.34, 0.33, 0.33), (5, 4, 4)),
    ],
)
def test_counts_of_photos(total, shares, expected):
    assert tuple(counts(total, shares).values()) == expected


@pytest.mark.parametrize("shares", [(0.7, 0.1, 0.2), THIRDS, (0.98, 0.01, 0.01), (0.5, 0.5, 0)])
def test_counts_add_up_and_are_near_their_shares(shares):
    wanted_splits = sum(share > 0 for share in shares)
    for total in range(60):
        found = list(counts(total, shares).values())
        assert sum(found) == total
        for count, share in zip(found, shares, strict=True):
            assert (count > 0) == (share > 0) or total < wanted_splits
            if total * min(share for share in shares if share) >= 1:
                assert abs(count - total * share) < 1


def test_the_order_of_a_class_is_by_seed_and_hash():
    pixels = {Source(f"a/{index}", "a"): f"hash {index}" for index in range(10)}
    found = assign(pixels, (0.5, 0.2, 0.3), seed=3)
    by_chance = sorted(
        pixels, key=lambda source: hashlib.sha256(f"3/{pixels[source]}".encode()).digest()
    )
    names = [found[source] for source in by_chance]
    assert names == ["train"] * 5 + ["validation"] * 2 + ["test"] * 3


def test_each_class_is_split_for_itself():
    pixels = {}
    for label, index in itertools.product("ab", range(10)):
        pixels[Source(f"{label}/{index}", label)] = f"{label}{index}"
    found = assign(pixels, (0.5, 0.2, 0.3), seed=0)
    for label in "ab":
        splits = sorted(found[source] for source in pixels if source.label == label)
        assert splits == ["test"] * 3 + ["train"] * 5 + ["validation"] * 2


def test_a_photo_of_two_classes_goes_where_both_lack_one():
    shared = {Source("a/1", "a"): "same", Source("b/1", "b"): "same", Source("b/2", "b"): "own"}
    found = assign(shared, (0.5, 0, 0.5), seed=0)
    assert found[Source("a/1", "a")] == found[Source("b/1", "b")] == "train"
    assert found[Source("b/2", "b")] == "test"


def test_a_given_split_wins_and_its_copies_join_it():
    given = Source("train/a/1", "a", "train")
    free = Source("a/2", "a")
    other = Source("a/3", "a")
    found = assign({given: "x", free: "x", other: "y"}, (0, 0, 1), seed=0)
    assert found == {given: "train", free: "train", other: "test"}


@pytest.mark.parametrize(
    ("shares", "right"),
    [
        ((0.7, 0.1, 0.2), True),
        ((1, 0, 0), True),
        ((0.7, 0.1), False),
        ((0.25, 0.25, 0.25, 0.25), False),
        ((0, 0.5, 0.5), False),
        ((1.1, -0.1, 0), False),
        ((0.5, 0.25, 0.250001), True),
        ((0.5, 0.25, 0.250002), False),
        ((0.5, 0.25, 0.249998), False),
    ],
)
def test_shares_add_up_to_one(shares, right):
    assert _are_shares(shares) == right


def test_options_have_defaults(tmp_path):
    options = _parse([str(tmp_path / "in"), str(tmp_path / "out")])
    assert options.split == (0.7, 0.1, 0.2)
    assert options.seed == 0
    assert options.on_bad == "skip"
    assert options.s3_uri == ""
    assert options.workers >= 1
    recorded = {"split": [0.7, 0.1, 0.2], "seed": 0, "on_bad": "skip", "s3_uri": "", "groups": ""}
    assert options.recorded() == recorded
    assert _parse([str(tmp_path / "in"), str(tmp_path / "out"), "--workers", "1"]).workers == 1


def short_hash(path: str) -> str:
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:8]


def placed(*paths: str) -> list[str]:
    """Where training photos of class a go."""
    return list(output_paths({Source(path, "a"): "train" for path in paths}).values())


def test_names_that_collide_get_a_hash():
    found = placed("a/one.jpg", "a/one.png", "a/sub/ONE.gif", "a/two.tar.gz")
    assert found == [
        "train/a/one.jpg",
        f"train/a/one-{short_hash('a/one.png')}.jpg",
        f"train/a/ONE-{short_hash('a/sub/ONE.gif')}.jpg",
        "train/a/two.tar.jpg",
    ]
    two = {Source("a/one.jpg", "a"): "train", Source("b/one.jpg", "b"): "test"}
    assert list(output_paths(two).values()) == ["train/a/one.jpg", "test/b/one.jpg"]


@pytest.mark.parametrize(("length", "cut"), [(226, False), (227, True)])
def test_long_names_are_cut(length, cut):
    name = "n" * length
    (found,) = placed(f"a/{name}.png")
    expected = f"train/a/{name}.jpg"
    if cut:
        expected = f"train/a/{'n' * 226}-{short_hash(f'a/{name}.png')}.jpg"
    assert found == expected
    assert len(Path(found).name) <= 240


def test_a_cut_name_never_ends_with_a_blank():
    name = "n" * 225 + " " + "n" * 9
    (found,) = placed(f"a/{name}.png")
    assert found == f"train/a/{'n' * 225}-{short_hash(f'a/{name}.png')}.jpg"


@pytest.mark.parametrize("letter", ["あ", "😀", "é", "e\u0301"])
def test_long_names_are_cut_at_a_character(letter):
    (found,) = placed(f"a/{letter * 120}.png")
    name = Path(found).name
    kept = name.removesuffix(f"-{short_hash(f'a/{letter * 120}.png')}.jpg")
    assert len(name.encode()) <= 240
    assert kept == letter * (len(kept) // len(letter))
    assert len(kept.encode()) > 220


def test_a_name_that_is_not_utf_8_is_written_as_in_a_url():
    (found,) = placed(os.fsdecode(b"a/caf\xe9.jpg"))
    assert found == "train/a/caf%E9.jpg"


def fill(folder: Path, **texts: str) -> dict[str, Path]:
    for name, text in texts.items():
        (folder / name).write_text(text)
    return {name: folder / name for name in texts}


def test_files_trade_places(tmp_path):
    parking = tmp_path / "parking"
    parking.mkdir()
    at = fill(tmp_path, a="1", b="2", c="3", d="4")
    new = tmp_path / "new" / "folder" / "d"
    moves = [(at["a"], at["b"]), (at["b"], at["c"]), (at["c"], at["a"]), (at["d"], new)]
    move_all(moves, parking)
    assert [at[name].read_text() for name in "abc"] == ["3", "1", "2"]
    assert new.read_text() == "4"
    assert not at["d"].exists()
    assert list(parking.iterdir()) == []
    move_all([(at["a"], at["a"])], parking)  # it stays
    assert at["a"].read_text() == "3"


def test_stale_files_go_with_their_empty_folders(tmp_path):
    out = tmp_path / "out"
    for name in ("train/a/1", "train/b/2", "train/b/3", "test/c/4", "lists"):
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).touch()
    remove_stale(out, ["train/a/1", "train/b/2", "test/c/4", "gone/5", "lists"], ["lists"])
    left = sorted(str(path.relative_to(out)) for path in out.rglob("*"))
    assert left == ["lists", "train", "train/b", "train/b/3"]
    remove_stale(out, ["lists", "train/b/3"], [])
    assert out.is_dir()
    assert list(out.iterdir()) == []


def touch(folder: Path, *paths: str) -> None:
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).touch()


@pytest.mark.parametrize(
    ("paths", "sources", "ignored"),
    [
        (["a/1.jpg", "b/sub/2.jpg"], [("a/1.jpg", "a", None), ("b/sub/2.jpg", "b", None)], []),
        (["1.jpg", "a/2"], [("a/2", "a", None)], ["1.jpg"]),
        (["train/a/1", "Test/b/2"], [("Test/b/2", "b", "test"), ("train/a/1", "a", "train")], []),
        (["train/1", "train/a/2"], [("train/a/2", "a", "train")], ["train/1"]),
        (["train/1", "cats/2"], [("cats/2", "cats", None), ("train/1", "train", None)], []),
        (["test/1", "cats/2"], [("cats/2", "cats", None), ("test/1", "test", None)], []),
        (["a/1", "a/x.TXT", "a/.b/2"], [("a/1", "a", None)], ["a/.b/", "a/x.TXT"]),
        (["a/1", "a/Thumbs.db"], [("a/1", "a", None)], ["a/Thumbs.db"]),
        (["a/1", "__MACOSX/a/1"], [("a/1", "a", None)], ["__MACOSX/"]),
        (["train/a/1", ".git/x"], [("train/a/1", "a", "train")], [".git/"]),
    ],
)
def test_layouts_of_a_folder(tmp_path, paths, sources, ignored):
    touch(tmp_path, *paths)
    found = scan(tmp_path)
    assert [(source.path, source.label, source.split) for source in found.sources] == sources
    assert sorted(found.passed.paths) == ignored


def test_a_layout_that_is_neither_is_refused(tmp_path):
    touch(tmp_path, "train/a/1", "val/a/2", "cats/3")
    with pytest.raises(PrepareError) as caught:
        scan(tmp_path)
    assert str(caught.value) == (
        f"'{tmp_path}' holds parts of a split (train, val) beside 'cats'; "
        "give a folder of classes, or one of train, validation and test alone"
    )


def test_a_folder_that_cannot_be_read_ends_the_scan(tmp_path, monkeypatch):
    touch(tmp_path, "a/1.jpg", "b/2.jpg")
    listed = os.scandir

    def refuse(path):
        if str(path).endswith("/b"):
            raise PermissionError(13, "Permission denied", str(path))
        return listed(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(PermissionError):
        scan(tmp_path)
