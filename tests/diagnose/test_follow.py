"""Rules beside a training that still runs: they end with it, stop it, and never wait for ever."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from diagnose.findings import DiagnoseError
from diagnose.following import follow
from tests.support.jobs import REPOSITORY
from tests.support.watched_training import photos, small_network, watch

TRAINING = """
import sys, time, signal, pathlib, torch
sys.path[:0] = [{repository!r}, {tests!r}]
from tests.support.watched_training import small_network, watch
stopped = []
signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
def after(step):
    time.sleep(0.05)
    if stopped:
        raise SystemExit(7)
watch(pathlib.Path(sys.argv[1]), small_network(), epochs=int(sys.argv[2]), lr=float(sys.argv[3]), after_step=after)
"""


def start_training(root, epochs: int, lr: float) -> subprocess.Popen:
    code = TRAINING.format(repository=str(REPOSITORY), tests=str(REPOSITORY / "tests"))
    return subprocess.Popen(
        [sys.executable, "-c", code, str(root), str(epochs), str(lr)], stdout=subprocess.DEVNULL
    )


def test_a_rule_beside_the_training_stops_it(tmp_path):
    training = start_training(tmp_path, 2000, 1e-14)
    fired = []
    try:
        findings = follow(
            tmp_path, "UnchangedTensor", on_fire=fired.append, stop=True, timeout_s=60
        )
        assert training.wait(timeout=30) == 7
    finally:
        training.kill()
    assert (
        [finding.rule for finding in fired]
        == ["UnchangedTensor"]
        == [finding.rule for finding in findings if finding.fired]
    )
    assert findings[0].mode_step == 2


def test_following_ends_with_the_training(tmp_path):
    thread = threading.Thread(
        target=lambda: watch(
            tmp_path,
            small_network(),
            train=photos(48),
            epochs=5,
            steps=2,
            lr=0.01,
            after_step=lambda step: time.sleep(0.1),
        )
    )
    thread.start()
    (finding,) = follow(tmp_path, "VanishingGradient", timeout_s=30)
    thread.join()
    assert finding.status == "NoIssuesFound" and finding.steps == 10


def test_a_training_that_was_killed_is_noticed(tmp_path):
    training = start_training(tmp_path, 2000, 0.01)
    killer = threading.Thread(
        target=lambda: (
            wait_for(tmp_path / "output" / "data" / "tensors" / "index", 30),
            training.send_signal(signal.SIGKILL),
            training.wait(),
        )
    )
    killer.start()
    with pytest.raises(DiagnoseError, match="crashed or was killed"):
        follow(tmp_path, "VanishingGradient", timeout_s=60)
    killer.join()


def test_a_training_that_never_ends_is_given_up(tmp_path):
    watch(tmp_path / "run", small_network(), epochs=1)
    tensors = tmp_path / "run" / "output" / "data" / "tensors"
    for name in ("training_job_end.ts", "training.json"):
        (tensors / name).unlink()
    with pytest.raises(DiagnoseError, match="no new step came for 0.3 s"):
        follow(tmp_path / "run", "VanishingGradient", timeout_s=0.3)
    with pytest.raises(DiagnoseError, match="no tensors came under .* in 0.3 s"):
        follow(tmp_path / "later", "VanishingGradient", timeout_s=0.3)


def test_who_is_to_be_stopped_must_be_known(tmp_path):
    watch(tmp_path, small_network(), epochs=1)
    marker = tmp_path / "output" / "data" / "tensors" / "training.json"
    facts = json.loads(marker.read_text())
    assert facts["pid"] == os.getpid() and facts["host"] == socket.gethostname()
    marker.write_text(json.dumps(facts | {"host": "elsewhere"}))
    with pytest.raises(DiagnoseError, match="runs on 'elsewhere'.*--stop-pid"):
        follow(tmp_path, "VanishingGradient", stop=True)
    marker.unlink()
    with pytest.raises(DiagnoseError, match="does not say which process trains.*--stop-pid"):
        follow(tmp_path, "VanishingGradient", stop=True)


def wait_for(path, files: int = 0) -> None:
    """Until the path is there, and so many files below it."""
    deadline = time.monotonic() + 60
    while (
        not path.exists() or sum(1 for _ in path.rglob("*.json")) < files
    ) and time.monotonic() < deadline:
        time.sleep(0.05)
