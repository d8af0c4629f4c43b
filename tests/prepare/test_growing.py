"""A set that grows: photos stay on their side, new ones fill the shares, groups stay together."""

import shutil
from collections import Counter
from pathlib import Path

import pytest

from prepare.groups import group_keys, group_warnings
from prepare.scan import PrepareError, Source
from prepare.split import assign, counts
from tests.support.photo_folders import photos, picture, rows, run, save

SHARES = (0.7, 0.1, 0.2)


def sides(folder: Path) -> dict[str, str]:
    """The split of each source."""
    return {row["source"]: row["split"] for row in rows(folder)}


@pytest.mark.slow
def test_photos_stay_where_they_are_and_new_ones_fill_the_shares(tmp_path):
    source = photos(tmp_path / "in", a=10, b=10)
    out = tmp_path / "out"
    run(source, out)
    first = sides(out)
    for index in range(30):
        save(source / f"a/new {index}.jpg", picture(5000 + index))
    (source / "b/b 3.jpg").rename(source / "b/renamed.jpg")
    assert run(source, out) == 0
    then = sides(out)
    assert then["b/renamed.jpg"] == first.pop("b/b 3.jpg")
    assert {name: then[name] for name in first} == first
    of_a = Counter(split for name, split in then.items() if name.startswith("a/"))
    assert of_a == {"train": 28, "validation": 4, "test": 8}


@pytest.mark.slow
def test_a_photo_that_takes_anothers_name_stays_on_its_own_side(tmp_path):
    """Names that are dealt anew, as by a camera or by sorting, bring no test photo to train."""
    source = photos(tmp_path / "in", a=10, b=10)
    run(source, tmp_path / "out")
    first = {row["sha256"]: row["split"] for row in rows(tmp_path / "out")}
    names = sorted((source / "a").iterdir())
    names[0].unlink()
    for path, before in zip(names[1:], names, strict=False):
        path.rename(before)
    manifest = tmp_path / "out/manifest.csv"
    assert run(source, tmp_path / "then", "--keep-split", manifest) == 0
    then = {row["sha256"]: row["split"] for row in rows(tmp_path / "then")}
    assert then == {digest: first[digest] for digest in then}


@pytest.mark.slow
def test_another_folder_keeps_the_split_of_a_manifest(tmp_path):
    source = photos(tmp_path / "in", **{"=a": 10, "b": 1})
    run(source, tmp_path / "out")
    first = sides(tmp_path / "out")
    for index in range(5):
        save(source / f"=a/0 new {index}.jpg", picture(5000 + index))
    manifest = tmp_path / "out/manifest.csv"
    for name in ("one", "two"):
        options = ("--keep-split", manifest, "--seed", 7)
        assert run(source, tmp_path / name, *options) == 0
    then = sides(tmp_path / "one")
    assert {name: then[name] for name in first} == first
    assert sides(tmp_path / "two") == then


@pytest.mark.slow
def test_another_seed_or_other_shares_deal_anew(tmp_path):
    source = photos(tmp_path / "in", a=20, b=1)
    out = tmp_path / "out"
    run(source, out)
    run(source, tmp_path / "fresh", "--split", "0.5,0.2,0.3")
    assert run(source, out, "--split", "0.5,0.2,0.3") == 0
    assert sides(out) == sides(tmp_path / "fresh")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "cannot be read"),
        ("a,b\n1,2\n", "has no column split, source, sha256"),
        ("", "has no column split"),
        ("source,sha256,split\nx,y,holdout\n", "has the split 'holdout'"),
    ],
)
def test_a_manifest_that_is_none_is_refused_at_once(tmp_path, capsys, text, words):
    if text is not None:
        (tmp_path / "list.csv").write_text(text)
    source = photos(tmp_path / "in", a=2)
    assert run(source, tmp_path / "out", "--keep-split", tmp_path / "list.csv") == 1
    assert words in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_names_do_not_decide_the_order(tmp_path):
    one = photos(tmp_path / "one", a=10, b=1)
    (tmp_path / "two/a").mkdir(parents=True)
    for index, path in enumerate(sorted((one / "a").iterdir(), reverse=True)):
        shutil.copy(path, tmp_path / f"two/a/{index}.jpg")
    shutil.copytree(one / "b", tmp_path / "two/b")
    found = []
    for name in ("one", "two"):
        run(tmp_path / name, tmp_path / "out" / name)
        found.append({row["sha256"]: row["split"] for row in rows(tmp_path / "out" / name)})
    assert found[0] == found[1]


@pytest.mark.slow
def test_photos_of_a_person_stay_on_one_side(tmp_path):
    source = tmp_path / "in"
    for number in range(60):
        label = "ab"[number % 2]
        save(source / label / f"person{number // 6}_{number}.jpg", picture(number))
    out = tmp_path / "out"
    assert run(source, out, "--groups", r"person(\d+)") == 0
    sides_of: dict[str, set[str]] = {}
    for name, split in sides(out).items():
        person = name.split("person")[1].split("_")[0]
        sides_of.setdefault(person, set()).add(split)
    assert len(sides_of) == 10
    assert all(len(found) == 1 for found in sides_of.values())
    assert Counter(sides(out).values()) == {"train": 42, "validation": 6, "test": 12}


def test_groups_that_no_photo_has_are_refused(tmp_path, capsys):
    source = photos(tmp_path / "in", a=2)
    assert run(source, tmp_path / "out", "--groups", "person") == 1
    assert "no photo's path has 'person'" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        run(source, tmp_path / "out", "--groups", "(")
    assert "must be a regular expression" in capsys.readouterr().err


@pytest.mark.parametrize("sizes", [[1] * 40, [3] * 12, [7, 1, 1, 5, 2, 9, 1, 1, 4], [20, 1, 1, 1]])
@pytest.mark.parametrize("shares", [SHARES, (0.5, 0.25, 0.25), (0.8, 0.2, 0)])
def test_shares_hold_within_one_group(sizes, shares):
    groups = {
        Source(f"a/{group}-{index}", "a"): f"group {group}"
        for group, size in enumerate(sizes)
        for index in range(size)
    }
    for seed in range(5):
        found = assign(groups, shares, seed)
        got = Counter(found.values())
        for split, wanted in counts(sum(sizes), shares).items():
            assert abs(got[split] - wanted) <= max(sizes)
            assert (got[split] > 0) == (wanted > 0)
        by_group: dict[str, set[str]] = {}
        for source, split in found.items():
            by_group.setdefault(groups[source], set()).add(split)
        assert all(len(splits) == 1 for splits in by_group.values())


def test_new_copies_of_a_placed_photo_join_it():
    groups = {Source(f"a/{index}", "a"): f"g{index % 5}" for index in range(10)}
    placed = {Source("a/0", "a"): "test", Source("a/1", "a"): "validation"}
    found = assign(groups, SHARES, 0, placed)
    assert found[Source("a/5", "a")] == "test"
    assert found[Source("a/6", "a")] == "validation"
    twice = {**placed, Source("a/5", "a"): "train"}
    assert assign(groups, SHARES, 0, twice)[Source("a/0", "a")] == "test"


@pytest.mark.parametrize(
    ("pattern", "splits", "words"),
    [
        (r"p(\d)", ("train", "train", "test", "test"), None),
        (r"p(\d)", ("train", "test", "test", "test"), "1 group of --groups on several sides, such"),
        (r"p(1)", ("train", "train", "test", "train"), "2 of 4 photos have no group by --groups"),
        ("p", ("train",) * 4, "--groups puts all 4 photos into one group"),
    ],
)
def test_groups_that_do_not_what_they_are_for_are_said(pattern, splits, words):
    sources = [Source(f"a/p{person}_{index}.jpg", "a") for person in (1, 2) for index in (1, 2)]
    keys = group_keys(pattern, sources)
    found = group_warnings(keys, dict(zip(sources, splits, strict=True)))
    assert [sentence[: len(words or "")] for sentence in found] == ([words] if words else [])


def test_a_pattern_that_matches_nothing_of_a_path_makes_no_group():
    with pytest.raises(PrepareError, match="no photo's path has"):
        group_keys("(x)?", [Source("a/1.jpg", "a"), Source("b/1.jpg", "b")])
