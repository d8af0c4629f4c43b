"""Two containers, algo-1 and algo-2, on a network of their own. Needs Docker.

SageMaker runs a job on two hosts like this.
"""

import json
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from artifact.model import read_description
from runtime.docker import THREADS
from runtime.opt_ml import InstanceGroup, lay_out, resources
from tests.support.jobs import SMALL, draw_channel
from tests.support.processes import history, read_until

pytestmark = pytest.mark.docker
NAMES = ("algo-1", "algo-2")
FROZEN = {
    "epochs": 3,
    "precision": "float32",
    "trainable": "stage4",
    "feature_views": "2",
    "augmentation": "crop",
    "image_size": 96,
    "resize": 96,
    "lr": 0.0005,
}
# As a cautious platform runs it.
READ_ONLY = ("--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL")
SCRIPT = """
import os, signal, sys, time
import torch, torch.distributed as dist

def save(*_):
    open(os.environ["SM_MODEL_DIR"] + "/saved", "w").close()
    sys.exit(0)

mode = sys.argv[sys.argv.index("--mode") + 1]
name = sys.argv[sys.argv.index("--name") + 1]
dist.init_process_group("gloo")
total = torch.ones(1)
dist.all_reduce(total)
signal.signal(signal.SIGTERM, save)
print("ranks:", int(total), "this one:", dist.get_rank(), name, flush=True)
if mode == "fail" and dist.get_rank() == 1:
    raise ValueError("my own reason")
if mode == "wait":
    time.sleep(300)
"""


def docker(*arguments: str, timeout: float = 240) -> subprocess.CompletedProcess[str]:
    command = ["docker", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)


def job_trees(
    root: Path, names: tuple[str, ...] = NAMES, /, **hyperparameters: object
) -> list[Path]:
    """The trees of a job on these hosts."""
    channels = {
        "train": draw_channel(root / "photos" / "train", 7),
        "validation": draw_channel(root / "photos" / "validation", 3, seed=100),
    }
    for name in names:
        lay_out(root / name, {**SMALL, **hyperparameters}, channels)
        config = root / name / "input/config/resourceconfig.json"
        config.write_text(json.dumps(resources(name, [InstanceGroup(hosts=names)])))
    return [root / name for name in names]


@contextmanager
def hosts(
    image: str, roots: list[Path], *options: str, pause_s: float = 0.0
) -> Iterator[tuple[list[str], list[subprocess.Popen[str]]]]:
    """A container per tree, named as the tree, on a network without a way out.

    Yields their names and the processes that print what they print.
    """
    network = f"slipway-{uuid.uuid4().hex[:8]}"
    assert docker("network", "create", "--internal", network).returncode == 0
    names = [f"{network}-{root.name}" for root in roots]
    running = []
    try:
        for name, root in zip(names, roots, strict=True):
            running.append(start_host(image, name, network, root, *options))
            # The hosts of a real job come up one after another.
            time.sleep(pause_s)
        yield names, running
    finally:
        for name in names:
            docker("rm", "-f", name)
        for process in running:
            process.wait(timeout=60)
            assert process.stdout is not None
            process.stdout.close()
        docker("network", "rm", network)


def start_host(
    image: str, name: str, network: str, root: Path, *options: str
) -> subprocess.Popen[str]:
    command = ["docker", "run", "--rm", "--name", name, "--network", network]
    # The names by which the job's configuration knows its hosts.
    command += ["--network-alias", root.name, "--hostname", root.name]
    command += ["-e", "OMP_NUM_THREADS=1", *options, "-v", f"{root}:/opt/ml", image, "train"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def docker_stop(names: list[str], grace_s: int) -> None:
    """Stop containers side by side; their grace is more than they need."""
    command = ["docker", "stop", "-t", str(grace_s)]
    # All at once: one host's stop would wait for the other's end.
    stops = [subprocess.Popen([*command, name], stdout=subprocess.DEVNULL) for name in names]
    for stop in stops:
        assert stop.wait(grace_s + 30) == 0


def all_ended(running: list[subprocess.Popen[str]], timeout_s: float = 240) -> list[str]:
    """The rest of the outputs; all exit codes must be 0."""
    printed = [process.communicate(timeout=timeout_s)[0] for process in running]
    assert [process.returncode for process in running] == [0, 0], printed
    return printed


def failure_of(root: Path) -> str:
    return (root / "output/failure").read_text()


@pytest.mark.verify
def test_two_containers_learn_what_one_process_learns(images, tmp_path):
    """On read-only roots, the second coming up later; its model folder stays empty."""
    (alone,) = job_trees(tmp_path / "alone", ("algo-1",), **FROZEN)
    options = (*THREADS, "--rm", "--network", "none", "-v", f"{alone}:/opt/ml")
    done = docker("run", *options, images["train"], "train")
    assert done.returncode == 0, done.stdout + done.stderr
    first, second = job_trees(tmp_path / "two", **FROZEN)
    with hosts(images["train"], [first, second], *READ_ONLY, pause_s=3) as (_, running):
        printed = all_ended(running)
    assert "processes: 2 on 2 hosts, gradients over gloo" in printed[0]
    assert "epoch=3 " in printed[0]
    assert "epoch=" not in printed[1]
    np.testing.assert_allclose(history(first), history(alone), rtol=1e-3)
    assert read_description(first / "model").accuracy == read_description(alone / "model").accuracy
    # The artifact is the first host's alone.
    assert not list((second / "model").iterdir())
    assert not (second / "output/failure").exists()


@pytest.mark.verify
def test_docker_stop_of_both_leaves_the_artifact(images, tmp_path):
    roots = job_trees(tmp_path, epochs=5000)
    with hosts(images["train"], roots) as (names, running):
        read_until(running[0], "epoch=2 ")
        started = time.monotonic()
        docker_stop(names, 120)
        assert time.monotonic() - started < 40
        all_ended(running, 60)
    assert read_description(roots[0] / "model").provenance["epochs"] >= 2


@pytest.mark.verify
def test_a_host_that_is_killed_fails_the_other(images, tmp_path):
    """It leaves no reason."""
    roots = job_trees(tmp_path, epochs=5000)
    with hosts(images["train"], roots) as (names, running):
        read_until(running[0], "epoch=2 ")
        started = time.monotonic()
        docker("kill", "-s", "KILL", names[1])
        printed = running[0].communicate(timeout=60)[0]
        assert running[0].returncode == 1, printed
        assert time.monotonic() - started < 60, printed
    assert "the connection to another process of the job broke" in failure_of(roots[0])


def put_script(root: Path, mode: str) -> None:
    """A user's script for the toolkit, in place of our training."""
    hyperparameters = {
        "sagemaker_program": "mine.py",
        "sagemaker_submit_directory": "/opt/ml/code",
        "sagemaker_torch_distributed_enabled": "true",
        "name": "two words",
        "mode": mode,
    }
    (root / "input/config/hyperparameters.json").write_text(json.dumps(hyperparameters))
    (root / "code").mkdir()
    (root / "code/mine.py").write_text(SCRIPT)


@pytest.mark.verify
def test_a_users_script_that_fails_on_one_host_leaves_its_own_reason(images, tmp_path):
    """The other host's torchrun waits minutes for this one: SageMaker ends it."""
    roots = job_trees(tmp_path)
    for root in roots:
        put_script(root, "fail")
    with hosts(images["train"], roots) as (_, running):
        printed = running[1].communicate(timeout=120)[0]
        assert running[1].returncode == 1, printed
    assert "my own reason" in failure_of(roots[1])


@pytest.mark.verify
def test_the_toolkits_torch_distributed_runs_and_stops_a_users_script(images, tmp_path):
    """Each host has a rank of its own; `docker stop` reaches the script on both."""
    roots = job_trees(tmp_path)
    for root in roots:
        put_script(root, "wait")
    with hosts(images["train"], roots) as (names, running):
        for rank, process in enumerate(running):
            read_until(process, f"ranks: 2 this one: {rank} two words")
        docker_stop(names, 60)
        all_ended(running)
    for root in roots:
        assert (root / "model/saved").exists()
