"""A user's own training script in our image, as SageMaker's script mode runs it; its smdebug."""

import csv
import json
from pathlib import Path

import pytest

from runtime.opt_ml import lay_out
from tests.support.image_jobs import docker, job_for, stop_at
from tests.support.jobs import draw_channel

pytestmark = pytest.mark.docker


SCRIPT = """
import argparse, os, signal, subprocess, sys, time
parser = argparse.ArgumentParser()
parser.add_argument("--name"); parser.add_argument("--mode")
options = parser.parse_args()
print("script:", options.name, sorted(os.listdir(os.environ["SM_CHANNEL_TRAIN"])), flush=True)
if options.mode == "fail":
    raise ValueError("my own reason")
if options.mode == "wait":
    child = subprocess.Popen(["sleep", "300"])
    def stop(*_):
        open(os.environ["SM_MODEL_DIR"] + "/saved", "w").close()
        sys.exit(0)
    signal.signal(signal.SIGTERM, stop)
    print("waiting", flush=True)
    time.sleep(300)
open(os.environ["SM_MODEL_DIR"] + "/mine.txt", "w").write("model")
"""

# A hook of smdebug, as its own pages show it; protobuf is loaded before, as by many libraries.
HOOKED = """
import onnx, sys, torch
import smdebug.pytorch as smd
from smdebug.trials import create_trial
network, loss = torch.nn.Linear(4, 2), torch.nn.CrossEntropyLoss()
save = smd.SaveConfig(save_interval=1)
hook = smd.Hook("/opt/ml/output/tensors", save_config=save, save_all=True)
hook.register_module(network)
hook.register_loss(loss)
seen = []
for _ in range(3):
    seen.append(loss(network(torch.randn(3, 4)), torch.tensor([0, 1, 0])))
    seen[-1].backward()
hook.close()
trial = create_trial("/opt/ml/output/tensors")
saved = trial.tensor("CrossEntropyLoss_output_0")
assert [float(saved.value(step)) for step in saved.steps()] == [float(value) for value in seen]
assert (trial.tensor("Linear_weight").value(0) == network.weight.detach().numpy()).all()
print("script: smdebug read", len(trial.tensor_names()), "tensors", flush=True)
"""

# As SageMaker's rules read a job's tensors.
READ = """
import json
from smdebug.core.modes import ModeKeys
from smdebug.trials import create_trial
trial = create_trial("/opt/ml/output/data/tensors")
loss = trial.tensor("CrossEntropyLoss_output_0")
steps = loss.steps(mode=ModeKeys.EVAL)
print(json.dumps([float(loss.value(step, mode=ModeKeys.EVAL)) for step in steps]))
"""


def script_job(root: Path, mode: str, script: str = SCRIPT) -> Path:
    ml = root / "ml"
    draw_channel(root / "photos" / "train", 12)
    lay_out(
        ml,
        {
            "sagemaker_program": "mine.py",
            "sagemaker_submit_directory": "/opt/ml/code",
            "name": "two words",
            "mode": mode,
        },
        {"train": root / "photos" / "train"},
    )
    (ml / "code").mkdir(exist_ok=True)
    (ml / "code" / "mine.py").write_text(script)
    return ml


def test_a_users_own_script_runs(images, tmp_path):
    root = script_job(tmp_path, "train")
    done = docker("run", "--rm", "-v", f"{root}:/opt/ml", images["train"], "train")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "script: two words ['blue', 'green', 'red']" in done.stdout
    assert (root / "model" / "mine.txt").read_text() == "model"


@pytest.mark.verify
def test_a_users_own_hook_writes_what_smdebug_reads(images, tmp_path):
    root = script_job(tmp_path, "train", HOOKED)
    done = docker("run", "--rm", "-v", f"{root}:/opt/ml", images["train"], "train")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "script: smdebug read " in done.stdout


@pytest.mark.verify
def test_smdebug_in_the_image_reads_what_our_hook_wrote(images, tmp_path):
    root = job_for(tmp_path, debug="true")
    mounted = ("run", "--rm", "-v", f"{root}:/opt/ml")
    trained = docker(*mounted, images["train"], "train")
    assert trained.returncode == 0, trained.stdout + trained.stderr
    python = ("--entrypoint", "/opt/venv/bin/python")
    read = docker(*mounted, *python, images["train"], "-c", READ)
    assert read.returncode == 0, read.stdout + read.stderr
    with (root / "output" / "data" / "history.csv").open() as file:
        history = [float(row["validation_loss"]) for row in csv.DictReader(file)]
    assert json.loads(read.stdout.splitlines()[-1]) == pytest.approx(history, rel=1e-5)


def test_a_users_script_that_fails_gives_its_own_reason(images, tmp_path):
    root = script_job(tmp_path, "fail")
    done = docker("run", "--rm", "-v", f"{root}:/opt/ml", images["train"], "train")
    assert done.returncode == 1
    assert (
        (root / "output" / "failure")
        .read_text()
        .startswith("mine.py failed with code 1: ValueError: my own reason")
    )
    assert "my own reason" in done.stderr


def test_sigterm_reaches_a_users_script(images, tmp_path):
    root = script_job(tmp_path, "wait")
    code, seconds = stop_at(images["train"], root, "waiting")
    assert code == 0
    assert seconds < 30
    assert (root / "model" / "saved").exists()
