"""Rules beside a training that still runs: they end with it, stop it, and never wait for ever."""

import json
import logging
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from diagnose.findings import DiagnoseError, Finding
from diagnose.following import follow
from diagnose.locate import will_save_tensors
from tests.support.followed_training import STOPPED
from tests.support.jobs import REPOSITORY
from tests.support.warm_processes import WarmPopen
from tests.support.watched_training import photos, small_network, watch

pytestmark = pytest.mark.training


def start_training(root: Path, epochs: int, lr: float) -> subprocess.Popen[bytes]:
    module = "tests.support.followed_training"
    command = [sys.executable, "-m", module, str(root), str(epochs), str(lr)]
    return WarmPopen(command, cwd=REPOSITORY, stdout=subprocess.DEVNULL)


def test_a_rule_beside_the_training_stops_it(tmp_path):
    # A rate of nothing: the tensors stay as they are.
    training = start_training(tmp_path, epochs=2000, lr=1e-14)
    fired: list[Finding] = []
    try:
        findings = follow(
            tmp_path, "UnchangedTensor", on_fire=fired.append, stop=True, timeout_s=60
        )
        # The rule ended it by SIGTERM.
        assert training.wait(timeout=30) == STOPPED
    finally:
        training.kill()
    assert [finding.rule for finding in fired] == ["UnchangedTensor"]
    assert [finding.rule for finding in findings if finding.fired] == ["UnchangedTensor"]
    assert findings[0].mode_step == 2


def test_following_ends_with_the_training(tmp_path):
    def train() -> None:
        watch(
            tmp_path,
            small_network(),
            train=photos(48),
            epochs=5,
            steps=2,
            lr=0.01,
            after_step=lambda step: time.sleep(0.1),
        )

    thread = threading.Thread(target=train)
    thread.start()
    (finding,) = follow(tmp_path, "VanishingGradient", timeout_s=30)
    thread.join()
    assert finding.status == "NoIssuesFound"
    assert finding.steps == 10


def test_a_training_that_was_killed_is_noticed(tmp_path):
    training = start_training(tmp_path, epochs=2000, lr=0.01)

    def kill() -> None:
        # In the middle, with tensors still to come.
        wait_for(tmp_path / "output" / "data" / "tensors" / "index", files=30)
        training.kill()
        training.wait()

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(DiagnoseError, match="crashed or was killed"):
        follow(tmp_path, "VanishingGradient", timeout_s=60)
    killer.join()


def test_a_training_that_never_ends_is_given_up(tmp_path):
    watch(tmp_path / "run", small_network(), epochs=1)
    tensors = tmp_path / "run" / "output" / "data" / "tensors"
    # Both say that the training has ended.
    for name in ("training_job_end.ts", "training.json"):
        (tensors / name).unlink()
    with pytest.raises(DiagnoseError, match="no new step came for 0.3 s"):
        follow(tmp_path / "run", "VanishingGradient", timeout_s=0.3)
    with pytest.raises(DiagnoseError, match="no tensors came under .* in 0.3 s"):
        follow(tmp_path / "later", "VanishingGradient", timeout_s=0.3)


def test_the_process_to_stop_must_be_known(tmp_path):
    watch(tmp_path, small_network(), epochs=1)
    marker = tmp_path / "output" / "data" / "tensors" / "training.json"
    facts = json.loads(marker.read_text())
    assert facts["pid"] == os.getpid()
    assert facts["host"] == socket.gethostname()
    # A process of another machine cannot be ended from here.
    marker.write_text(json.dumps(facts | {"host": "elsewhere"}))
    with pytest.raises(DiagnoseError, match="runs on 'elsewhere'.*--stop-pid"):
        follow(tmp_path, "VanishingGradient", stop=True)
    marker.unlink()
    with pytest.raises(DiagnoseError, match="does not say which process trains.*--stop-pid"):
        follow(tmp_path, "VanishingGradient", stop=True)


def wait_for(folder: Path, files: int) -> None:
    """Until that many JSON files are below the folder."""
    deadline = time.monotonic() + 60
    while len(list(folder.rglob("*.json"))) < files:
        assert time.monotonic() < deadline, folder
        time.sleep(0.05)


def test_a_training_that_saves_no_tensors_is_not_waited_for(tmp_path):
    """As the demo's: its job says so."""
    configuration = tmp_path / "input" / "config"
    configuration.mkdir(parents=True)
    (tmp_path / "output").mkdir()
    (configuration / "hyperparameters.json").write_text('{"lr": "0.1", "debug": "false"}')
    started = time.monotonic()
    with pytest.raises(DiagnoseError, match="saves no tensors; train with debug=true: `slipway tr"):
        follow(tmp_path / "output", timeout_s=600)
    assert time.monotonic() - started < 300


@pytest.mark.parametrize(
    "name, content, expected",
    [
        ("hyperparameters.json", '{"debug": "true"}', True),
        ("hyperparameters.json", '{"of_a_script": "1"}', True),
        ("hyperparameters.json", "{", True),
        ("hyperparameters.json", "{}", False),
        ("debughookconfig.json", "{}", True),
        ("", "", True),
    ],
)
def test_what_a_job_says_of_its_tensors(tmp_path, name, content, expected):
    configuration = tmp_path / "input" / "config"
    configuration.mkdir(parents=True)
    if name:
        (configuration / name).write_text(content)
    assert will_save_tensors(tmp_path / "output") == expected


def test_a_folder_that_is_not_there_is_not_waited_for(tmp_path):
    started = time.monotonic()
    with pytest.raises(DiagnoseError, match="does not exist, so no training saves tensors there"):
        follow(tmp_path / "no" / "output", timeout_s=600)
    assert time.monotonic() - started < 300


def test_a_wait_for_tensors_is_not_silent(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("diagnose.following.POLL_S", 0.05)
    caplog.set_level(logging.INFO, logger="diagnose.following")
    with pytest.raises(DiagnoseError, match="no tensors came under"):
        follow(tmp_path, timeout_s=0.5)
    assert f"waiting for the first tensors under '{tmp_path}'" in caplog.text
