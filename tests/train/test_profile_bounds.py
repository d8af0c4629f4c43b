"""The settings of the profile and of the debugger at their bounds."""

import json

import pytest

from train.job import Job, JobError
from train.recording.debug_settings import DebugSettings, _saved
from train.recording.profile_settings import ProfileSettings, read_settings


def config(root, **values) -> Job:
    (root / "input/config").mkdir(parents=True, exist_ok=True)
    (root / "input/config/profilerconfig.json").write_text(json.dumps(values))
    return Job(root)


def test_the_settings_by_default(tmp_path):
    assert ProfileSettings(tmp_path) == ProfileSettings(
        tmp_path, 500, 10_485_760, 60, "algo-1", 0, None
    )
    read = read_settings(Job(tmp_path), tmp_path, asked=False, steps=(0, 0))
    assert read == ProfileSettings(tmp_path, steps=(0, 0))
    assert DebugSettings() == DebugSettings(
        ("gradients", "weights", "activations", "samples"), 10, 1, 1, 512
    )


@pytest.mark.parametrize("interval", [100, 200, 500, 1000, 5000, 60000])
def test_the_intervals_that_sagemaker_allows(tmp_path, interval):
    job = config(tmp_path, ProfilingIntervalInMilliseconds=interval)
    settings = read_settings(job, tmp_path, asked=True)
    assert settings is not None
    assert settings.interval_ms == interval


@pytest.mark.parametrize("given, expected", [("1", 1), (1, 1), ("2.5", 2), (0, 60), ("", 60)])
def test_whole_numbers(tmp_path, given, expected):
    job = config(tmp_path, ProfilingParameters={"RotateFileCloseIntervalInSeconds": given})
    settings = read_settings(job, tmp_path, asked=False)
    assert settings is not None
    assert settings.rotate_s == expected


@pytest.mark.parametrize("given", ["0", "-1", "0.9", "often", "inf", "nan", [1]])
def test_numbers_that_cannot_be_used(tmp_path, given):
    job = config(tmp_path, ProfilingParameters={"RotateFileCloseIntervalInSeconds": given})
    with pytest.raises(JobError) as caught:
        read_settings(job, tmp_path, asked=False)
    assert str(caught.value) == (
        "profilerconfig.json: RotateFileCloseIntervalInSeconds must be a whole number above 0; "
        f"found '{given}'"
    )


@pytest.mark.parametrize(
    "collections, sample, names",
    [
        ((), 512, []),
        (("gradients",), 512, ["gradients"]),
        (("weights", "biases"), 512, ["weights", "biases"]),
        (
            ("activations",),
            512,
            ["relu_input", "relu_activity", "tanh_input", "sigmoid_input"],
        ),
        (("activations",), 0, ["relu_input", "relu_output", "tanh_input", "sigmoid_input"]),
        (("samples",), 512, ["labels", "predictions", "inputs"]),
    ],
)
def test_the_saved_collections(collections, sample, names):
    saved = list(_saved(DebugSettings(collections, sample=sample), "ResNet"))
    assert [entry.collection for entry in saved] == names
    assert [entry.collection for entry in saved if not entry.values] == [
        name for name in names if name == "relu_input"
    ]
