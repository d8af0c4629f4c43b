"""The artifact's folder: names, modes, leftovers, and disks that cannot promise anything."""

import errno
import json
import math
import os
import re
from pathlib import Path

import pytest

from artifact.model import (
    ArtifactError,
    Description,
    atomic_file,
    discard_unfinished,
    read_description,
    write_atomically,
)
from artifact.photos.preprocessing import Preprocessing


def write_json(folder: Path, **values: object) -> None:
    """A model.json of the fewest fields, changed by these, beside an empty graph."""
    least = {
        "format_version": 1,
        "classes": ["a", "b"],
        "architecture": "resnet18",
        "preprocessing": {"resize": 36, "crop": 32},
    }
    (folder / "model.json").write_text(json.dumps({**least, **values}))
    (folder / "model.onnx").touch()


def test_fields_may_be_left_out(tmp_path):
    write_json(tmp_path)
    description = read_description(tmp_path)
    assert description == Description(("a", "b"), Preprocessing(36, 32), "resnet18")
    assert description.head == ()
    assert description.temperature == 1.0
    assert description.multi_label is False
    assert description.quantization == {}


@pytest.mark.parametrize("name", ["classes", "architecture", "preprocessing"])
def test_fields_that_are_needed_are_named(tmp_path, name):
    write_json(tmp_path)
    values = json.loads((tmp_path / "model.json").read_text())
    del values[name]
    (tmp_path / "model.json").write_text(json.dumps(values))
    with pytest.raises(ArtifactError, match=f"expected accuracy, .*{name}"):
        read_description(tmp_path)


@pytest.mark.parametrize(
    "classes", ["ab", ["a"], [1, 2], ["a", "b", "a"], {"a": 0, "b": 1}, ["a", "\ud800"]]
)
def test_classes_are_two_or_more_different_names(tmp_path, classes):
    write_json(tmp_path, classes=classes)
    with pytest.raises(ArtifactError, match="expected a list of two or more different names"):
        read_description(tmp_path)


@pytest.mark.parametrize("temperature", [0, -1, float("nan"), float("inf"), "1", None, True])
def test_a_temperature_is_a_number_above_0(tmp_path, temperature):
    write_json(tmp_path, temperature=temperature)
    with pytest.raises(ArtifactError, match="does not work: temperature"):
        read_description(tmp_path)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a": ' * 65 + "1" + "}" * 65])
def test_a_deep_description_is_one_sentence(tmp_path, text):
    write_json(tmp_path)
    (tmp_path / "model.json").write_text(text)
    with pytest.raises(ArtifactError, match="is not readable JSON"):
        read_description(tmp_path)


def test_a_description_of_millions_of_values_is_not_read(tmp_path):
    write_json(tmp_path, provenance={"seeds": [{}] * 600_000})
    with pytest.raises(ArtifactError, match="it has more than 500,000 values"):
        read_description(tmp_path)


def test_a_description_of_gigabytes_is_not_read(tmp_path):
    write_json(tmp_path)
    os.truncate(tmp_path / "model.json", 5 * 2**30)
    with pytest.raises(ArtifactError, match="has more than 32 MB"):
        read_description(tmp_path)


def test_a_kept_int8_model_must_be_there(tmp_path):
    write_json(tmp_path, quantization={"kept": True})
    with pytest.raises(ArtifactError, match=r"holds no model\.int8\.xml"):
        read_description(tmp_path)
    (tmp_path / "model.int8.xml").touch()
    with pytest.raises(ArtifactError, match=r"holds no model\.int8\.bin"):
        read_description(tmp_path)
    (tmp_path / "model.int8.bin").touch()
    assert read_description(tmp_path).quantization == {"kept": True}


def test_ten_files_of_a_wrong_folder_are_shown(tmp_path):
    for letter in "lkjihgfedcba":
        (tmp_path / letter).touch()
    with pytest.raises(ArtifactError, match="found: a, b, c, d, e, f, g, h, i, j; expected"):
        read_description(tmp_path)


def test_a_file_that_cannot_be_read_is_named_with_the_reason(tmp_path, monkeypatch):
    def failing(path: Path, encoding: str) -> str:
        raise OSError(errno.EIO, "Input/output error")

    write_json(tmp_path)
    monkeypatch.setattr(Path, "read_text", failing)
    with pytest.raises(ArtifactError, match=r"cannot be read \(Input/output error\)"):
        read_description(tmp_path)


def test_every_user_may_read_what_was_written(tmp_path):
    write_atomically(tmp_path / "file", b"data")
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o644


def test_the_unfinished_file_may_lie_elsewhere(tmp_path):
    beside = tmp_path / "beside"
    beside.mkdir()
    with atomic_file(tmp_path / "file", beside) as file:
        assert Path(file.name).parent == beside
        assert Path(file.name).name.startswith(".file.")
        assert not (tmp_path / "file").exists()
    assert (tmp_path / "file").exists()
    assert not any(beside.iterdir())


@pytest.mark.parametrize(
    "code, raised",
    [(errno.EINVAL, False), (errno.ENOTSUP, False), (errno.EIO, True), (errno.ENOSPC, True)],
)
def test_a_disk_that_cannot_promise_names_is_taken_and_a_broken_one_is_not(
    tmp_path, monkeypatch, code, raised
):
    calls: list[int] = []
    closed: list[int] = []
    close = os.close

    def fsync(handle: int) -> None:
        calls.append(handle)
        if len(calls) == 2:  # the first is of the file, the second of its folder
            raise OSError(code, os.strerror(code))

    def closing(handle: int) -> None:
        closed.append(handle)
        close(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "close", closing)
    if raised:
        with pytest.raises(OSError, match=os.strerror(code)):
            write_atomically(tmp_path / "file", b"data")
    else:
        write_atomically(tmp_path / "file", b"data")
    assert calls[1] in closed
    assert (tmp_path / "file").read_bytes() == b"data"


def test_what_killed_writers_left_is_removed_and_nothing_else(tmp_path):
    (tmp_path / ".folder.slipway-tmp").mkdir()
    (tmp_path / ".folder.slipway-tmp" / "inside").touch()
    (tmp_path / ".file.slipway-tmp").touch()
    (tmp_path / "shown.slipway-tmp").touch()
    (tmp_path / ".hidden").touch()
    discard_unfinished(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"shown.slipway-tmp", ".hidden"}


def test_another_process_may_be_quicker_to_remove_them(tmp_path, monkeypatch):
    listed = [tmp_path / ".gone.slipway-tmp", tmp_path / ".file.slipway-tmp"]
    listed[1].touch()
    monkeypatch.setattr(Path, "glob", lambda *_: iter(listed))
    discard_unfinished(tmp_path)
    assert not listed[1].exists()


@pytest.mark.parametrize(
    "changed, sentence",
    [
        ({"architecture": 5}, "has architecture 5; expected a name"),
        ({"accuracy": 5}, "has accuracy 5; expected an object"),
        ({"accuracy": {"test": math.nan}}, "accuracy nan of 'test'; expected a number from 0 to 1"),
        ({"accuracy": {"test": "<b>"}}, "accuracy '<b>' of 'test'"),
        ({"provenance": "x"}, "has provenance 'x'; expected an object"),
        # more than a float holds
        ({"temperature": 10**400}, "expected a number above 0"),
        ({"known": {"threshold": 10**400}}, "of known; expected a number"),
        ({"probe": {"photos": 1, "bound": 10**400, "machine": "m"}}, "expected its photos"),
        ({"head": [1e400]}, "a value that does not work: cannot convert float infinity"),
        ({"classes": ["a"] * 100_000}, "expected a list of two or more different names"),
    ],
)
def test_a_value_of_another_kind_is_one_short_sentence(tmp_path, changed, sentence):
    write_json(tmp_path, **changed)
    with pytest.raises(ArtifactError, match=re.escape(sentence)) as caught:
        read_description(tmp_path)
    assert len(str(caught.value)) < 1000
