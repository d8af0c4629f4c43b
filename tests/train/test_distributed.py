"""Trainings in several processes.

They learn as one process would, and end as one, whatever happens to one of them.
"""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest
import safetensors.numpy

from artifact.model import read_description
from runtime.ports import free_port
from tests.support.jobs import REPOSITORY, failure, make_job, train_job
from tests.support.processes import (
    HOSTS,
    ended,
    history,
    name_hosts,
    read_until,
    start,
    start_hosts,
    workers_of,
)
from tests.support.warm_processes import WarmPopen
from train.distributed.launcher import _answers
from train.job import Job

pytestmark = pytest.mark.training

# 21 photos in batches of 8, 8 and 5. With these settings a training that starts a millionth beside
# another's first weights keeps to its losses. Otherwise batch normalisation of random networks over
# a few small maps makes percents of it.
EXACT = {"epochs": 2, "precision": "float32", "optimizer": "sgd", "image_size": 96, "resize": 96}
WHOLE = {"model": "resnet18", "lr": 0.00002, "momentum": 0}
FROZEN = {
    "trainable": "stage4",
    "augmentation": "crop",
    "feature_views": 2,
    "epochs": 3,
    "head": "16",
    "lr": 0.0005,
}


def newest_epoch(job: Job) -> int:
    """The epoch of the newest checkpoint."""
    paths = job.checkpoints.glob("checkpoint-*.pt")
    return max(int(path.stem.rpartition("-")[2]) for path in paths)


def endless_job(root) -> Job:
    return make_job(root, {"train": 10, "validation": 2}, epochs=5000)


def test_two_processes_come_to_one_answer(tmp_path):
    """In float64, so that only errors differ; 5 photos, 3 and 2 of them in a process."""
    program = [sys.executable, "-m", "tests.support.process_group"]
    port = str(free_port())
    pair = [
        WarmPopen([*program, rank, port, str(tmp_path)], text=True, stderr=subprocess.PIPE)
        for rank in ("0", "1")
    ]
    said = [process.communicate(timeout=120)[1] for process in pair]
    assert [process.returncode for process in pair] == [0, 0], said
    found = [json.loads((tmp_path / str(rank)).read_text()) for rank in (0, 1)]
    for one in found:
        assert one["gathered"] == list(range(7))
        assert one["gathered_without_own"] == [[1.0] * 3]
        assert one["sum"] == [2.0, 1.0]
        assert one["any_process"] == [False, True]
        assert one["broadcast_epoch"] == 3
        assert one["stopped_after_s"] < 20
        assert one["same_names"]
        assert one["gradient_difference"] < 1e-12
        assert one["state_difference"] < 1e-12
        assert one["logit_difference"] < 1e-12
        assert one["unused"].startswith("the model has parameters that take no part in its answer")
    assert found[0]["steps"] == found[1]["steps"]
    assert found[0]["steps"] > 10


def test_two_processes_learn_what_one_learns(tmp_path):
    """The same losses at the same global batch, from kept features."""
    photos = {"train": 7, "validation": 3, "test": 2}
    one = make_job(tmp_path / "one", photos, **EXACT | FROZEN)
    two = make_job(tmp_path / "two", photos, **EXACT | FROZEN)
    train_job(one)
    code, out = ended(start(two))
    assert code == 0, out
    for line in ("epoch=1 ", "test: ", "photos: "):
        assert out.count(line) == 1, out
    assert "Warning" not in out, out
    assert len(history(one.root)) == 3
    np.testing.assert_allclose(history(two.root), history(one.root), rtol=1e-3, atol=1e-6)
    weights_of_one = safetensors.numpy.load_file(one.model / "model.safetensors")
    weights_of_two = safetensors.numpy.load_file(two.model / "model.safetensors")
    assert weights_of_one.keys() == weights_of_two.keys()
    assert read_description(two.model).accuracy == read_description(one.model).accuracy


@pytest.mark.verify
def test_two_hosts_learn_what_one_process_learns_and_go_on_from_a_checkpoint(tmp_path):
    """Begun by one process, without a checkpoint at the second host.

    The second host writes nothing but its log.
    """
    settings = EXACT | WHOLE
    photos = {"train": 7, "validation": 3}
    one = make_job(tmp_path / "one", photos, **settings)
    first = make_job(tmp_path / HOSTS[0], photos, **settings)
    second = make_job(tmp_path / HOSTS[1], photos, **settings)
    train_job(one)
    hyperparameters = first.root / "input/config/hyperparameters.json"
    whole = hyperparameters.read_text()
    hyperparameters.write_text(json.dumps(json.loads(whole) | {"epochs": "1"}))
    train_job(first)
    hyperparameters.write_text(whole)
    running = start_hosts([name_hosts(first, HOSTS[0]), name_hosts(second, HOSTS[1])])
    first_code, first_out = ended(running[0])
    second_code, second_out = ended(running[1])
    assert first_code == 0, first_out + second_out
    assert second_code == 0, first_out + second_out
    assert "going on from the checkpoint of epoch 1" in first_out
    assert "epoch=2 " in first_out
    assert "epoch=" not in second_out
    np.testing.assert_allclose(history(first.root), history(one.root), rtol=1e-3, atol=1e-6)
    assert not second.model.exists()
    assert not second.checkpoints.exists()
    assert not second.output_data.exists()


def test_sigterm_reaches_every_process_and_leaves_the_artifact(tmp_path):
    job = endless_job(tmp_path)
    process = start(job)
    read_until(process, "epoch=2 ")
    workers = workers_of(process)
    asked_at = time.monotonic()
    process.send_signal(signal.SIGTERM)
    code, out = ended(process)
    assert code == 0, out
    assert out.count("stop requested") == 3, out
    assert time.monotonic() - asked_at < 30, out
    epochs = read_description(job.model).provenance["epochs"]
    assert epochs >= 2
    assert epochs == newest_epoch(job)
    assert len(workers) == 2
    assert not any(worker.is_running() for worker in workers)
    assert not job.failure()


def test_a_stop_of_one_process_stops_all(tmp_path):
    """As when one host alone is to be taken away."""
    job = make_job(tmp_path, {"train": 10, "validation": 2}, epochs=5000, trainable="stage4")
    process = start(job)
    read_until(process, "epoch=2 ")
    workers_of(process)[1].send_signal(signal.SIGTERM)
    code, out = ended(process)
    assert code == 0, out
    assert read_description(job.model).provenance["epochs"] >= 2


def test_a_photo_that_one_host_cannot_read_fails_all_with_the_reason(tmp_path):
    jobs = [make_job(tmp_path / host, {"train": 7, "validation": 3}, **EXACT) for host in HOSTS]
    for job in jobs:
        name_hosts(job, job.root.name)
    for path in (jobs[1].root / "input/data/train/red").iterdir():
        # of the same length, so that both hosts list the same photos
        path.write_bytes(b"\xff\xd8\xff" + bytes(path.stat().st_size - 3))
    started = time.monotonic()
    running = start_hosts(jobs)
    for process in running:
        code, out = ended(process)
        assert code == 1, out
        assert "Traceback" not in out
    assert time.monotonic() - started < 60
    assert "it is not a complete photo" in failure(jobs[1])
    assert " failed: " not in failure(jobs[1])
    assert failure(jobs[0]).startswith(f"{HOSTS[1]} failed: ")
    assert "it is not a complete photo" in failure(jobs[0])


def test_kill_9_of_one_process_fails_the_job_and_leaves_a_checkpoint(tmp_path):
    job = endless_job(tmp_path)
    process = start(job)
    read_until(process, "epoch=2 ")
    killed_at = time.monotonic()
    workers_of(process)[1].kill()
    code, out = ended(process)
    assert code == 1, out
    assert time.monotonic() - killed_at < 30, out
    assert failure(job).startswith("process 1 of 2 was killed by SIGKILL"), out
    assert "Traceback" not in out, out
    assert newest_epoch(job) >= 1


# Starts a command, says its process number, and waits for it.
LAUNCHER = (
    "import subprocess, sys\n"
    "started = subprocess.Popen(sys.argv[1:])\n"
    "print(started.pid, flush=True)\n"
    "started.wait()\n"
)


def test_a_worker_that_waits_for_the_others_ends_with_its_launcher(tmp_path):
    job = make_job(tmp_path, {"train": 3})
    port = free_port()
    meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    launcher = subprocess.Popen(
        [sys.executable, "-c", LAUNCHER, sys.executable, "-m", "train", "--root", str(tmp_path)],
        cwd=REPOSITORY,
        env={**os.environ, **meeting, "RANK": "0", "WORLD_SIZE": "2"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert launcher.stdout is not None
    worker = psutil.Process(int(launcher.stdout.readline()))
    # The first worker keeps the store at which the others are to come.
    deadline = time.monotonic() + 90
    while not _answers("127.0.0.1", port):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    launcher.kill()
    launcher.wait()
    launcher.stdout.close()
    worker.wait(timeout=60)
    assert failure(job).startswith("the launcher of this process was killed")


def test_kill_9_on_the_first_host_is_reported_on_the_second(tmp_path):
    jobs = [make_job(tmp_path / host, {"train": 7}, epochs=5000) for host in HOSTS]
    running = start_hosts([name_hosts(job, job.root.name) for job in jobs])
    read_until(running[0], "epoch=2 ")
    workers_of(running[0])[0].kill()
    assert [ended(process)[0] for process in running] == [1, 1]
    for job in jobs:
        reason = failure(job)
        assert reason.startswith(f"{HOSTS[0]} failed: process 0 of 1 was killed by SIGKILL")


def test_more_processes_than_photos_per_step_is_one_clear_sentence(tmp_path):
    job = make_job(tmp_path, {"train": 3}, batch_size=1)
    code, out = ended(start(job))
    assert code == 1, out
    assert "Traceback" not in out
    expected = "batch_size is 1, but there are 2 processes to share them; each needs one"
    assert failure(job) == expected
