"""Trainings in several processes: what one process would learn, and one end for all, whatever happens to one of them."""

import copy
import json
import signal
import time

import numpy as np
import pytest
import safetensors.numpy
import torch
import torch.distributed as dist
from torch import nn

from artifact.model import read_description
from artifact.network import build
from tests.support.jobs import failure, make_job, train_job
from tests.support.processes import HOSTS, ended, history, name_hosts, read_until, start, workers_of
from train.distributed.context import DistributedContext
from train.distributed.launcher import processes_here
from train.distributed.rendezvous import hosts
from train.job import Job, JobError
from train.model.normalization import synchronize

# 21 photos in batches of 8, 8 and 5. Settings under which one process started a millionth beside its first weights keeps to its losses:
# batch normalisation of random networks over a few small maps makes percents of it otherwise
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
    return max(
        int(path.stem.rpartition("-")[2]) for path in job.checkpoints.glob("checkpoint-*.pt")
    )


def together(rank: int, port: int, results: str) -> None:
    """One of two processes: batch normalisation, and what a DistributedContext can do."""
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    context = DistributedContext(rank, 2, rank, 2, dist.group.WORLD, dist.group.WORLD)
    own = torch.arange(7.0)[[0, 1, 2, 6] if rank == 0 else [3, 4, 5]]
    found = {
        "gathered": context.gather(own, [[0, 1, 2], [3, 4, 5], [6]]).tolist(),
        "none": context.gather(torch.ones(int(rank == 0), 3), [[0]]).tolist(),
        "sum": context.sum_across(torch.tensor([1.0, rank])).tolist(),
        "agreed": [context.any_process(False), context.any_process(rank == 1)],
        "first": context.broadcast_from_main(
            lambda: {"epoch": 3, "best": torch.ones(2), "none": None}
        )["epoch"],
    }
    asked = context.agreed_stop(lambda: rank == 1 and time.monotonic() > since + 0.3)
    since, steps = time.monotonic(), 0
    while not asked():
        steps += 1
        time.sleep(0.001)
    found["steps"], found["seconds"] = steps, time.monotonic() - since
    torch.manual_seed(0)
    alone = build("resnet18", 3, (), 32).double()
    network = copy.deepcopy(alone)
    synchronize(network, [], context, torch.device("cpu"))
    samples, labels = torch.randn(5, 3, 64, 64, dtype=torch.float64), torch.tensor([0, 1, 2, 0, 1])
    for module, part, share in (
        (context.data_parallel(network), slice(rank, None, 2), 2),
        (alone, slice(None), 1),
    ):
        loss = nn.functional.cross_entropy(
            module(samples[part]), labels[part], reduction="none"
        ).sum()
        (loss * share / 5).backward()
    found["names"] = list(network.state_dict()) == list(alone.state_dict())
    found["apart"] = max(
        (ours.grad - theirs.grad).abs().max().item()
        for ours, theirs in zip(network.parameters(), alone.parameters())
    )
    found["answers"] = (network.eval()(samples) - alone.eval()(samples)).abs().max().item()
    found["state"] = max(
        (ours - theirs).abs().max().item()
        for ours, theirs in zip(network.state_dict().values(), alone.state_dict().values())
    )
    with open(f"{results}/{rank}", "w") as file:
        json.dump(found, file)


def test_two_processes_come_to_one_answer(tmp_path):
    """In float64, so that only what is wrong differs; 5 photos, 3 and 2 of them in a process."""
    from train.distributed.launcher import _free_port

    torch.multiprocessing.spawn(together, (_free_port(), str(tmp_path)), 2)
    ours, theirs = (json.loads((tmp_path / str(rank)).read_text()) for rank in (0, 1))
    for found in (ours, theirs):
        assert (
            found["gathered"] == list(range(7))
            and found["none"] == [[1.0] * 3]
            and found["sum"] == [2.0, 1.0]
        )
        assert found["agreed"] == [False, True] and found["first"] == 3 and found["seconds"] < 3
        assert (
            found["names"]
            and found["apart"] < 1e-12
            and found["state"] < 1e-12
            and found["answers"] < 1e-12
        )
    assert ours["steps"] == theirs["steps"] > 10


def test_two_processes_learn_what_one_learns(tmp_path):
    """The same losses at the same global batch, from kept features."""
    one, two = (
        make_job(tmp_path / name, {"train": 7, "validation": 3, "test": 2}, **EXACT | FROZEN)
        for name in ("one", "two")
    )
    train_job(one)
    code, out = ended(start(two))
    assert code == 0, out
    assert (
        out.count("epoch=1 ") == 1
        and out.count("test: ") == 1
        and out.count("photos: ") == 1
        and "Warning" not in out
    ), out
    assert len(history(one.root)) == 3
    np.testing.assert_allclose(history(two.root), history(one.root), rtol=1e-3, atol=1e-6)
    ours, theirs = (
        safetensors.numpy.load_file(job.model / "model.safetensors") for job in (two, one)
    )
    assert ours.keys() == theirs.keys()
    assert read_description(two.model).accuracy == read_description(one.model).accuracy


def test_two_hosts_learn_what_one_process_learns_and_go_on_from_a_checkpoint(tmp_path):
    """The second host writes nothing but its log; begun by one process, with no checkpoint at the second host."""
    settings = EXACT | WHOLE
    one, first, second = (
        make_job(tmp_path / name, {"train": 7, "validation": 3}, **settings)
        for name in ("one", *HOSTS)
    )
    train_job(one)
    part = json.loads((first.root / "input/config/hyperparameters.json").read_text())
    (first.root / "input/config/hyperparameters.json").write_text(
        json.dumps(part | {"epochs": "1"})
    )
    train_job(first)
    (first.root / "input/config/hyperparameters.json").write_text(json.dumps(part))
    running = [start(name_hosts(job, host), 1) for job, host in zip((first, second), HOSTS)]
    (code, out), (second_code, second_out) = (ended(process) for process in running)
    assert code == second_code == 0, out + second_out
    assert (
        "going on from the checkpoint of epoch 1" in out
        and "epoch=2 " in out
        and "epoch=" not in second_out
    )
    np.testing.assert_allclose(history(first.root), history(one.root), rtol=1e-3, atol=1e-6)
    assert (
        not second.model.exists()
        and not second.checkpoints.exists()
        and not second.output_data.exists()
    )


def test_sigterm_reaches_every_process_and_leaves_the_artifact(tmp_path):
    job = make_job(tmp_path, {"train": 10, "validation": 2}, epochs=5000)
    process = start(job)
    read_until(process, "epoch=2 ")
    workers = workers_of(process)
    asked = time.monotonic()
    process.send_signal(signal.SIGTERM)
    code, out = ended(process)
    assert code == 0 and out.count("stop requested") == 3 and time.monotonic() - asked < 30, out
    assert read_description(job.model).provenance["epochs"] == newest_epoch(job) >= 2
    assert (
        len(workers) == 2
        and not any(worker.is_running() for worker in workers)
        and not job.failure()
    )


def test_a_stop_of_one_process_stops_all(tmp_path):
    """As when one host alone is to be taken away."""
    job = make_job(tmp_path, {"train": 10, "validation": 2}, epochs=5000, trainable="stage4")
    process = start(job)
    read_until(process, "epoch=2 ")
    workers_of(process)[1].send_signal(signal.SIGTERM)
    code, out = ended(process)
    assert code == 0 and read_description(job.model).provenance["epochs"] >= 2, out


def test_a_photo_that_one_host_cannot_read_fails_all_with_the_reason(tmp_path):
    jobs = [make_job(tmp_path / host, {"train": 7, "validation": 3}, **EXACT) for host in HOSTS]
    for job in jobs:
        name_hosts(job, job.root.name)
    for path in (
        jobs[1].root / "input/data/train/red"
    ).iterdir():  # of the same length, so that both hosts list the same photos
        path.write_bytes(b"\xff\xd8\xff" + bytes(path.stat().st_size - 3))
    started = time.monotonic()
    running = [start(job, 1) for job in jobs]
    results = [ended(process) for process in running]
    assert [code for code, _ in results] == [1, 1], results
    assert time.monotonic() - started < 60 and all("Traceback" not in out for _, out in results)
    assert (
        "it is not a complete photo" in failure(jobs[1])
        and failure(jobs[1]).count(" failed: ") == 0
    )
    assert failure(jobs[0]).startswith(
        f"{HOSTS[1]} failed: "
    ) and "it is not a complete photo" in failure(jobs[0])


def test_kill_9_of_one_process_fails_the_job_and_leaves_a_checkpoint(tmp_path):
    job = make_job(tmp_path, {"train": 10, "validation": 2}, epochs=5000)
    process = start(job)
    read_until(process, "epoch=2 ")
    killed = time.monotonic()
    workers_of(process)[1].kill()
    code, out = ended(process)
    assert code == 1 and time.monotonic() - killed < 30, out
    assert (
        failure(job).startswith("process 1 of 2 was killed by SIGKILL") and "Traceback" not in out
    ), failure(job) + out
    assert newest_epoch(job) >= 1


def test_kill_9_on_the_first_host_is_told_on_the_second(tmp_path):
    jobs = [
        name_hosts(make_job(tmp_path / host, {"train": 7}, epochs=5000), host) for host in HOSTS
    ]
    running = [start(job, 1) for job in jobs]
    read_until(running[0], "epoch=2 ")
    workers_of(running[0])[0].kill()
    assert [ended(process)[0] for process in running] == [1, 1]
    assert all(
        failure(job).startswith(f"{HOSTS[0]} failed: process 0 of 1 was killed by SIGKILL")
        for job in jobs
    ), [failure(job) for job in jobs]


@pytest.mark.parametrize(
    "content, expected",
    [
        (
            {"hosts": ["algo-2", "algo-10", "algo-1"], "current_host": "algo-2"},
            (["algo-1", "algo-10", "algo-2"], "algo-2", ""),
        ),
        (
            {"hosts": ["algo-1"], "current_host": "algo-1", "network_interface_name": "eth0"},
            (["algo-1"], "algo-1", "eth0"),
        ),
        (
            {
                "hosts": ["algo-2"],
                "current_host": "algo-2",
                "current_group_name": "b",
                "instance_groups": [
                    {"instance_group_name": "a", "hosts": ["algo-1"]},
                    {"instance_group_name": "b", "hosts": ["algo-2"]},
                ],
            },
            (["algo-1", "algo-2"], "algo-2", ""),
        ),
    ],
)
def test_the_hosts_are_those_of_all_groups(tmp_path, content, expected):
    job = make_job(tmp_path, {"train": 1})
    assert hosts(job) == (["algo-1"], "algo-1", "")
    (job.root / "input/config/resourceconfig.json").write_text(json.dumps(content))
    assert hosts(job) == expected


@pytest.mark.parametrize(
    "content", ["[", "[]", '{"hosts": ["algo-1"], "current_host": "algo-3"}', '{"hosts": 5}', "{}"]
)
def test_a_wrong_resourceconfig_is_named(tmp_path, content):
    job = make_job(tmp_path, {"train": 1})
    (job.root / "input/config/resourceconfig.json").write_text(content)
    with pytest.raises(JobError, match="resourceconfig.json"):
        hosts(job)


@pytest.mark.parametrize("asked", ["0", "two", "1.5", "-1"])
def test_a_wrong_number_of_processes_is_told(monkeypatch, asked):
    monkeypatch.setenv("SLIPWAY_PROCESSES", asked)
    with pytest.raises(
        JobError, match=f"SLIPWAY_PROCESSES must be a whole number of at least 1; found '{asked}'"
    ):
        processes_here()


def test_more_processes_than_photos_a_step_is_one_clear_sentence(tmp_path):
    job = make_job(tmp_path, {"train": 3}, batch_size=1)
    code, out = ended(start(job))
    assert (
        code == 1
        and "Traceback" not in out
        and failure(job)
        == "batch_size is 1, but there are 2 processes to share them; each needs one"
    ), out
