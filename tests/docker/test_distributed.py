"""Two containers, algo-1 and algo-2, on a network of their own, as SageMaker runs a job on two hosts. Needs Docker."""

import json
import subprocess
import time
import uuid
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from artifact.model import read_description
from runtime.docker import THREADS
from runtime.opt_ml import lay_out
from tests.support.jobs import SMALL, draw_channel
from tests.support.processes import history

pytestmark = pytest.mark.docker
NAMES = ("algo-1", "algo-2")
HEAD = {
    "epochs": 3,
    "precision": "float32",
    "trainable": "stage4",
    "feature_views": "2",
    "augmentation": "crop",
    "image_size": 96,
    "resize": 96,
    "lr": 0.0005,
}
SCRIPT = """
import os, signal, sys, time
import torch, torch.distributed as dist
mode = sys.argv[sys.argv.index("--mode") + 1]
dist.init_process_group("gloo")
total = torch.ones(1); dist.all_reduce(total)
signal.signal(signal.SIGTERM, lambda *_: (open(os.environ["SM_MODEL_DIR"] + "/saved", "w").close(), sys.exit(0)))
print("ranks:", int(total), "this one:", dist.get_rank(), sys.argv[sys.argv.index("--name") + 1], flush=True)
if mode == "fail" and dist.get_rank() == 1:
    raise ValueError("my own reason")
if mode == "wait":
    time.sleep(300)
"""


def docker(*arguments: str, timeout: float = 240) -> subprocess.CompletedProcess:
    verb, *rest = arguments
    return subprocess.run(
        ["docker", verb, *(THREADS if verb == "run" else ()), *rest],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def jobs_for(root: Path, names: tuple[str, ...] = NAMES, **hyperparameters: object) -> list[Path]:
    """The trees of a job on these hosts."""
    channels = {
        name: draw_channel(root / "photos" / name, count, seed=number * 100)
        for number, (name, count) in enumerate({"train": 7, "validation": 3}.items())
    }
    for name in names:
        lay_out(root / name, {**SMALL, **hyperparameters}, channels)
        path = root / name / "input/config/resourceconfig.json"
        path.write_text(
            json.dumps(
                json.loads(path.read_text())
                | {
                    "current_host": name,
                    "hosts": list(names),
                    "instance_groups": [
                        {
                            "instance_group_name": "homogeneousCluster",
                            "instance_type": "local",
                            "hosts": list(names),
                        }
                    ],
                }
            )
        )
    return [root / name for name in names]


@contextmanager
def hosts(image: str, roots: list[Path], *options: str, pause_s: float = 0.0):
    """A container a tree, named as the tree on a network without a way out; the processes that print what they print."""
    network = f"slipway-{uuid.uuid4().hex[:8]}"
    assert docker("network", "create", "--internal", network).returncode == 0
    names = [f"{network}-{root.name}" for root in roots]
    running = []
    try:
        for name, root in zip(names, roots):
            command = [
                "docker",
                "run",
                "--rm",
                "--name",
                name,
                "--network",
                network,
                "--network-alias",
                root.name,
                "--hostname",
                root.name,
                "-e",
                "OMP_NUM_THREADS=1",
                *options,
                "-v",
                f"{root}:/opt/ml",
                image,
                "train",
            ]
            running.append(
                subprocess.Popen(
                    command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
                )
            )
            time.sleep(pause_s)
        yield names, running
    finally:
        for name in names:
            docker("rm", "-f", name)
        for process in running:
            process.wait(timeout=60)
            process.stdout.close()
        docker("network", "rm", network)


def test_two_containers_learn_what_one_process_learns(images, tmp_path):
    """On read-only roots, the second coming up later; the second host's model folder stays empty."""
    (alone,) = jobs_for(tmp_path / "alone", ("algo-1",), **HEAD)
    done = docker(
        "run", "--rm", "--network", "none", "-v", f"{alone}:/opt/ml", images["train"], "train"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    first, second = jobs_for(tmp_path / "two", **HEAD)
    with hosts(
        images["train"],
        [first, second],
        "--read-only",
        "--tmpfs",
        "/tmp",
        "--cap-drop",
        "ALL",
        pause_s=3,
    ) as (_, running):
        printed = [process.communicate(timeout=240)[0] for process in running]
        assert [process.returncode for process in running] == [0, 0], printed
    assert (
        "processes: 2 on 2 hosts, gradients over gloo" in printed[0]
        and "epoch=3 " in printed[0]
        and "epoch=" not in printed[1]
    )
    np.testing.assert_allclose(history(first), history(alone), rtol=1e-3)
    assert read_description(first / "model").accuracy == read_description(alone / "model").accuracy
    assert not list((second / "model").iterdir()) and not (second / "output/failure").exists()


def test_docker_stop_of_both_leaves_the_artifact(images, tmp_path):
    roots = jobs_for(tmp_path, epochs=5000)
    with hosts(images["train"], roots) as (names, running):
        for line in running[0].stdout:
            if line.startswith("epoch=2 "):
                break
        started = time.monotonic()
        stops = [
            subprocess.Popen(["docker", "stop", "-t", "120", name], stdout=subprocess.DEVNULL)
            for name in names
        ]
        assert [stop.wait(120) for stop in stops] == [0, 0] and time.monotonic() - started < 40
        printed = [process.communicate(timeout=60)[0] for process in running]
        assert [process.returncode for process in running] == [0, 0], printed
    assert read_description(roots[0] / "model").provenance["epochs"] >= 2


def test_a_host_that_is_killed_fails_the_other(images, tmp_path):
    """By its worker's end, and by its own, with no word left."""
    roots = jobs_for(tmp_path, epochs=5000)
    with hosts(images["train"], roots) as (names, running):
        for line in running[0].stdout:
            if line.startswith("epoch=2 "):
                break
        started = time.monotonic()
        docker("kill", "-s", "KILL", names[1])
        printed = running[0].communicate(timeout=60)[0]
        assert running[0].returncode == 1 and time.monotonic() - started < 60, printed
    assert (
        "the connection to another process of the job broke"
        in (roots[0] / "output/failure").read_text()
    )


@pytest.mark.parametrize("mode", ["train", "fail", "wait"])
def test_a_users_script_under_the_toolkits_torch_distributed(images, tmp_path, mode):
    roots = jobs_for(tmp_path)
    for root in roots:
        (root / "input/config/hyperparameters.json").write_text(
            json.dumps(
                {
                    "sagemaker_program": "mine.py",
                    "sagemaker_submit_directory": "/opt/ml/code",
                    "sagemaker_torch_distributed_enabled": "true",
                    "name": "two words",
                    "mode": mode,
                }
            )
        )
        (root / "code").mkdir()
        (root / "code/mine.py").write_text(SCRIPT)
    with hosts(images["train"], roots) as (names, running):
        if mode == "wait":
            for process in running:
                assert any(line.startswith("ranks: 2") for line in process.stdout)
            stops = [
                subprocess.Popen(["docker", "stop", "-t", "60", name], stdout=subprocess.DEVNULL)
                for name in names
            ]
            assert [stop.wait(90) for stop in stops] == [0, 0]
        if (
            mode == "fail"
        ):  # the other host's rank ends well, and its torchrun waits minutes for this one: SageMaker ends it
            printed = running[1].communicate(timeout=120)[0]
            assert (
                running[1].returncode == 1
                and "my own reason" in (roots[1] / "output/failure").read_text()
            ), printed
            return
        printed = [process.communicate(timeout=240)[0] for process in running]
    assert [process.returncode for process in running] == [0, 0], printed
    if mode == "wait":
        assert all((root / "model/saved").exists() for root in roots)
    else:
        assert all(
            f"ranks: 2 this one: {rank} two words" in text for rank, text in enumerate(printed)
        ), printed
