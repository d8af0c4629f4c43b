"""Damaged and half-written tensors: what can be read is evaluated, in bounded time."""

import json
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from torch import nn

from diagnose.evaluation import evaluate_tensors
from tests.support.diagnose_command import command
from tests.support.watched_training import watch

pytestmark = pytest.mark.training

DAMAGES = (
    "index cut off",
    "index of another kind",
    "index empty",
    "events cut off",
    "events gone",
    "events of noise",
    "end missing",
)


def damage(root: Path, how: str) -> None:
    tensors = root / "output" / "data" / "tensors"
    index = sorted((tensors / "index").rglob("*.json"))
    events = sorted((tensors / "events").rglob("*.tfevents"))
    match how:
        case "index cut off":
            index[2].write_bytes(index[2].read_bytes()[:200])
        case "index of another kind":
            # Whole JSON, but of another form.
            index[2].write_text(
                '{"meta": {"mode": "NONE", "mode_step": 2}, "tensor_payload": [{}]}'
            )
        case "index empty":
            index[2].write_bytes(b"")
        case "events cut off":
            events[2].write_bytes(events[2].read_bytes()[:900])
        case "events gone":
            events[2].unlink()
        case "events of noise":
            noise = np.random.default_rng(0).bytes(events[2].stat().st_size)
            events[2].write_bytes(noise)
        case "end missing":
            # Both say that the training has ended.
            (tensors / "training_job_end.ts").unlink()
            (tensors / "training.json").unlink()


@pytest.mark.parametrize("how", DAMAGES)
def test_half_written_files_are_left_out(copy, how, capfd):
    damage(copy, how)
    started = time.monotonic()
    code, said = command(
        capfd,
        copy,
        "--rules",
        "VanishingGradient,ExplodingTensor,WeightUpdateRatio,Confusion",
        "--parameters",
        "Confusion.min_diag=0",
        "Confusion.max_off_diag=1",
    )
    assert code == 0, said
    assert time.monotonic() - started < 10, said
    assert ("is damaged and was left out" in said) == (how != "end missing"), said


@pytest.mark.parametrize("content", ["", "{", "[]", '{"num_workers": 1}'])
def test_damaged_collections(copy, content, capfd):
    (file,) = (copy / "output" / "data" / "tensors" / "collections").rglob("*.json")
    file.write_text(content)
    code, said = command(capfd, copy)
    assert code == 1, said
    assert "is damaged" in said, said
    assert "Traceback" not in said, said


def test_nothing_but_damage(copy, capfd):
    for file in (copy / "output" / "data" / "tensors" / "index").rglob("*.json"):
        file.write_text("{")
    code, said = command(capfd, copy)
    assert code == 1
    assert "holds no complete step (6 files are damaged)" in said


def test_a_hook_that_saw_no_losses(copy, capfd):
    """A script that registers its model alone, and has the collection `losses` saved."""
    tensors = copy / "output" / "data" / "tensors"
    shutil.rmtree(tensors / "index")
    shutil.rmtree(tensors / "events")
    (tensors / "training_job_end.ts").touch()
    code, said = command(capfd, copy)
    assert code == 1
    assert "losses need hook.register_loss" in said


def test_a_folder_that_cannot_be_written(copy, capfd):
    (copy / "findings.json").unlink(missing_ok=True)
    (copy / "findings.json").mkdir()
    code, said = command(capfd, copy)
    assert code == 1
    assert "failed: " in said
    assert "findings.json" in said


def test_numbers_that_json_lacks(tmp_path):
    network = nn.Sequential(nn.Flatten(), nn.Linear(192, 3))
    # The weights overflow at once.
    watch(tmp_path, network, epochs=1, lr=1e38)
    (finding,) = evaluate_tensors(tmp_path, "ExplodingTensor")
    assert finding.fired
    written = json.loads((tmp_path / "findings.json").read_text())
    # JSON has no such numbers: they are written as texts.
    assert written["findings"][0]["value"] in ("nan", "inf", "-inf")
