"""Cores and memory as the cgroup has them: read from files laid out as Linux lays them out."""

import dataclasses
import getpass
import os
import pwd
from pathlib import Path

import pytest

from artifact.engines.choice import precisions
from artifact.host import machine
from artifact.host.machine import (
    cpu_count,
    memory_left,
    memory_limit,
    name_user,
    processor_flags,
    processor_name,
)
from artifact.model import Description
from artifact.photos.preprocessing import Preprocessing

CORES = len(os.sched_getaffinity(0))
TOTAL = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
MEMINFO = "MemTotal:  8000000 kB\nMemFree:  1000000 kB\nMemAvailable:  4000000 kB\n"


def lay_out(folder: Path, files: dict[str, object]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")
    return folder


@pytest.mark.parametrize(
    "files, expected",
    [
        ({}, CORES),
        # "max": no limit.
        ({"cpu.max": "max 100000"}, CORES),
        ({"cpu.max": "100000 100000"}, 1),
        # A quarter of a core is one, rounded up.
        ({"cpu.max": "25000 100000"}, 1),
        # More than the machine has.
        ({"cpu.max": "9900000 100000"}, CORES),
        # -1: no limit, in the first version of cgroups.
        ({"cpu/cpu.cfs_quota_us": -1, "cpu/cpu.cfs_period_us": 100000}, CORES),
        ({"cpu/cpu.cfs_quota_us": 100000, "cpu/cpu.cfs_period_us": 100000}, 1),
    ],
)
def test_cores_are_those_of_the_cgroup(tmp_path, files, expected):
    assert cpu_count(lay_out(tmp_path, files)) == expected


@pytest.mark.parametrize(
    "files, expected",
    [
        ({}, TOTAL),
        ({"memory.max": "max"}, TOTAL),
        ({"memory.max": 2**30}, 2**30),
        ({"memory/memory.limit_in_bytes": 2**29}, 2**29),
        # Its largest number stands for no limit.
        ({"memory/memory.limit_in_bytes": 9223372036854771712}, TOTAL),
    ],
)
def test_memory_is_that_of_the_cgroup(tmp_path, files, expected):
    assert memory_limit(lay_out(tmp_path, files)) == expected


@pytest.mark.parametrize(
    "files, expected",
    [
        ({}, 4_096_000_000),
        ({"memory.max": "max", "memory.current": 10**9}, 4_096_000_000),
        (
            {
                "memory.max": 2**30,
                "memory.current": 2**29,
                # The kernel drops such files where memory is needed.
                "memory.stat": "anon 5\ninactive_file 100\nactive_file 28",
            },
            2**29 + 128,
        ),
        ({"memory/memory.limit_in_bytes": 2**30, "memory/memory.usage_in_bytes": 2**30}, 0),
    ],
)
def test_what_is_left_does_not_count_files_that_can_be_dropped(tmp_path, files, expected):
    (tmp_path / "meminfo").write_text(MEMINFO)
    assert (
        memory_left(lay_out(tmp_path / "cgroup", {"unused": 1, **files}), tmp_path / "meminfo")
        == expected
    )


def test_a_folder_in_memory_has_half_of_what_is_left(tmp_path, monkeypatch):
    device = tmp_path.stat().st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    mounts = tmp_path / "mountinfo"
    monkeypatch.setattr(machine, "memory_left", lambda: 4000)
    # The mount whose device number the folder has counts.
    mounts.write_text(f"1 2 0:0 / /x rw - tmpfs x rw\n3 4 {number} / / rw shared:1 - ext4 d rw\n")
    assert machine.folder_room(tmp_path, mounts) > 4000
    # A tmpfs takes memory: others need the other half.
    mounts.write_text(f"3 4 {number} / / rw shared:1 - tmpfs tmpfs rw\n")
    assert machine.folder_room(tmp_path, mounts) == 2000


def test_a_user_without_an_entry_in_the_passwd_file_gets_a_name(monkeypatch):
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("USER", "someone")
    name_user()
    assert "LOGNAME" not in os.environ  # there is a name

    def nobody(_):
        raise KeyError("uid not found")

    monkeypatch.setattr(pwd, "getpwuid", nobody)
    monkeypatch.delenv("USER")
    monkeypatch.setenv("LOGNAME", "")  # undone at the end, whatever is set
    name_user()
    assert getpass.getuser() == str(os.getuid())


@pytest.mark.parametrize(
    "text, name",
    [
        ("model name\t: EPYC\nflags\t: fpu avx512_vnni\n", "EPYC with VNNI"),
        ("model name\t: Xeon\nflags\t: avx_vnni amx_int8\n", "Xeon with AVX-VNNI and AMX"),
        ("model name\t: Core\nflags\t: avx2\n\nmodel name\t: x\n", "Core without VNNI"),
        ("", "unknown without VNNI"),
    ],
)
def test_the_processor_is_named(tmp_path, text, name):
    (tmp_path / "cpuinfo").write_text(text)
    assert processor_name(tmp_path / "cpuinfo") == name


@pytest.mark.parametrize(
    "text, flags, without, with_int8",
    [
        (
            "processor\t: 0\nflags\t\t: fpu avx512_vnni avx512_bf16\n\n"
            "processor\t: 1\nflags\t\t: fpu\n",
            {"fpu", "avx512_vnni", "avx512_bf16"},
            "bf16",
            "int8",
        ),
        ("flags : avx2 avx_vnni\n", {"avx2", "avx_vnni"}, "f32", "int8"),
        (
            "flags : amx_bf16 amx_tile amx_int8\n",
            {"amx_bf16", "amx_tile", "amx_int8"},
            "bf16",
            "int8",
        ),
        ("flags : amx_bf16 amx_tile\n", {"amx_bf16", "amx_tile"}, "bf16", "bf16"),
        # "vmx flags" are those of virtual machines.
        ("flags : avx2 avx512f\nvmx flags : avx512_vnni\n", {"avx2", "avx512f"}, "f32", "f32"),
        # Another architecture's, as an emulator shows it.
        ("Features : fp asimd i8mm bf16\n", set(), "f32", "f32"),
        ("", set(), "f32", "f32"),
    ],
)
def test_what_auto_means_on_a_processor(tmp_path, text, flags, without, with_int8):
    (tmp_path / "cpuinfo").write_text(text)
    found = processor_flags(tmp_path / "cpuinfo")
    assert found == flags
    described = Description(("a", "b"), Preprocessing(), "resnet18")
    assert precisions(described, found)[0] == without
    kept = dataclasses.replace(described, quantization={"kept": True})
    assert precisions(kept, found)[0] == with_int8
