"""python -m runtime.die_with_parent PARENT COMMAND…: runs a command that dies with its parent.

The kernel sends it SIGTERM when the parent ends, even by SIGKILL. On Linux.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # in linux/prctl.h


def die_with_parent(parent: int) -> None:
    """Have the kernel send this process SIGTERM when its parent ends.

    SystemExit when the parent has ended already.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it ended before prctl: no signal will come
        sys.exit(1)


def dying_with_this_process(command: list[str]) -> list[str]:
    """The command line that runs a command so, as a child of this process."""
    return [sys.executable, "-m", "runtime.die_with_parent", str(os.getpid()), *command]


if __name__ == "__main__":
    die_with_parent(int(sys.argv[1]))
    os.execvp(sys.argv[2], sys.argv[2:])
