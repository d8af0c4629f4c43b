"""The hook's settings: from SageMaker's debughookconfig.json, from the environment, or none."""

import json
import sys

import pytest

from tests.support.watched_training import photos, read, small_network, warnings_of, watch
from train.job import Job
from train.recording.debug_settings import DebugSettings, losses_alone
from train.recording.hooks import config_file, open_hook

pytestmark = pytest.mark.training

EVERY = DebugSettings(train_interval=1)
SAGEMAKER = {
    "S3OutputPath": "s3://bucket/debug",
    "LocalPath": "/opt/ml/output/tensors",
    "HookParameters": {"train.save_interval": "2", "eval.save_interval": "1"},
    "CollectionConfigurations": [
        {"CollectionName": "gradients", "CollectionParameters": None},
        {"CollectionName": "losses", "CollectionParameters": None},
        {
            "CollectionName": "relu_in",
            "CollectionParameters": {"include_regex": ".*relu_input", "save_interval": "5"},
        },
    ],
    "DebugHookSpecification": None,
}


def test_sagemakers_configuration_is_followed(tmp_path):
    config = tmp_path / "input" / "config"
    config.mkdir(parents=True)
    (config / "debughookconfig.json").write_text(json.dumps(SAGEMAKER))
    watch(tmp_path, small_network(), settings=None)
    trial = read(tmp_path)
    assert trial.tensor("gradient/Sequential_3.weight").steps() == list(range(0, 20, 2))
    assert trial.tensor("gradient/Sequential_3.weight").value(2).shape == (8, 8, 3, 3)
    assert trial.tensor("2.relu_input_0").steps() == [0, 5, 10, 15]
    assert trial.tensor("2.relu_input_0").value(0).min() < 0
    assert trial.tensor("CrossEntropyLoss_output_0").steps() == list(range(0, 20, 2))
    assert [path.name for path in (tmp_path / "output").iterdir()] == ["tensors"]


@pytest.mark.parametrize(
    "given, steps",
    [
        # What the SDK sends unless it is told otherwise.
        ({"CollectionConfigurations": [], "HookParameters": None}, [0]),
        ({"HookParameters": {"save_interval": "5"}}, [0, 5, 10, 15]),
        (
            {"CollectionConfigurations": [{"CollectionName": "losses"}]},
            [0],
        ),
    ],
)
def test_a_configuration_without_collections_saves_losses_alone(tmp_path, given, steps):
    config = tmp_path / "input" / "config"
    config.mkdir(parents=True)
    (config / "debughookconfig.json").write_text(json.dumps(given))
    network = small_network()
    hooks: list[int] = []
    watch(
        tmp_path,
        network,
        settings=None,
        validation=photos(24),
        after_step=lambda step: hooks.append(len(network._forward_pre_hooks)),
    )
    from smdebug.core.modes import ModeKeys

    trial = read(tmp_path)
    assert trial.tensor_names() == ["CrossEntropyLoss_output_0"]
    loss = trial.tensor("CrossEntropyLoss_output_0")
    assert loss.steps(mode=ModeKeys.TRAIN) == steps
    assert loss.steps(mode=ModeKeys.EVAL) == [0]
    assert set(hooks) == {0}, "the network is observed"


@pytest.mark.parametrize(
    "collections, parameters, alone",
    [
        (None, None, True),
        ([{"CollectionName": "weights"}], None, False),
        (
            [{"CollectionName": "losses", "CollectionParameters": {"include_regex": "."}}],
            None,
            False,
        ),
        ([], {"save_all": "true"}, False),
        ([], {"include_regex": "relu"}, False),
    ],
)
def test_which_configurations_ask_for_losses_alone(collections, parameters, alone):
    config = {"CollectionConfigurations": collections, "HookParameters": parameters}
    assert losses_alone(config) is alone
    assert not losses_alone([])


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"CollectionConfigurations": [{}]}',
        '{"HookParameters": {"save_interval": "often"}}',
        '{"CollectionConfigurations": [{"CollectionName": "mine", "CollectionParameters": {}}]}',
    ],
)
def test_a_configuration_that_smdebug_refuses_costs_one_line(tmp_path, text, caplog):
    config = tmp_path / "input" / "config"
    config.mkdir(parents=True)
    (config / "debughookconfig.json").write_text(text)
    losses = watch(tmp_path, small_network(), settings=None, epochs=1)
    assert len(losses) == 5 and len(warnings_of(caplog)) == 1, warnings_of(caplog)


def test_without_smdebug_training_goes_on(tmp_path, monkeypatch, caplog):
    for name in [
        name
        for name in sys.modules
        if name == "train.recording.smdebug_hook" or name.partition(".")[0] == "smdebug"
    ]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "smdebug", None)
    assert len(watch(tmp_path, small_network(), epochs=1)) == 5
    assert "not installed" in warnings_of(caplog)[0]


def test_switched_off_by_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("USE_SMDEBUG", "0")
    assert open_hook(Job(tmp_path), EVERY, small_network()) is None


def test_the_environments_configuration_file(tmp_path, monkeypatch):
    assert config_file(Job(tmp_path)) is None
    (tmp_path / "own.json").write_text("{}")
    monkeypatch.setenv("SMDEBUG_CONFIG_FILE_PATH", str(tmp_path / "own.json"))
    assert config_file(Job(tmp_path)) == tmp_path / "own.json"
