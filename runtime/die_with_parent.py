"""python -m runtime.die_with_parent COMMAND…: run a command that gets SIGTERM when who started it dies, however that was killed. On Linux."""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # in linux/prctl.h


def follow(parent: int) -> None:
    """Have the kernel send this process SIGTERM when its parent ends. SystemExit when it is gone already."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        sys.exit(1)


def leashed(command: list[str]) -> list[str]:
    """The command that runs another so."""
    return [sys.executable, "-m", "runtime.die_with_parent", str(os.getpid()), *command]


if __name__ == "__main__":
    follow(int(sys.argv[1]))
    os.execvp(sys.argv[2], sys.argv[2:])
