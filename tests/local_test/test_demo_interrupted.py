"""A demo that is interrupted or killed: nothing of it goes on, and the earlier results stay."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from artifact.pages.project_pages import UNFINISHED
from runtime import processes
from slipway.steps import unfinished
from tests.support.jobs import REPOSITORY, SMALL, draw_channel


def started(folder: Path, until: str) -> subprocess.Popen[str]:
    """A demo in a process group of its own, as a terminal's, once it has printed these words."""
    recipe = folder / "recipe.yaml"
    long = {**SMALL, "epochs": 100_000}
    shares = {"split": "0.6,0.2,0.2"}
    document = {"name": "small", "prepare": shares, "hyperparameters": long}
    recipe.write_text(yaml.safe_dump(document))
    draw_channel(folder / "photos", 12)
    model = folder / "out/ml/model"
    model.mkdir(parents=True)
    (model / "model.json").write_text("of an earlier demo")
    words = [sys.executable, "-m", "local_test.demo", "--engine", "process"]
    words += ["--data", str(folder / "photos"), "--out", str(folder / "out")]
    demo = subprocess.Popen(
        [*words, "--recipe", str(recipe)],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
    )
    assert demo.stdout is not None
    for line in demo.stdout:
        if until in line:
            return demo
    pytest.fail(f"it did not print '{until}': {demo.communicate()[1]}")


def wait_ended(pids: list[int]) -> None:
    """Return once all of these processes have ended."""
    deadline = time.monotonic() + 120
    while any(_runs(pid) for pid in pids):
        assert time.monotonic() < deadline, pids
        time.sleep(0.05)


def _runs(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


@pytest.mark.slow
@pytest.mark.parametrize("until", ["demo: running with", "epoch=1 "])
def test_ctrl_c_is_one_sentence_and_leaves_nothing(tmp_path, until):
    demo = started(tmp_path, until)
    below = processes.below(demo.pid)[1:]
    os.killpg(demo.pid, signal.SIGINT)
    _, said = demo.communicate(timeout=180)
    assert demo.returncode == 130
    assert said.splitlines()[-1] == "demo: interrupted; the earlier results are as they were"
    assert "Traceback" not in said
    wait_ended(below)
    assert not list((tmp_path / "out").glob(f"{UNFINISHED}-*"))
    assert (tmp_path / "out/ml/model/model.json").read_text() == "of an earlier demo"


@pytest.mark.slow
def test_kill_9_ends_the_training_too_and_does_not_hurt_the_next_run(tmp_path):
    demo = started(tmp_path, "epoch=1 ")
    below = processes.below(demo.pid)[1:]
    assert len(below) >= 2  # the training, and what ends it
    demo.kill()
    demo.wait()
    with unfinished(tmp_path / "out") as results:  # as the next run has it, at once
        assert list((tmp_path / "out").glob(f"{UNFINISHED}-*")) == [results.out]
    wait_ended(below)
    demo.communicate()
    assert (tmp_path / "out/ml/model/model.json").read_text() == "of an earlier demo"
