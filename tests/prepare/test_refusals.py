"""Wrong options, and sources and destinations that cannot be used: each is one clear sentence."""

import shutil
from pathlib import Path

import pytest

from prepare.__main__ import main
from tests.support.photo_folders import photos, run


def usage(arguments: list[object], capsys) -> str:
    with pytest.raises(SystemExit) as caught:
        main([str(argument) for argument in arguments])
    assert caught.value.code == 2
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--split", "a,b"], "three shares that add up to 1"),
        (["--split", "0.5,0.5,0.5"], "three shares"),
        (["--split", "0,0.5,0.5"], "train above 0"),
        (["--split", "1.2,-0.2,0"], "three shares"),
        (["--workers", "0"], "at least 1"),
        (["--on-bad", "panic"], "panic"),
        (["--s3-uri", "bucket"], "s3://"),
    ],
)
def test_wrong_options(tmp_path, capsys, options, words):
    assert words in usage([tmp_path / "in", tmp_path / "out", *options], capsys)


def test_source_and_destination_must_not_lie_in_each_other(tmp_path, capsys):
    # A preparation must not prepare its own output.
    for source, destination in (("a", "a/b"), ("a/b", "a"), ("a", "a")):
        assert "must not lie in each other" in usage(
            [tmp_path / source, tmp_path / destination], capsys
        )


def remove_source(source: Path, out: Path) -> None:
    shutil.rmtree(source)


def remove_classes(source: Path, out: Path) -> None:
    for path in source.iterdir():
        shutil.rmtree(path)


def break_photos(source: Path, out: Path) -> None:
    for path in source.rglob("*.jpg"):
        path.write_bytes(b"x")


def use_destination(source: Path, out: Path) -> None:
    # A folder of the user's, by mistake.
    out.mkdir()
    (out / "mine.txt").write_text("x")


def damage_state(source: Path, out: Path) -> None:
    out.mkdir()
    (out / "prepare.json").write_text("{}")


def write_file(source: Path, out: Path) -> None:
    out.write_text("a file")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (remove_source, "does not exist"),
        (remove_classes, "holds no photos"),
        (break_photos, "none of the 4 files"),
        (use_destination, "holds 'mine.txt', which prepare did not write"),
        (damage_state, "is not a file that this prepare wrote"),
        (write_file, "out"),
    ],
)
def test_a_preparation_that_cannot_be_is_one_clear_sentence(tmp_path, capsys, spoil, words):
    source = photos(tmp_path / "in", a=2, b=2)
    spoil(source, tmp_path / "out")
    assert run(source, tmp_path / "out") == 1
    said = capsys.readouterr().err.strip()
    assert words in said
    assert "\n" not in said
