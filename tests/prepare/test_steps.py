"""A preparation in two steps, as several machines take it: shards, then one join."""

import json
import shutil
from pathlib import Path

import pytest

from tests.support.photo_folders import photos, picture, rows, run, save, tree


def untimed(folder: Path) -> dict[str, str]:
    """The hash of each file but the state, which has the sources' times."""
    return {name: digest for name, digest in tree(folder).items() if name != "prepare.json"}


@pytest.mark.slow
def test_shards_and_a_join_make_what_one_run_makes(tmp_path):
    source = photos(tmp_path / "in", a=10, b=7)
    save(source / "a/alpha.png", picture(50, "RGBA"))
    shutil.copy(source / "a/a 1.jpg", source / "b/copy.jpg")
    (source / "b/torn.jpg").write_bytes(b"half")
    (source / "notes.txt").write_text("x")
    whole = tmp_path / "whole"
    assert run(source, whole) == 0
    shards = tmp_path / "shards"
    for number in (1, 2, 3):
        target = shards / f"machine {number}"
        assert run(source, target, "--step", "shard", "--part", f"{number}/3") == 0
        names = {path.name.partition("-")[0] for path in target.iterdir()}
        assert names == {"photos", "shard"}  # no split, lists or report
    before = tree(shards)
    joined = tmp_path / "joined"
    assert run(shards, joined, "--step", "join") == 0
    assert tree(joined) == tree(whole)
    assert tree(shards) == before
    assert run(shards, joined, "--step", "join") == 0
    assert tree(joined) == tree(whole)


@pytest.mark.slow
def test_shards_in_one_folder_do_not_meet(tmp_path):
    source = photos(tmp_path / "in", a=5, b=4)
    for number in (1, 2):
        arguments = ("--step", "shard", "--part", f"{number}/2")
        assert run(source, tmp_path / "shards", *arguments) == 0
    assert run(tmp_path / "shards", tmp_path / "joined", "--step", "join") == 0
    assert len(rows(tmp_path / "joined")) == 9


@pytest.mark.slow
def test_a_machine_that_sees_its_files_alone_writes_its_shard(tmp_path):
    """As SageMaker deals the objects of an input out to machines: ShardedByS3Key."""
    source = photos(tmp_path / "in", a=4, b=4)
    whole = tmp_path / "whole"
    run(source, whole)
    for index, path in enumerate(sorted(source.rglob("*.jpg"))):
        part = tmp_path / f"seen {index % 2}" / path.relative_to(source)
        part.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, part)
    for index in (0, 1):
        run(tmp_path / f"seen {index}", tmp_path / f"shards/{index}", "--step", "shard")
    assert run(tmp_path / "shards", tmp_path / "joined", "--step", "join") == 0
    assert untimed(tmp_path / "joined") == untimed(whole)


def no_shard(folder: Path) -> None:
    for path in folder.glob("shard-*.json"):
        path.unlink()


def torn_list(folder: Path) -> None:
    next(folder.glob("shard-*.json")).write_text("{")


def short_signatures(folder: Path) -> None:
    next(folder.glob("shard-*.npy")).write_bytes(b"x")


def lost_photo(folder: Path) -> None:
    next((folder / "photos").iterdir()).unlink()


def second_copy(folder: Path) -> None:
    shutil.copytree(folder, folder / "again")


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (no_shard, "holds no shards; write them with --step shard"),
        (torn_list, "is not a whole shard"),
        (short_signatures, "is not a whole shard"),
        (lost_photo, "is missing; copy the whole shards"),
        (second_copy, "and so does another shard"),
    ],
)
def test_shards_that_are_not_whole_are_refused(tmp_path, capsys, harm, words):
    source = photos(tmp_path / "in", a=2)
    run(source, tmp_path / "shards", "--step", "shard")
    harm(tmp_path / "shards")
    assert run(tmp_path / "shards", tmp_path / "joined", "--step", "join") == 1
    assert words in capsys.readouterr().err
    assert not (tmp_path / "joined").exists()


def test_shards_of_two_layouts_are_refused(tmp_path, capsys):
    run(photos(tmp_path / "one", a=2), tmp_path / "shards/1", "--step", "shard")
    run(photos(tmp_path / "two/train", a=2).parent, tmp_path / "shards/2", "--step", "shard")
    assert run(tmp_path / "shards", tmp_path / "joined", "--step", "join") == 1
    assert "let each machine see the whole folder" in capsys.readouterr().err


def test_a_shard_spares_a_folder_of_other_files(tmp_path, capsys):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").write_text("x")
    arguments = (photos(tmp_path / "in", a=2), tmp_path / "mine", "--step", "shard")
    assert run(*arguments) == 1
    assert "holds 'thesis.txt'" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("part", ["0/2", "3/2", "1", "a/b", "1/0"])
def test_a_part_is_one_of_several(tmp_path, capsys, part):
    with pytest.raises(SystemExit):
        run(tmp_path / "in", tmp_path / "out", "--part", part)
    assert "must be a part such as 1/4" in capsys.readouterr().err


def test_broken_photos_end_a_join_by_its_own_option(tmp_path, capsys):
    source = photos(tmp_path / "in", a=3)
    (source / "a/torn.jpg").write_bytes(b"half")
    run(source, tmp_path / "shards", "--step", "shard")
    capsys.readouterr()
    arguments = (tmp_path / "shards", tmp_path / "out", "--step", "join", "--on-bad", "fail")
    assert run(*arguments) == 1
    assert "1 broken photos" in capsys.readouterr().err
    shards = sorted((tmp_path / "shards").glob("shard-*.json"))
    assert [entry[0] for entry in json.loads(shards[0].read_text())["broken"]] == ["a/torn.jpg"]
