"""The part of its machine that this process may use: a container's share of cores and memory."""

import ctypes
import getpass
import os
import platform
import shutil
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")
# mallopt's numbers in glibc's malloc.h.
M_MMAP_THRESHOLD = -3
M_ARENA_MAX = -8
MMAP_BYTES = 1024 * 1024
IN_MEMORY = ("tmpfs", "ramfs")  # file systems
UNLIMITED = ("max", "-1")  # of cgroup v2 and v1
# Instructions that multiply int8 without saturation, in /proc/cpuinfo. The last two are Arm's.
INT8_FLAGS = {
    "avx512_vnni": "VNNI",
    "avx_vnni": "AVX-VNNI",
    "amx_int8": "AMX",
    "asimddp": "DotProd",
    "i8mm": "I8MM",
}
BF16_FLAGS = {"avx512_bf16", "amx_bf16"}  # in /proc/cpuinfo, of processors that compute in bf16
F16_FLAGS = {"asimdhp"}  # the same for f16, which OpenVINO uses on Arm
# What else decides how a network is computed.
KIND_FLAGS = (
    {"avx2", "avx512f", "avx512_fp16", "amx_fp16", "avx_vnni_int8", "avx_ne_convert"}
    | {"sve", "sve2", "bf16"}
    | INT8_FLAGS.keys()
    | BF16_FLAGS
    | F16_FLAGS
)
ARCHITECTURES = {"x86_64": "amd64", "AMD64": "amd64", "aarch64": "arm64"}  # as images name them


def cpu_count(cgroup: Path = CGROUP) -> int:
    """Cores this process may use: its affinity, or less when a cgroup (v2, v1) says so."""
    cores = len(os.sched_getaffinity(0))
    # v2 has quota and period in one file, v1 in two
    for files in (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):
        try:
            quota, period = " ".join((cgroup / name).read_text() for name in files).split()
        except OSError:
            continue
        if quota not in UNLIMITED:
            return max(1, min(cores, round(int(quota) / int(period))))
    return cores


def name_user() -> None:
    """Give a user who has no entry in /etc/passwd a name for this process and those it starts.

    torch and torchvision ask for it as they are loaded, for the name of a temporary folder.
    """
    try:
        getpass.getuser()
    except (KeyError, OSError):  # KeyError before Python 3.13
        os.environ["LOGNAME"] = str(os.getuid())


def _cpuinfo(path: Path) -> list[str]:
    try:
        return Path(path).read_text(errors="replace").splitlines()
    except OSError:
        return []


def processor_flags(path: Path = Path("/proc/cpuinfo")) -> frozenset[str]:
    """The instruction sets that Linux reports for the first processor; empty without a report.

    An emulated process sees the report of the machine beneath, in that one's word.
    """
    word = "flags" if architecture() == "amd64" else "Features"
    for line in _cpuinfo(path):
        name, _, value = line.partition(":")
        if name.strip() == word:
            return frozenset(value.split())
    return frozenset()


def architecture() -> str:
    """amd64 or arm64, as images name it; any other as the system names it."""
    machine = platform.machine()
    return ARCHITECTURES.get(machine, machine)


def machine_kind() -> str:
    """The architecture, and the instructions that decide how a network is computed.

    Two machines of one kind answer alike in each precision. Such as "amd64 avx2 avx512_vnni".
    """
    return " ".join([architecture(), *sorted(processor_flags() & KIND_FLAGS)])


def processor_name(path: Path = Path("/proc/cpuinfo")) -> str:
    """The processor as lscpu names it, and how it multiplies int8; "unknown" without a report."""
    name = "unknown"
    for line in _cpuinfo(path):
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            name = value.strip()
            break
    flags = processor_flags(path)
    found = [word for flag, word in INT8_FLAGS.items() if flag in flags]
    if found:
        return f"{name} with {' and '.join(found)}"
    lacking = "VNNI" if architecture() == "amd64" else "DotProd"
    return f"{name} without {lacking}"


def memory_limit(cgroup: Path = CGROUP) -> int:
    """Bytes this process may use: the machine's memory, or less when a cgroup (v2, v1) says so."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = _number(cgroup / "memory.max", cgroup / "memory/memory.limit_in_bytes")
    if limit is None:
        return total
    return min(total, limit)


def memory_left(cgroup: Path = CGROUP, meminfo: Path = Path("/proc/meminfo")) -> int:
    """Bytes that can still be taken: until the cgroup's limit or the machine's, whichever is less.

    File contents that the kernel can drop do not count as used.
    """
    lines = dict(line.split(":") for line in meminfo.read_text().splitlines())
    available = int(lines["MemAvailable"].split()[0]) * 1024  # in kB
    used = _number(cgroup / "memory.current", cgroup / "memory/memory.usage_in_bytes")
    limit = _number(cgroup / "memory.max", cgroup / "memory/memory.limit_in_bytes")
    if used is None or limit is None:
        return available
    return min(available, limit - used + _droppable(cgroup))


def folder_room(folder: Path, mounts: Path = Path("/proc/self/mountinfo")) -> int:
    """Bytes that new files in a folder may take.

    Of a folder in memory (tmpfs) at most half of what memory is left: programs need the rest.
    """
    free = shutil.disk_usage(folder).free
    device = folder.stat().st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    for line in mounts.read_text().splitlines():
        mount, _, system = line.partition(" - ")
        # fields of proc(5): the third is the device, and the type comes first after the hyphen
        if mount.split()[2] == number and system.split()[0] in IN_MEMORY:
            return min(free, memory_left() // 2)
    return free


def _droppable(cgroup: Path) -> int:
    """Bytes of file contents in the cgroup's memory."""
    for path in (cgroup / "memory.stat", cgroup / "memory/memory.stat"):
        if path.is_file():
            statistics = dict(line.split() for line in path.read_text().splitlines())
            return int(statistics.get("inactive_file", 0)) + int(statistics.get("active_file", 0))
    return 0


def _number(*paths: Path) -> int | None:
    """The number in the first file that exists; None for "no limit", or without such a file."""
    for path in paths:
        try:
            text = path.read_text().strip()
        except OSError:
            continue
        return None if text == "max" else int(text)
    return None


def trim_memory() -> None:
    """Return the C library's freed memory to the system, where it can."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim:
        trim(0)


def give_memory_back() -> None:
    """Have glibc return large blocks to the system when they are freed.

    By default it raises its threshold to the largest block so far, and keeps smaller ones for each
    thread: a few photos of 40 million pixels then hold a gigabyte for good. With another C library
    this does nothing.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt:
        mallopt(M_MMAP_THRESHOLD, MMAP_BYTES)
        mallopt(M_ARENA_MAX, 2)
