import hashlib
import os
from pathlib import Path

import pytest

from bench.list_photos import check_epochs, measure, synthesise
from train.data import copies
from train.data.channels import read_channels
from train.job import JobError
from train.progress import Progress

SPLIT = (0.7, 0.1, 0.2)


def fill(folder: Path, **classes: int) -> Path:
    for name, count in classes.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for index in range(count):
            # No two files of a class are alike.
            (folder / name / f"{index:03}.jpg").write_bytes(b"x" * index)
    return folder


def test_channels_by_any_of_their_names(tmp_path):
    for names in (
        ("train", "validation", "test"),
        ("training", "valid", "test"),
        ("train", "val", "testing"),
    ):
        root = tmp_path / names[1]
        folders = {
            name: fill(root / name, a=count, b=count)
            for name, count in zip(names, (5, 2, 3), strict=True)
        }
        channels = read_channels(folders, SPLIT, 0)
        assert (len(channels.train), len(channels.validation), len(channels.test)) == (
            10,
            4,
            6,
        )
        assert channels.classes == ("a", "b")
        assert channels.train.labels == ((0,),) * 5 + ((1,),) * 5


def test_one_channel_is_split_by_seed_and_class(tmp_path):
    folder = fill(tmp_path / "photos", a=20, b=10, c=3)
    first, same, other = (read_channels({"photos": folder}, SPLIT, seed) for seed in (0, 0, 1))
    assert first == same
    # Another seed gives another split.
    assert first.test.paths != other.test.paths
    parts = [set(part.paths) for part in (first.train, first.validation, first.test)]
    assert sum(map(len, parts)) == 33
    assert len(set.union(*parts)) == 33
    for part in (first.train, first.validation, first.test):
        assert set(part.labels) == {(0,), (1,), (2,)}
    # Of each class its share, and at least one.
    assert (len(first.validation), len(first.test)) == (2 + 1 + 1, 4 + 2 + 1)


def test_a_channel_may_hold_all_three_parts(tmp_path):
    for name, count in (("train", 4), ("valid", 1), ("test", 2)):
        fill(tmp_path / "dogs" / name, a=count, b=count)
    channels = read_channels({"dogs": tmp_path / "dogs"}, SPLIT, 0)
    assert (len(channels.train), len(channels.validation), len(channels.test)) == (8, 2, 4)


def test_parts_in_any_case_and_classes_a_level_deeper(tmp_path, caplog):
    caplog.set_level("INFO")
    for name, count in (("TRAIN", 4), ("TEST", 2)):
        fill(tmp_path / "set" / name / "Images", a=count, b=count)
    (tmp_path / "set" / "TRAIN" / "Images" / "a" / "clip.mov").touch()
    channels = read_channels({"train": tmp_path}, (0.5, 0.5, 0), 0)
    assert channels.classes == ("a", "b")
    assert (len(channels.train), len(channels.validation), len(channels.test)) == (4, 4, 4)
    said = [record.getMessage() for record in caplog.records]
    assert "train, validation and test lie in 'set'" in said
    assert any(
        "passed by in the train channel: 1 file of other kinds (.mov)" in line for line in said
    )
    given = {"train": tmp_path / "set" / "TRAIN", "test": tmp_path / "set" / "TEST"}
    assert read_channels(given, (0.5, 0.5, 0), 0).classes == ("a", "b")


def test_classes_that_look_alike_across_channels_are_refused(tmp_path):
    folders = {"train": fill(tmp_path / "t", Cat=2, b=2), "test": fill(tmp_path / "e", cat=2, b=2)}
    with pytest.raises(JobError, match="the classes 'Cat' and 'cat', which look alike"):
        read_channels(folders, SPLIT, 0)


def test_a_missing_validation_is_taken_from_train_and_a_test_is_not_made_up(tmp_path):
    train, test, validation = (
        fill(tmp_path / "t", a=10, b=10),
        fill(tmp_path / "e", a=2, b=2),
        fill(tmp_path / "v", a=3, b=3),
    )
    channels = read_channels({"train": train, "test": test}, SPLIT, 0)
    assert (len(channels.train), len(channels.validation), len(channels.test)) == (18, 2, 4)
    channels = read_channels({"train": train, "validation": validation}, SPLIT, 0)
    assert (len(channels.train), len(channels.validation), len(channels.test)) == (20, 6, 0)


def test_a_class_of_one_photo_stays_in_train(tmp_path):
    channels = read_channels({"train": fill(tmp_path, a=1, b=5)}, SPLIT, 0)
    assert (0,) in channels.train.labels
    assert (0,) not in channels.test.labels


def test_the_fingerprint_follows_names_and_sizes(tmp_path):
    folder = fill(tmp_path, a=3, b=3)
    before = read_channels({"train": folder}, SPLIT, 0).fingerprint
    # The seed is no part of the photos.
    assert before == read_channels({"train": folder}, SPLIT, 7).fingerprint
    (folder / "a" / "000.jpg").write_bytes(b"changed")
    assert before != read_channels({"train": folder}, SPLIT, 0).fingerprint


def test_folders_below_a_class_belong_to_it_and_other_files_are_passed_by(tmp_path):
    fill(tmp_path / "train", a=1, b=1)
    fill(tmp_path / "train" / "a", inside=2)
    # What systems and people leave in folders.
    for name in ("a/.DS_Store", "a/notes.txt", "a/._000.jpg", "README.md"):
        (tmp_path / "train" / name).write_text("x")
    (tmp_path / "train" / "empty").mkdir()
    channels = read_channels({"train": tmp_path / "train"}, (1.0, 0.0, 0.0), 0)
    assert channels.classes == ("a", "b")
    assert channels.train.labels == ((0,), (0,), (0,), (1,))


def test_a_channel_of_weights_is_no_channel_of_photos(tmp_path):
    (tmp_path / "start").mkdir()
    assert len(
        read_channels(
            {"train": fill(tmp_path / "train", a=4, b=4), "start": tmp_path / "start"},
            SPLIT,
            0,
            {"start"},
        ).train
    )


def test_equal_files_in_several_classes_are_one_photo_with_several_labels(tmp_path):
    folder = fill(tmp_path, a=0, b=0, c=0)
    for name, contents in {"a": "123", "b": "234", "c": "2345"}.items():
        for content in contents:
            (folder / name / f"{name}{content}.jpg").write_text(content)
    channels = read_channels({"train": folder}, (1.0, 0.0, 0.0), 0, multi_label=True)
    labels = {
        path.read_text(): own
        for path, own in zip(channels.train.paths, channels.train.labels, strict=True)
    }
    assert labels == {"1": (0,), "2": (0, 1, 2), "3": (0, 1, 2), "4": (1, 2), "5": (2,)}
    assert len(read_channels({"train": folder}, (1.0, 0.0, 0.0), 0).train) == 10


def test_only_files_of_equal_size_are_read_to_find_copies(tmp_path, monkeypatch):
    folder = fill(tmp_path, a=3, b=4)
    (folder / "b" / "003.jpg").write_bytes(b"")  # no other has its size
    digest = copies._sha256

    def reading(path: Path) -> bytes:
        assert path.name != "003.jpg"
        return digest(path)

    monkeypatch.setattr(copies, "_sha256", reading)
    for name in "ab":
        (folder / name / "000.jpg").unlink()
    channels = read_channels({"train": folder}, (1.0, 0.0, 0.0), 0, multi_label=True)
    assert channels.train.labels == ((0, 1), (0, 1), (1,))


def test_photos_are_sorted_as_paths_and_the_fingerprint_stays_that_of_earlier_versions(tmp_path):
    """Checkpoints of earlier versions carry it."""
    names = [
        "a/x.jpg",
        "a/x-y.jpg",
        "a/x/1.jpg",
        "a/x-y/2.JPG",
        "a/é.png",
        "a/x/h/3.jpg",
        "b/z.webp",
    ]
    for number, name in enumerate(names):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(bytes(number))
    channels = read_channels({"train": tmp_path}, (1.0, 0.0, 0.0), 0)
    assert list(channels.train.paths) == sorted(tmp_path / name for name in names)
    lines = [
        f"train/{path.relative_to(tmp_path)}\0{path.stat().st_size}\n"
        for path in sorted(tmp_path / name for name in names)
    ]
    assert channels.fingerprint == hashlib.sha256("".join(lines).encode()).hexdigest()


def test_links_are_followed_and_a_circle_of_them_ends(tmp_path):
    fill(tmp_path / "train", a=2, b=2)
    fill(tmp_path / "elsewhere", c=3)
    (tmp_path / "train" / "a" / "more").symlink_to(tmp_path / "elsewhere" / "c")
    (tmp_path / "train" / "b" / "itself").symlink_to("itself")
    assert len(read_channels({"train": tmp_path / "train"}, (1.0, 0.0, 0.0), 0).train) == 7


def test_paths_and_labels_are_sequences(tmp_path):
    photos = read_channels({"train": fill(tmp_path, a=3, b=2)}, (1.0, 0.0, 0.0), 0).train
    everything = sorted(tmp_path.glob("*/*"))
    assert photos.paths[0] == everything[0]
    assert photos.paths[-1] == everything[-1]
    assert photos.paths[1:4] == everything[1:4]
    assert photos.labels[-2:] == ((1,), (1,))
    assert everything[3] in photos.paths
    assert photos.paths != everything[:4]
    chosen = photos.take([4, 0])
    assert list(zip(chosen.paths, chosen.labels, strict=True)) == [
        (everything[4], (1,)),
        (everything[0], (0,)),
    ]
    with pytest.raises(IndexError):
        photos.paths[5]


def test_a_name_that_is_no_text_is_a_photo_as_others_are(tmp_path):
    fill(tmp_path, a=1, b=1)
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/a/\xff.jpg")).write_bytes(b"photo")
    assert (
        # The byte is no UTF-8, and the file is read all the same.
        read_channels({"train": tmp_path}, (1.0, 0.0, 0.0), 0).train.paths[1].read_bytes()
        == b"photo"
    )


@pytest.mark.slow
def test_many_photos_take_some_tens_of_bytes_each(tmp_path):
    """bench/list_photos.py does it with a million."""
    synthesise(tmp_path / "photos", 50_000)
    (figures,) = measure(tmp_path / "photos", 1)
    assert figures["held_mb"] < 12 and figures["peak_mb"] < 16 and figures["seconds"] < 15, figures


@pytest.mark.verify
def test_the_processes_of_a_host_list_the_photos_once_and_share_them_out(tmp_path):
    """bench/list_photos.py does it with eight processes and as many photos as ImageNet has."""
    synthesise(tmp_path / "photos", 5000, 7)
    figures = measure(tmp_path / "photos", 3)
    assert sum(one["lists"] for one in figures) == 1
    assert len({one["photos"] for one in figures}) == 1
    rows = check_epochs(tmp_path, figures)
    assert "| 0, 0; " in rows[0]
    assert rows[-1].startswith("| the same photos after a restart in mid-epoch | yes, from step ")
    assert list((tmp_path / "photos").parent.glob(".shared-*")) == []


def test_long_work_logs_its_progress(caplog):
    caplog.set_level("INFO")
    # -1: each step is logged.
    unknown = Progress("listing", every_s=-1)
    known = Progress("comparing", 50, every_s=-1)
    seldom = Progress("hashing", 50)
    for progress in (unknown, known, seldom):
        progress.add(3)
    unknown.add(4)
    lines = [record.getMessage() for record in caplog.records]
    starts = [
        "progress: listing, 3 photos, ",
        "progress: comparing, 3 of 50 photos, ",
        "progress: listing, 7 photos, ",
    ]
    assert len(lines) == len(starts)
    for line, start in zip(lines, starts, strict=True):
        assert line.startswith(start)


@pytest.mark.parametrize(
    "channels, words",
    [
        ({}, "input/data lacks the channel train; found: none"),
        (
            {"validation": {"a": 1, "b": 1}, "test": {"a": 1}},
            "input/data lacks the channel train; found: test, validation",
        ),
        ({"train": {}}, "holds no photos"),
        ({"train": {"a": 0}}, "holds no photos"),
        ({"train": {"a": 3}}, "one class only ('a')"),
        ({"train": {"a": 3, "b": 3}, "test": {"c": 1}}, "class 'c' that the train channel has not"),
        ({"train": {"a": 3, "b": 3}, "validation": {}}, "the validation channel"),
        ({"train": {"a": 3}, "training": {"b": 3}}, "both mean train"),
    ],
)
def test_what_cannot_be_trained_on_is_one_clear_sentence(tmp_path, channels, words):
    folders = {}
    for name, classes in channels.items():
        (tmp_path / name).mkdir()
        folders[name] = fill(tmp_path / name, **classes)
    with pytest.raises(JobError) as caught:
        read_channels(folders, SPLIT, 0)
    assert words in str(caught.value)
