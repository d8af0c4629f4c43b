"""The memory of this process, as Linux counts it."""

from pathlib import Path


def memory_mb(name: str) -> float:
    """This process's memory (VmRSS), its own (RssAnon) or its peak so far (VmHWM), MiB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / 1024
    raise ValueError(f"/proc/self/status has no line '{name}'")
