"""How people lay out photos: where the classes lie, in every case and depth."""

from pathlib import Path

import pytest

from artifact.folders.layout import LayoutError, layout_of


def touch(folder: Path, *paths: str) -> Path:
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).touch()
    return folder


@pytest.mark.parametrize(
    ("paths", "parts"),
    [
        (["a/1.jpg", "b/1.jpg"], {"": "."}),
        (["a/1.jpg"], {"": "."}),
        (["a/2019/1.jpg", "a/x.jpg"], {"": "."}),
        (["images/Images/a/1.jpg", "images/Images/b/1.jpg"], {"": "images/Images"}),
        (["set/a/1.jpg", "set/b/1.jpg", "notes/x.txt"], {"": "set"}),
        (["set/a/1.jpg", "set/b/1.jpg", "@eaDir/a/1.jpg"], {"": "set"}),
        (["a/1.jpg", "b/1.mov"], {"": "."}),  # b has lost its photos
        (["TRAIN/a/1.jpg", "TEST/a/1.jpg"], {"train": "TRAIN", "test": "TEST"}),
        (["set/Train/a/1.jpg", "set/Val/a/1.jpg"], {"train": "set/Train", "validation": "set/Val"}),
        (
            ["train/Images/a/1.jpg", "train/Images/b/1.jpg", "test/Images/a/1", "test/Images/b/1"],
            {"train": "train/Images", "test": "test/Images"},
        ),
        (["train/a/1.jpg", "train/b/1.jpg", "test/a/x/1.jpg"], {"train": "train", "test": "test"}),
        (["train/a/1.jpg", "test/a/1.jpg", "docs/x.md"], {"train": "train", "test": "test"}),
        (["bus/1.jpg", "train/1.jpg"], {"": "."}),  # train is a class
        (["bus/1.jpg", "test_set/1.jpg"], {"": "."}),
        (
            ["training_set/a/1.jpg", "test_set/a/1.jpg"],
            {"train": "training_set", "test": "test_set"},
        ),
        (["train2017/a/1.jpg", "val2017/a/1.jpg"], {"train": "train2017", "validation": "val2017"}),
        (
            ["seg_train/seg_train/a/1.jpg", "seg_train/seg_train/b/1.jpg", "seg_pred/1.jpg"]
            + ["seg_test/seg_test/a/1.jpg", "seg_test/seg_test/b/1.jpg"],
            {"train": "seg_train/seg_train", "test": "seg_test/seg_test"},
        ),
        (
            ["training/a/1.jpg", "dev/a/1.jpg", "evaluation/a/1.jpg"],
            {"train": "training", "validation": "dev", "test": "evaluation"},
        ),
        (["train station/1.jpg", "test tube/1.jpg"], {"": "."}),
    ],
)
def test_where_the_classes_lie(tmp_path, paths, parts):
    found = layout_of(touch(tmp_path, *paths))
    assert {role: str(path.relative_to(tmp_path)) for role, path in found.parts.items()} == parts
    assert bool(found.said) == any(part.startswith(("images", "set")) for part in parts.values())


@pytest.mark.parametrize("names", [("validation", "test"), ("VAL", "Testing")])
def test_parts_of_a_split_without_train_are_no_classes(tmp_path, names):
    touch(tmp_path, *(f"set/{name}/{label}/1.jpg" for name in names for label in "ab"))
    with pytest.raises(LayoutError, match=r"holds parts of a split \(.*\) and no train"):
        layout_of(tmp_path)


def test_a_class_may_be_called_test_or_valid(tmp_path):
    touch(tmp_path, "valid/1.jpg", "invalid/1.jpg")
    assert set(layout_of(tmp_path).parts) == {""}
    touch(tmp_path, "test/1.jpg")
    assert set(layout_of(tmp_path).parts) == {""}


def test_two_folders_of_one_part_are_refused(tmp_path):
    with pytest.raises(LayoutError, match="val and valid, which both mean validation"):
        layout_of(touch(tmp_path, "train/a/1.jpg", "val/a/1.jpg", "valid/a/1.jpg"))


def test_annotations_without_suffix_are_no_class(tmp_path):
    touch(tmp_path, "images/Images/a/1.jpg", "images/Images/b/1.jpg", "annotations/a/1")
    (tmp_path / "annotations/a/1").write_text("<annotation>")
    assert layout_of(tmp_path).parts == {"": tmp_path / "images/Images"}


@pytest.mark.parametrize("part", ["test", "Valid", "test_images"])
def test_parts_of_a_split_within_the_classes_are_refused(tmp_path, part):
    train = "train_images" if part == "test_images" else "train"
    touch(tmp_path, f"dog/{train}/1.jpg", f"dog/{part}/2.jpg", f"cat/{train}/1.jpg")
    words = rf"the class 'dog' holds parts of a split .{train} and {part}.; .*'{train}/dog'"
    with pytest.raises(LayoutError, match=words):
        layout_of(tmp_path)


@pytest.mark.parametrize(
    "paths",
    [
        ["animals/dog/1.jpg", "animals/cow/1.jpg", "cat/1.jpg"],
        ["animals/dog/1.jpg", "cat/1.jpg"],
        ["animals/dog/1.jpg", "animals/cow/1.jpg", "plants/rose/1.jpg"],
        ["train/animals/dog/1.jpg", "train/cat/1.jpg", "test/cat/1.jpg"],
    ],
)
def test_a_class_of_several_folders_is_said(tmp_path, paths):
    assert layout_of(touch(tmp_path, *paths)).said == (
        "the photos of all folders in 'animals' are of one class each, named so"
    )
