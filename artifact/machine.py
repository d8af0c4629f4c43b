"""What this process may use of its machine: a container's share, not the host's cores and memory."""

import ctypes
import os
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")
M_MMAP_THRESHOLD, M_ARENA_MAX = -3, -8  # mallopt's numbers in malloc.h
MMAP_BYTES = 1024 * 1024


def cpu_count(cgroup: Path = CGROUP) -> int:
    """Cores this process may use: its affinity, or less when a cgroup (v2, v1) limits its share of them."""
    cores = len(os.sched_getaffinity(0))
    for quota_file, period_file in (
        (cgroup / "cpu.max", None),
        (cgroup / "cpu/cpu.cfs_quota_us", cgroup / "cpu/cpu.cfs_period_us"),
    ):
        try:
            words = quota_file.read_text().split()
            words += period_file.read_text().split() if period_file else []
        except OSError:
            continue
        if words[0] not in ("max", "-1"):
            return max(1, min(cores, round(int(words[0]) / int(words[1]))))
    return cores


def memory_limit(cgroup: Path = CGROUP) -> int:
    """Bytes this process may use: the machine's memory, or less when a cgroup (v2, v1) says so."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = _number(cgroup / "memory.max", cgroup / "memory/memory.limit_in_bytes")
    return total if limit is None else min(total, limit)


def memory_left(cgroup: Path = CGROUP, meminfo: Path = Path("/proc/meminfo")) -> int:
    """Bytes that can still be taken before the limit: of the cgroup's, the machine's, whichever is nearer.

    What the cgroup holds of files that can be dropped does not count as used.
    """
    lines = dict(line.split(":") for line in meminfo.read_text().splitlines())
    available = int(lines["MemAvailable"].split()[0]) * 1024
    used = _number(cgroup / "memory.current", cgroup / "memory/memory.usage_in_bytes")
    limit = _number(cgroup / "memory.max", cgroup / "memory/memory.limit_in_bytes")
    if used is None or limit is None:
        return available
    return min(available, limit - used + _droppable(cgroup))


def _droppable(cgroup: Path) -> int:
    for path in (cgroup / "memory.stat", cgroup / "memory/memory.stat"):
        if path.is_file():
            statistics = dict(line.split() for line in path.read_text().splitlines())
            return int(statistics.get("inactive_file", 0)) + int(statistics.get("active_file", 0))
    return 0


def _number(*paths: Path) -> int | None:
    """The number in the first of the files that is there; None where it says that there is no limit."""
    for path in paths:
        try:
            text = path.read_text().strip()
        except OSError:
            continue
        return None if text == "max" else int(text)
    return None


def trim_memory() -> None:
    """Return what the C library holds of freed memory to the system, where it can."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim:
        trim(0)


def give_memory_back() -> None:
    """Have glibc return large blocks to the system when they are freed.

    By default it raises its threshold to the largest block it has seen, and keeps those for each thread: a few photos of
    40 million pixels then hold a gigabyte for good. Elsewhere than on glibc this does nothing.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt:
        mallopt(M_MMAP_THRESHOLD, MMAP_BYTES)
        mallopt(M_ARENA_MAX, 2)
