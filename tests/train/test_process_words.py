"""What processes make of their environment, of broken connections and of their progress."""

import logging

import pytest
import torch

from train.distributed import worker
from train.distributed.rendezvous import _name_interface
from train.progress import Progress
from train.sagemaker import _script_failure


@pytest.mark.parametrize(
    "several_hosts, interface, expected",
    [
        # NCCL is for several hosts only.
        (False, "lo", ("lo", None)),
        (True, "lo", ("lo", "lo")),
        (True, "", (None, None)),
        # A container may have another card than the job says.
        (True, "no-such-card", (None, None)),
    ],
)
def test_the_network_interface_is_named_where_it_exists(
    monkeypatch, several_hosts, interface, expected
):
    environment: dict[str, str] = {}
    monkeypatch.setattr("train.distributed.rendezvous.os.environ", environment)
    _name_interface(interface, several_hosts)
    found = (environment.get("GLOO_SOCKET_IFNAME"), environment.get("NCCL_SOCKET_IFNAME"))
    assert found == expected


WORKER = {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "a", "MASTER_PORT": "1"}


@pytest.mark.parametrize(
    "environment, expected",
    [
        (WORKER, True),
        # A group of one is no group.
        ({**WORKER, "WORLD_SIZE": "1"}, False),
        ({"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "a"}, False),
        ({}, False),
    ],
)
def test_a_launcher_makes_a_process_a_worker(monkeypatch, environment, expected):
    for name in WORKER:
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert worker.is_worker() is expected


@pytest.mark.parametrize(
    "error, broken",
    [
        (RuntimeError("[../gloo/transport] Connection closed"), True),
        (RuntimeError("NCCL error"), True),
        (RuntimeError("x Connection reset by peer y"), True),
        (RuntimeError("a fault"), False),
        # Named in passing: the reason is another.
        (RuntimeError("gloo: CUDA out of memory"), False),
        (ValueError("gloo"), False),
        (torch.distributed.DistBackendError("any"), True),
    ],
)
def test_broken_connections_are_told_from_faults(error, broken):
    assert worker._is_broken_connection(error) is broken


@pytest.mark.parametrize(
    "code, tail, expected",
    [
        (3, b"first\nlast\n", "job.py failed with code 3: last\nfirst\nlast"),
        (0, b"last", "job.py failed with code 0: last\nlast"),
        (None, b"", "job.py failed: the toolkit's words\n"),
        (1, b"x" * 801, f"job.py failed with code 1: {'x' * 800}\n{'x' * 800}"),
        (
            1,
            b"KeyError: 'a'\nE1129 10:00:00.1 7 torch/distributed/elastic/api.py] failed\nmore",
            "job.py failed with code 1: KeyError: 'a'\nKeyError: 'a'",
        ),
    ],
)
def test_the_reason_of_a_scripts_failure(code, tail, expected):
    error = RuntimeError("the toolkit's words")
    if code is not None:
        error.return_code = code  # type: ignore[attr-defined]  # as the toolkit's errors have
    assert _script_failure("job.py", error, bytearray(tail)) == expected


@pytest.mark.parametrize("passed_s, logged", [(9.9, False), (10.0, False), (10.1, True)])
def test_progress_is_logged_every_ten_seconds(monkeypatch, caplog, passed_s, logged):
    caplog.set_level(logging.INFO)
    now = [100.0]
    monkeypatch.setattr("recipes.progress.time.monotonic", lambda: now[0])
    progress = Progress("decoding", 50)
    now[0] += passed_s
    progress.add(20)
    assert bool(caplog.messages) is logged
    progress.add(5)
    now[0] += 10.1
    progress.add(5)
    last = caplog.messages[-1]
    speed = 30 / (passed_s + 10.1)
    left = f"{20 / speed:.0f} s left"
    assert last == f"progress: decoding, 30 of 50 photos, {speed:.1f} photos/s, {left}"
