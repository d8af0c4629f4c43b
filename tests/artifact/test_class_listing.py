"""Names of classes, links, and the files that lie beside photos."""

import os
import unicodedata
from pathlib import Path

import pytest

from artifact.folders.class_listing import class_listing, pass_by_rest
from artifact.folders.class_names import ClassNameError, check_class_names, class_name
from artifact.folders.layout import LayoutError
from artifact.folders.photo_tree import PassedBy
from tests.artifact.test_photo_layout import touch

DECOMPOSED = unicodedata.normalize("NFD", "Café")


def listed(folder: Path) -> tuple[dict[str, list[str]], PassedBy]:
    """Class to the sorted paths of its photos, and what was passed by."""
    passed = PassedBy()
    found = {}
    for entry in class_listing(folder, folder, passed):
        found[entry.name] = sorted(path for path, _ in entry.photos)
    pass_by_rest(folder, [folder], passed)
    return found, passed


def test_names_of_one_class_are_one():
    assert {class_name(name) for name in ("Café", DECOMPOSED, " Café ")} == {"Café"}
    assert class_name("a  b") == class_name("a\u00a0b") == "a b"


@pytest.mark.parametrize(
    "other", ["cat", "CAT", "C\u200bat", "\uff23at", "Cat\ufe0f", "Ca\u034ft", "Cat\u3164"]
)
def test_classes_that_look_alike_are_refused_by_name(other):
    with pytest.raises(ClassNameError, match="which look alike"):
        check_class_names(["Cat", class_name(other)], "the source")
    check_class_names(["Cat", "Cats"], "the source")


def test_folders_of_one_class_are_merged(tmp_path):
    touch(tmp_path, "Café/1.jpg", f"{DECOMPOSED}/2.jpg", "b/3.jpg")
    found, _ = listed(tmp_path)
    assert found == {"Café": sorted(["Café/1.jpg", f"{DECOMPOSED}/2.jpg"]), "b": ["b/3.jpg"]}


def test_what_lies_beside_photos_is_counted_as_what_it_is(tmp_path):
    touch(
        tmp_path,
        *("a/1.JPG", "a/2.mov", "a/3.MOV", "a/1.AAE", "a/1.xmp", "a/Thumbs.db", "a/ehthumbs.db"),
        *("a/@eaDir/1.jpg", "a/.ipynb_checkpoints/1.jpg", "#recycle/1.jpg", "$RECYCLE.BIN/1.jpg"),
        *("a/._1.jpg", "loose.jpg"),
    )
    (tmp_path / "a" / "script").write_text("#!/bin/sh")
    found, passed = listed(tmp_path)
    assert found == {"a": ["a/1.JPG"]}
    assert passed.by_kind() == {
        "videos": 2,
        "sidecar files": 2,
        "system files": 2,
        "system folders": 3,
        "hidden files": 1,
        "hidden folders": 1,
        "no photos by their first bytes": 1,
        "photos outside of the folders of classes": 1,
    }
    assert passed.sentence().startswith("9 files of other kinds (.aae, ")
    only = PassedBy()
    for _ in range(12):
        only.add("a/x.mov", "videos", ".mov")
    assert only.sentence() == "12 files of other kinds (.mov): videos"


def test_a_file_without_suffix_is_what_its_first_bytes_say(tmp_path):
    touch(tmp_path, "a/1.jpg")
    (tmp_path / "a" / "2").write_bytes(b"\xff\xd8\xff\xe0 more")
    (tmp_path / "a" / "DSC.2019.05").write_bytes(b"\x89PNG\r\n\x1a\n")
    (tmp_path / "a" / "3").write_bytes(b"<annotation>")
    found, _ = listed(tmp_path)
    assert found == {"a": ["a/1.jpg", "a/2", "a/DSC.2019.05"]}


def test_links_end_and_no_photo_comes_twice(tmp_path):
    top = tmp_path / "in"
    touch(top, "a/1.jpg", "b/2.jpg", "a/.store/4.jpg")
    touch(tmp_path, "out/3.jpg", "round/deep/5.jpg")
    (top / "a" / "up").symlink_to("..")
    (top / "a" / "here").symlink_to(".")
    (top / "a" / "aside").symlink_to("../b")
    (top / "a" / "kept").symlink_to(".store")
    (top / "a" / "out").symlink_to(tmp_path / "out")
    (top / "a" / "circle").symlink_to("circle")
    (top / "a" / "gone.jpg").symlink_to(".git/annex/objects/x")
    (top / "a" / "2.jpg").symlink_to("../b/2.jpg")
    (top / "c").symlink_to("a")
    (top / "b" / "round").symlink_to(tmp_path / "round")
    (tmp_path / "round" / "deep" / "round").symlink_to(tmp_path / "round")
    os.mkfifo(top / "b" / "fifo.jpg")
    found, passed = listed(top)
    assert found == {
        "a": ["a/1.jpg", "a/2.jpg", "a/kept/4.jpg", "a/out/3.jpg"],
        "b": ["b/2.jpg", "b/round/deep/5.jpg"],
    }
    assert sorted(passed.links) == ["a/aside", "a/here", "a/up", "b/round/deep/round", "c"]
    assert sorted(passed.unreadable) == ["a/circle", "a/gone.jpg", "b/fifo.jpg"]
    assert "git annex get" in passed.unreadable["a/gone.jpg"]


@pytest.mark.parametrize("name", ["1.mov", "1.cr2", "1.psd"])
def test_a_class_that_lost_all_its_photos_is_named(tmp_path, name):
    touch(tmp_path, "a/1.jpg", f"b/{name}")
    with pytest.raises(LayoutError, match=r"b' has no photo that can be read \(1 file of other"):
        listed(tmp_path)


def test_a_folder_of_texts_or_nothing_is_no_class(tmp_path):
    touch(tmp_path, "a/1.jpg", "notes/x.txt", "notes/.DS_Store")
    (tmp_path / "empty").mkdir()
    found, _ = listed(tmp_path)
    assert [name for name, photos in found.items() if photos] == ["a"]
