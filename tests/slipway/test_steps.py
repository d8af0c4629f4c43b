"""The steps that the demo and a project share: what a training must leave."""

import os

import pytest

from runtime.errors import RunError
from runtime.own_images import make_ready
from slipway.project import Results
from slipway.steps import channels_of, measured_accuracy, run_module


def test_accuracies_that_were_measured(tmp_path):
    (tmp_path / "ml/model").mkdir(parents=True)
    text = '{"accuracy": {"test": 0.5, "validation": null, "precision": "int8"}}'
    (tmp_path / "ml/model/model.json").write_text(text)
    assert measured_accuracy(Results(tmp_path)) == {"test": 0.5}


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"accuracy": 1}', "{" * 100])
def test_a_model_json_without_accuracies_is_told(tmp_path, text):
    (tmp_path / "ml/model").mkdir(parents=True)
    (tmp_path / "ml/model/model.json").write_text(text)
    with pytest.raises(RunError, match="left no accuracy in model/model.json"):
        measured_accuracy(Results(tmp_path))


def test_no_link_of_a_container_is_followed(tmp_path):
    (tmp_path / "ml/model").mkdir(parents=True)
    (tmp_path / "mine.json").write_text('{"accuracy": {"test": 0.5}}')
    os.symlink(tmp_path / "mine.json", tmp_path / "ml/model/model.json")
    with pytest.raises(RunError, match="leads out of"):
        measured_accuracy(Results(tmp_path))


def test_channels_are_the_folders_with_photos(tmp_path):
    (tmp_path / "train/red").mkdir(parents=True)
    (tmp_path / "train/red/1.jpg").write_bytes(b"x")
    (tmp_path / "test/red").mkdir(parents=True)
    assert channels_of(tmp_path) == {"train": tmp_path / "train"}


def test_a_process_needs_its_packages():
    make_ready("process", "train", "json")
    with pytest.raises(RunError, match="needs 'no_such_module', which it lacks; type: make -C '"):
        make_ready("process", "train", "no_such_module")


def test_a_step_that_fails_is_named():
    with pytest.raises(RunError, match="prepare ended with code 2"):
        run_module("prepare", "--nothing")
