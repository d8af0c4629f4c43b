"""Shares of cores and memory at their bounds, and the calls of the C library."""

import ctypes
import os
from types import SimpleNamespace

import pytest

from artifact.host.machine import cpu_count, give_memory_back, memory_left, trim_memory
from tests.artifact.test_machine import MEMINFO, TOTAL, lay_out


@pytest.mark.parametrize(
    "files, expected",
    [
        ({"cpu.max": "340000 100000"}, 3),
        ({"cpu.max": "360000 100000"}, 4),
        ({"cpu.max": "49000 100000"}, 1),
        ({"cpu.max": "750000 100000"}, 8),
        ({"cpu.max": "900000 100000"}, 8),
        ({"cpu/cpu.cfs_quota_us": 300000, "cpu/cpu.cfs_period_us": 100000}, 3),
        (
            {
                "cpu.max": "200000 100000",
                "cpu/cpu.cfs_quota_us": 300000,
                "cpu/cpu.cfs_period_us": 100000,
            },
            2,
        ),
    ],
)
def test_a_share_of_eight_cores(tmp_path, monkeypatch, files, expected):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8 + pid)))
    assert cpu_count(lay_out(tmp_path, files)) == expected


@pytest.mark.parametrize(
    "files, expected",
    [
        ({"memory.max": 2**30}, 4_096_000_000),  # without what is used
        ({"memory.current": 2**30}, 4_096_000_000),
        ({"memory.max": 2**30, "memory.current": 2**29, "memory.stat": "anon 5"}, 2**29),
        ({"memory.max": 8 * TOTAL, "memory.current": 0}, 4_096_000_000),
        (
            {
                "memory/memory.limit_in_bytes": 2**30,
                "memory/memory.usage_in_bytes": 2**29,
                "memory/memory.stat": "inactive_file 3\nactive_file 4",
            },
            2**29 + 7,
        ),
    ],
)
def test_memory_that_is_left(tmp_path, files, expected):
    (tmp_path / "meminfo").write_text(MEMINFO)
    cgroup = lay_out(tmp_path / "cgroup", {"unused": 1, **files})
    assert memory_left(cgroup, tmp_path / "meminfo") == expected


def test_freed_memory_is_returned(monkeypatch):
    calls: list[tuple[int, ...]] = []
    library = SimpleNamespace(
        malloc_trim=lambda *numbers: calls.append(numbers),
        mallopt=lambda *numbers: calls.append(numbers),
    )
    monkeypatch.setattr(ctypes, "CDLL", lambda name: library)
    trim_memory()
    assert calls == [(0,)]
    give_memory_back()
    # M_MMAP_THRESHOLD of 1 MiB; M_ARENA_MAX of 2
    assert calls[1:] == [(-3, 1_048_576), (-8, 2)]


def test_another_c_library_is_left_alone(monkeypatch):
    monkeypatch.setattr(ctypes, "CDLL", lambda name: SimpleNamespace())
    trim_memory()
    give_memory_back()
