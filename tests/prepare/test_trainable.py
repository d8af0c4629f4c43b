"""What train would refuse is refused by prepare; what a user should know is a warning."""

import os
import shutil
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from prepare.__main__ import main
from prepare.converted import Converted
from prepare.scan import PrepareError, Scan, Source
from prepare.trainable import check_trainable
from tests.support.photo_folders import photos, picture, rows, save
from tests.support.preparations import PHOTO


def prepared(source: Path, capsys, *options: str) -> tuple[int, str]:
    """The exit code, and what stderr says."""
    code = main([str(source), str(source.parent / "out"), "--workers", "1", *options])
    return code, capsys.readouterr().err


def break_class(source: Path) -> None:
    for path in (source / "b").iterdir():
        path.write_bytes(b"\xff\xd8\xff torn")


def other_classes(source: Path) -> None:
    for number, name in enumerate(("train/a", "train/b", "test/a", "test/c")):
        save(source / name / "1.jpg", picture(number))
    for name in ("a", "b"):
        shutil.rmtree(source / name)


def not_utf_8(source: Path) -> None:
    (source / "b").rename(source / os.fsdecode(b"b\xff"))


def alike(source: Path) -> None:
    (source / "b").rename(source / "A")


def only_videos(source: Path) -> None:
    shutil.rmtree(source / "b")
    (source / "b").mkdir()
    (source / "b/1.MOV").touch()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (break_class, "the class 'b' has lost all its photos (1), such as 'b/b 0.jpg'"),
        (other_classes, "the class 'c' is in the source's test, and not in its train; put"),
        (not_utf_8, "has a class 'b\\udcff' whose name is not UTF-8"),
        (alike, "has the classes 'A' and 'a', which look alike; give both one name"),
        (only_videos, "b' has no photo that can be read (1 file of other kinds (.mov): videos)"),
    ],
)
def test_a_set_that_train_refuses_is_refused_with_what_to_do(tmp_path, capsys, spoil, words):
    source = photos(tmp_path / "in", a=3, b=1)
    spoil(source)
    code, said = prepared(source, capsys)
    assert (code, said.count("\n")) == (1, 1)
    assert words in said
    assert not (tmp_path / "out").exists()


def test_one_class_left_names_the_rows_that_had_no_label(tmp_path, capsys):
    source = photos(tmp_path / "in", a=4)
    rows = [f"a {index}.jpg,{label}\n" for index, label in enumerate(["", "b", "", "b"])]
    (source / "labels.csv").write_text("file,label\n" + "".join(rows))
    code, said = prepared(source, capsys)
    assert code == 1
    assert "there is one class only ('b')" in said
    assert "2 left out, such as 'labels.csv, line 2': it has no label" in said


def test_photos_without_folders_are_named(tmp_path, capsys):
    source = photos(tmp_path / "in", a=2)
    code, said = prepared(source / "a", capsys)
    assert code == 1
    assert "holds 2 photos, but no folders of them" in said


def test_a_class_of_copies_is_refused():
    splits = {Source("a/1", "a"): "train", Source("a/2", "a"): "test", Source("b/1", "b"): "test"}
    found = {source: replace(PHOTO, pixels=source.path) for source in splits}
    found[Source("b/1", "b")] = replace(PHOTO, pixels="a/2")
    with pytest.raises(PrepareError, match="'b' would be in test alone: .* such as 'a/2' of 'a'"):
        check_trainable(Converted({}, {}, found, {}, Scan([])), splits)


def test_warnings(tmp_path, capsys):
    source = photos(tmp_path / "in", a=9, b=1)
    (source / "a/torn.jpg").write_bytes(b"\xff\xd8\xff torn")
    code, said = prepared(source, capsys, "--split", "0.8,0,0.2")
    assert code == 0
    assert said.splitlines() == [
        "prepare: warning: 1 of 11 photos (9 %) were left out; look at the reasons "
        "before you train",
        "prepare: warning: 1 class ('b') with one photo: it is learnt badly and measured nowhere; "
        "add photos",
        "prepare: warning: there are no validation photos; train takes its share of them off train",
    ]
    page = (tmp_path / "out/report.html").read_text()
    assert "1 of 11 photos (9 %) were left out" in page


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="a file that fails to be read")
def test_a_disk_that_fails_is_no_broken_photo(tmp_path, capsys):
    source = photos(tmp_path / "in", a=2, b=2)
    (source / "a/x.jpg").symlink_to("/proc/self/mem")  # to read its start is EIO
    code, said = prepared(source, capsys)
    assert code == 1
    assert said == f"prepare: failed: Input/output error (3 attempts): '{source}/a/x.jpg'\n"
    assert not (tmp_path / "out").exists()


def test_a_photo_of_several_labels_is_in_all_its_classes(tmp_path, capsys):
    source = photos(tmp_path / "in", images=4)
    names = sorted(path.name for path in (source / "images").iterdir())
    labels = ["a|b", "a", "b", "b|c"]
    lines = [f"{name},{own}" for name, own in zip(names, labels, strict=True)]
    (source / "labels.csv").write_text("\n".join(["file,label", *lines]))
    for _ in range(2):  # the second run finds the links of the first
        code, _ = prepared(source, capsys, "--split", "1,0,0")
        assert code == 0
    out = tmp_path / "out"
    counted = {path.name: len(list(path.iterdir())) for path in (out / "train").iterdir()}
    assert counted == {"a": 2, "b": 3, "c": 1}
    assert [row["class"] for row in rows(out)] == ["a|b", "a", "b", "b|c"]
    manifest = (out / "train.manifest").read_text().splitlines()
    assert '"class": [0, 1]' in manifest[0]
    assert "classification-multilabel" in manifest[1]


@pytest.mark.parametrize("kind", ["zip", "gztar", "tar", "xztar"])
def test_an_archive_is_prepared_as_its_folder_is(tmp_path, capsys, kind):
    photos(tmp_path / "in/set", a=2, b=2)
    archive = Path(shutil.make_archive(str(tmp_path / "photos"), kind, tmp_path / "in"))
    code = main([str(archive), str(tmp_path / "out"), "--workers", "1"])
    assert code == 0, capsys.readouterr().err
    assert len(rows(tmp_path / "out")) == 4
    left = sorted(path.name for path in tmp_path.iterdir() if path != archive)
    assert left == ["in", "out"]


def test_a_file_of_another_kind_is_refused(tmp_path, capsys):
    save(tmp_path / "x.jpg", picture(1))
    assert main([str(tmp_path / "x.jpg"), str(tmp_path / "out")]) == 1
    assert "is a file, and neither a zip or tar archive" in capsys.readouterr().err


def test_what_an_archive_cannot_give_is_named(tmp_path, capsys):
    source = photos(tmp_path / "in", a=2, b=2)
    (source / "a/link.jpg").symlink_to("a 1.jpg")
    with tarfile.open(tmp_path / "x.tar.bz2", "w:bz2") as tar:
        tar.add(source, ".")
    assert main([str(tmp_path / "x.tar.bz2"), str(tmp_path / "out"), "--workers", "1"]) == 0
    assert "left out: 'a/link.jpg': it is a symbolic link" in capsys.readouterr().out
    (tmp_path / "x.tar.zst").write_bytes(b"\x28\xb5\x2f\xfd" + bytes(9))
    assert main([str(tmp_path / "x.tar.zst"), str(tmp_path / "out")]) == 1
    assert "is compressed by Zstandard; unpack it" in capsys.readouterr().err
