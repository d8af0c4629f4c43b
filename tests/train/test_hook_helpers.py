"""The debugger's settings, folders, names and words, without smdebug."""

import pytest
import torch

from recipes.hyperparameters import Hyperparameters
from train.job import Job
from train.observers import _debug_settings
from train.recording.debug_settings import DebugSettings
from train.recording.hooks import _sentence, _single_labels, local_path, set_aside
from train.recording.module_names import name_with_kind


def settings(**values) -> Hyperparameters:
    return Hyperparameters(**values)


def test_the_debuggers_hyperparameters():
    assert _debug_settings(settings()) is None
    hp = settings(
        debug=True,
        debug_collections=" weights,, samples",
        debug_train_interval=3,
        debug_eval_interval=4,
        debug_predict_interval=5,
        debug_sample=6,
    )
    assert _debug_settings(hp) == DebugSettings(("weights", "samples"), 3, 4, 5, 6)


@pytest.mark.parametrize(
    "labels, expected",
    [
        ([2, 0], [2, 0]),
        ([[0.0, 1.0], [1.0, 0.0]], [1, 0]),
        # Mixed labels that still have one largest.
        ([[0.5, 1.0]], [1]),
        ([[0.6, 1.0]], None),
        ([[0.0, 1.0], [1.0, 1.0]], None),
    ],
)
def test_labels_of_several_classes_are_not_saved(labels, expected):
    found = _single_labels(torch.tensor(labels))
    if expected is None:
        assert found is None
    else:
        assert found is not None
        assert found.tolist() == expected


def test_the_folder_of_saved_tensors(tmp_path):
    job = Job(tmp_path)
    assert local_path(job, None) == tmp_path / "output/tensors"
    assert local_path(job, "/opt/ml/elsewhere") == tmp_path / "elsewhere"


def test_an_earlier_runs_tensors_are_set_aside_and_only_the_last_are_kept(tmp_path):
    folder = tmp_path / "tensors"
    set_aside(folder)
    assert list(tmp_path.iterdir()) == []
    for number in ("1", "2"):
        (folder / "events").mkdir(parents=True)
        (folder / "events" / number).write_text("x")
        # What is not the hook's stays.
        (folder / "of-the-user").write_text("x")
        set_aside(folder)
    assert [path.name for path in folder.iterdir()] == ["of-the-user"]
    previous = tmp_path / "tensors.previous"
    assert [path.name for path in previous.iterdir()] == ["events"]
    assert [path.name for path in (previous / "events").iterdir()] == ["2"]


def test_faults_of_the_hook_in_a_line():
    missing = ModuleNotFoundError("No module named 'smdebug'", name="smdebug")
    assert _sentence(missing) == (
        "the package 'smdebug' is not installed (smdebug==1.0.34 is what saves tensors)"
    )
    assert _sentence(ValueError("first\nsecond")) == "ValueError: first"
    assert _sentence(ValueError()) == "ValueError: no message"


@pytest.mark.parametrize(
    "name, kind, expected",
    [
        ("features.1", "relu", "features.1.relu"),
        # The name says it already.
        ("layer1.0.relu", "relu", "layer1.0.relu"),
        ("relu1", "relu", "relu1"),
        ("relu.1", "relu", "relu.1.relu"),
        ("features.1", None, "features.1"),
    ],
)
def test_names_say_the_kind_of_an_activation(name, kind, expected):
    assert name_with_kind(name, kind) == expected
