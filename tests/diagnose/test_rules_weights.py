"""Rules on how weights change, on trainings that do and do not trigger them."""

import pytest
from torch import nn

from tests.support.watched_training import (
    CLASSES,
    EVERY_STEP,
    evaluate,
    issue,
    mlp,
    read,
    small_network,
    watch,
)
from train.recording.debug_settings import DebugSettings

pytestmark = pytest.mark.training

WHOLE = DebugSettings(train_interval=1, sample=0)


def dead_network() -> nn.Sequential:
    """A network whose ReLUs give 0 for every input."""
    convolution = nn.Conv2d(3, 8, 3)
    assert convolution.bias is not None
    nn.init.constant_(convolution.bias, -100.0)  # below any sum of weighted inputs
    return nn.Sequential(convolution, nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(288, CLASSES))


def test_weight_update_ratio(tmp_path, stuck, healthy):
    watch(tmp_path, mlp(nn.ReLU, 1), epochs=1, lr=1e3)
    large = issue(tmp_path, "WeightUpdateRatio")
    assert large.threshold == 10  # the documented default
    assert large.value > large.threshold
    small = issue(stuck, "WeightUpdateRatio")
    assert small.threshold == 1e-8
    assert small.value < small.threshold
    assert not evaluate(healthy, "WeightUpdateRatio", num_steps=8).fired


def test_weights_that_stand_still_between_the_steps_of_a_validation_do_not_fire(copy):
    """Its steps are written by themselves: two steps of a validation with the last weights."""
    from smdebug.core.modes import ModeKeys

    from train.recording.event_files import EventFiles

    trial = read(copy)
    last = trial.steps()[-1]
    weights = {name: trial.tensor(name).value(last) for name in trial.tensor_names(regex="weight$")}
    assert weights, "the training saves its weights"
    for number in (1, 2):
        files = EventFiles(trial.path, last + number, "worker_0")
        for name, values in weights.items():
            files.write_tensor(values, name, mode=ModeKeys.EVAL, mode_step=number - 1)
        files.close()
    assert read(copy).steps(ModeKeys.EVAL) == [0, 1]
    assert not evaluate(copy, "WeightUpdateRatio").fired


def test_frozen_layers_do_not_fire(tmp_path):
    network = small_network()
    for parameter in network[:5].parameters():
        parameter.requires_grad = False
    watch(tmp_path, network)
    for rule in ("WeightUpdateRatio", "UnchangedTensor", "AllZero"):
        assert evaluate(tmp_path, rule).status == "NoIssuesFound"


def test_unchanged_tensor(stuck, healthy):
    finding = issue(stuck, "UnchangedTensor")
    assert finding.mode_step == 2  # three equal values are needed
    assert evaluate(healthy, "UnchangedTensor", tensor_regex="CrossEntropyLoss", rtol=10.0).fired


@pytest.mark.parametrize("settings", [EVERY_STEP, WHOLE], ids=["activity", "whole"])
def test_dead_relus_by_a_large_negative_bias(tmp_path, settings):
    watch(tmp_path, dead_network(), epochs=1, settings=settings)
    finding = issue(tmp_path, "DeadRelu")
    assert finding.value == 100
    assert finding.threshold == 50
    assert finding.tensor.startswith("1.relu_")
    assert not evaluate(tmp_path, "DeadRelu", threshold_layer=100.0).fired


@pytest.mark.parametrize("settings", [EVERY_STEP, WHOLE], ids=["sampled", "whole"])
def test_all_zero_behind_dead_relus(tmp_path, settings):
    watch(tmp_path, dead_network(), epochs=1, settings=settings)
    finding = issue(tmp_path, "AllZero")
    assert finding.tensor in ("gradient/Sequential_0.weight", "gradient/Sequential_3.weight")
    assert finding.value == 100
    assert not evaluate(tmp_path, "AllZero", collection_names="weights").fired


def test_similar_across_runs(tmp_path):
    for folder, seed in (("a", 0), ("b", 0), ("c", 1)):
        watch(tmp_path / folder, small_network(seed), epochs=1)
    rule = "SimilarAcrossRuns"
    same = evaluate(tmp_path / "a", rule, other_trials=str(tmp_path / "b"))
    assert same.status == "NoIssuesFound"
    both = f"{tmp_path / 'b'},{tmp_path / 'c'}"
    finding = issue(tmp_path / "a", rule, other_trials=both, collection_names="weights")
    assert finding.step == 0
    assert finding.value > 0
