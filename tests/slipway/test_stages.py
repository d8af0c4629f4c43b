"""The steps of a command: in a terminal, and in a log."""

import pytest

from runtime.errors import RunError
from slipway.stages import Stages
from slipway.steps import run_module
from tests.support.terminals import watched

OUTPUT = """photos: train=211 validation=30 test=60 classes=5
network: resnet18, 6,405 parameters train
store: photos-58da, 0 of 30 rows are there
progress: features of view 1, 120 of 300 photos, 20.0 photos/s, 9 s left
epoch=1 train_loss=0.5 validation_accuracy=0.93333 lr=0 seconds=9.4
progress: epoch 2, 15 of 30 photos, 20.0 photos/s, 1 s left
num_training_samples is 3, but the train channel holds 211 photos
"""


def test_a_terminal_shows_a_line_for_a_step_and_its_warnings(monkeypatch, tmp_path):
    stages = Stages("demo", 2)
    logs = tmp_path / "logs"
    with watched(monkeypatch, 70) as screen, stages.stage("train", logs, epochs=4) as stage:
        assert stage.on_line
        for line in OUTPUT.splitlines():
            stage.on_line(line)
        stage.said = "test accuracy 0.9500"
    shown = [line.strip() for line in screen.lines if line.strip()]
    assert shown[-1].startswith("✓  train    test accuracy 0.9500")
    assert shown[-1].endswith(" s")
    assert shown[0] == "network: resnet18, 6,405 parameters train"
    assert shown[1].startswith("num_training_samples is 3, but the train channel holds 211")
    assert not any("store:" in line for line in shown)
    assert max(map(len, screen.lines)) <= 70
    assert (tmp_path / "logs/train.log").read_text() == OUTPUT


def test_a_step_that_fails_shows_its_last_lines(monkeypatch, tmp_path):
    step = Stages("demo", 2).stage("train", tmp_path)
    with watched(monkeypatch, 70) as screen, pytest.raises(RunError), step as stage:
        assert stage.on_line
        stage.on_line("store: the disk is full")
        raise RunError("no")
    shown = "\n".join(screen.lines)
    assert "✗  train    failed; its log: " in shown
    assert "      store: the disk is full" in shown


def test_elsewhere_the_step_is_named_and_its_lines_come_as_they_are(capfd, tmp_path):
    with Stages("demo", 2).stage("prepare", tmp_path) as stage:
        assert stage.on_line is None
        with pytest.raises(RunError, match="ended with code"):
            run_module("no_such_module", stage=stage)
    said = capfd.readouterr()
    assert said.out == "demo: step 1/2: prepare\n"
    assert "No module named no_such_module" in said.err
    assert not list(tmp_path.iterdir())
