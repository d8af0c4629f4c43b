"""How the hosts of a job find each other, and end when one of them does not come."""

import inspect
import json
import subprocess
import time
from datetime import timedelta

import psutil
import pytest
import torch
import torch.distributed as dist
from torch._C._distributed_c10d import TCPStore

from runtime.ports import free_port
from tests.support.jobs import failure, make_job
from tests.support.processes import (
    HOSTS,
    ended,
    name_hosts,
    read_until,
    start,
    start_hosts,
    workers_of,
)
from train.distributed import rendezvous
from train.distributed.launcher import processes_here, rendezvous_port
from train.distributed.rendezvous import hosts
from train.job import JobError

GROUPS = [
    {"instance_group_name": "a", "hosts": ["algo-1"]},
    {"instance_group_name": "b", "hosts": ["algo-2"]},
]


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
                "instance_groups": GROUPS,
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


@pytest.mark.training
def test_a_first_host_that_closes_its_connection_ends_a_host_that_starts(tmp_path):
    """The second host names it soon, and leaves no worker behind."""
    port = free_port()
    store = TCPStore(HOSTS[0], port, None, True, timedelta(seconds=60), wait_for_workers=False)
    job = name_hosts(make_job(tmp_path, {"train": 3}), HOSTS[1])
    process = start(job, 1, SLIPWAY_RENDEZVOUS_PORT=str(port))
    _wait_for_a_visitor(store)
    workers = workers_of(process)
    del store  # closes the connection
    closed_at = time.monotonic()
    try:
        code, out = ended(process, timeout_s=60)
    finally:
        process.kill()
    assert code == 1, out
    assert time.monotonic() - closed_at < 20
    assert "Traceback" not in out
    assert failure(job) == (
        f"host {HOSTS[0]} closed its connection on port {port} before all hosts were up; "
        "look into its log"
    )
    assert not any(worker.is_running() for worker in workers)


@pytest.mark.training
def test_a_first_host_that_is_gone_ends_a_host_whose_workers_wait_for_it(tmp_path):
    """Torch's own time-outs, one after another, would keep it for an hour."""
    jobs = [name_hosts(make_job(tmp_path / host, {"train": 3}), host) for host in HOSTS]
    first, second = start_hosts(jobs)
    try:
        for launcher in (first, second):
            _wait_for_a_worker(launcher)
        waiting = workers_of(second)
        # none has time to leave its reason
        for worker in workers_of(first):
            worker.kill()
        first.kill()
        first.communicate(timeout=60)
        gone_at = time.monotonic()
        code, out = ended(second, timeout_s=60)
    finally:
        second.kill()
    assert code == 1, out
    assert time.monotonic() - gone_at < 20
    assert "Traceback" not in out
    assert failure(jobs[1]).startswith(f"host {HOSTS[0]} closed its connection on port ")
    assert not any(worker.is_running() for worker in waiting)


def _wait_for_a_worker(launcher: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while not psutil.Process(launcher.pid).children():
        assert time.monotonic() < deadline, "no worker was started"
        time.sleep(0.02)


def _wait_for_a_visitor(store: TCPStore) -> None:
    """Return when another process has written into the store."""
    before = store.num_keys()
    deadline = time.monotonic() + 60
    while store.num_keys() == before:
        assert time.monotonic() < deadline, "no host came"
        time.sleep(0.05)


@pytest.mark.verify
@pytest.mark.training
def test_a_worker_that_fails_before_it_meets_the_others_gives_them_its_reason(tmp_path):
    jobs = [make_job(tmp_path / host, {"train": 3}) for host in HOSTS]
    hyperparameters = jobs[0].root / "input/config/hyperparameters.json"
    named = [name_hosts(job, job.root.name) for job in jobs]
    first, second = start_hosts(named, popen=subprocess.Popen)
    read_until(first, f"host {HOSTS[0]}, 1 of 2")
    read_until(second, f"host {HOSTS[1]}, 2 of 2")
    # the launchers have read them; the worker, which takes seconds to load torch, has not
    hyperparameters.write_text('{"epochs": "many"}')
    assert ended(first)[0] == 1
    code, out = ended(second, timeout_s=60)
    assert code == 1, out
    assert "epochs" in failure(jobs[0])
    assert failure(jobs[1]) == f"{HOSTS[0]} failed: {failure(jobs[0])}"


def test_hosts_meet_at_port_7777_on_sagemaker(monkeypatch):
    monkeypatch.delenv("SLIPWAY_RENDEZVOUS_PORT", raising=False)
    assert rendezvous_port() == 7777
    monkeypatch.setenv("SLIPWAY_RENDEZVOUS_PORT", "12345")
    assert rendezvous_port() == 12345


@pytest.mark.parametrize(
    "read, variable, value, expected",
    [
        (processes_here, "SLIPWAY_PROCESSES", "0", "of at least 1"),
        (processes_here, "SLIPWAY_PROCESSES", "two", "of at least 1"),
        (processes_here, "SLIPWAY_PROCESSES", "1.5", "of at least 1"),
        (processes_here, "SLIPWAY_PROCESSES", "-1", "of at least 1"),
        (rendezvous_port, "SLIPWAY_RENDEZVOUS_PORT", "0", "from 1 to 65535"),
        (rendezvous_port, "SLIPWAY_RENDEZVOUS_PORT", "http", "from 1 to 65535"),
        (rendezvous_port, "SLIPWAY_RENDEZVOUS_PORT", "65536", "from 1 to 65535"),
    ],
)
def test_a_wrong_number_in_the_environment_is_named(monkeypatch, read, variable, value, expected):
    monkeypatch.setenv(variable, value)
    sentence = f"{variable} must be a whole number {expected}; found '{value}'"
    with pytest.raises(JobError, match=sentence):
        read()


@pytest.mark.parametrize(
    "gpus, processes, backend",
    [(2, 2, "nccl"), (8, 2, "nccl"), (1, 2, "gloo"), (0, 1, "gloo")],
)
def test_gradients_go_over_nccl_where_every_process_has_a_gpu(
    monkeypatch, gpus, processes, backend
):
    """As far as a machine without one goes: which group is asked for, and for which GPU."""
    taken: list[torch.device] = []
    groups: list[dict] = []

    def new_group(**settings: object) -> object:
        inspect.signature(real_group).bind(**settings)
        groups.append(settings)
        return "the group"

    real_group = dist.new_group
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
    monkeypatch.setattr(torch.cuda, "set_device", taken.append)
    monkeypatch.setattr(dist, "all_reduce", lambda tensor, operation: None)
    monkeypatch.setattr(dist, "new_group", new_group)
    monkeypatch.setattr(type(dist.group), "WORLD", "all", raising=False)
    group, found = rendezvous._device_group(processes - 1, processes)
    assert found == backend
    if backend == "gloo":
        assert str(group) == "all"
        assert groups == []
        assert taken == []
    else:
        assert [one["backend"] for one in groups] == ["nccl"]
        assert taken == [torch.device("cuda", processes - 1)]
