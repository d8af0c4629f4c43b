"""python -m runtime.reaper: ends the processes and containers that its parent leaves behind.

The parent writes one line for each: `+ PID` or `+ container NAME` when it starts one, the same with
`-` when that has ended. The pipe closes when the parent ends, even by SIGKILL; what is left then
gets SIGTERM, and SIGKILL after a grace. It needs no system call of Linux's, so macOS has it too.
"""

import atexit
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from runtime import docker

GRACE_S = 10  # nobody waits for the results any more
LOOK_S = 0.05


@dataclass
class _Reaper:
    """The reaper of one process. pid: that process; input: the pipe, None before the first use."""

    pid: int
    input: IO[bytes] | None = None
    entrusted: set[str] = field(default_factory=set)


_turn = threading.RLock()
_own = _Reaper(pid=0)


def make_ready() -> None:
    """Start this process's reaper, so that `entrust` takes no time."""
    global _own
    with _turn:
        if _own.pid != os.getpid():  # a fork has its parent's pipe, and children of its own
            _own = _Reaper(os.getpid(), _start())


def entrust(pid: int, container: str = "") -> None:
    """Have a process, the leader of its session, ended when this process has ended before it.

    container: the name of one that goes with it.
    """
    with _turn:
        for name in _names(pid, container):
            _tell("+", name)


def release(pid: int, container: str = "") -> None:
    """Take back what `entrust` said, once it has ended."""
    with _turn:
        for name in _names(pid, container):
            if name in _own.entrusted:
                _tell("-", name)


def _names(pid: int, container: str) -> list[str]:
    names = [str(pid)]
    if container:
        names.append(f"container {container}")
    return names


def _tell(sign: str, name: str) -> None:
    """One line to this process's reaper, which is started with the first one."""
    make_ready()
    changed = {"+": _own.entrusted.add, "-": _own.entrusted.discard}[sign]
    changed(name)
    assert _own.input is not None  # it was started above
    with suppress(OSError):  # somebody killed it: nothing else depends on it
        _own.input.write(f"{sign} {name}\n".encode())
        _own.input.flush()


def _start() -> IO[bytes]:
    """The pipe to a new reaper. It has a session of its own: no signal to this group ends it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "runtime.reaper"],
        cwd=os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert process.stdin is not None  # it is a pipe
    atexit.register(_close, process)
    return process.stdin


def _close(process: subprocess.Popen[bytes]) -> None:
    """Let the reaper go. It is waited for where it has nothing to end."""
    if _own.pid != os.getpid() or process.stdin is None:
        return
    with suppress(OSError):
        process.stdin.close()
    if not _own.entrusted:
        process.wait()


# --- the reaper itself ---


def left_behind(lines: Iterable[str]) -> set[str]:
    """What is entrusted and not taken back when the lines end."""
    left: set[str] = set()
    for line in lines:
        sign, _, name = line.rstrip("\n").partition(" ")
        if sign == "+":
            left.add(name)
        else:
            left.discard(name)
    return left


def end(left: Iterable[str]) -> None:
    """SIGTERM to all of it, and SIGKILL to what runs on after the grace."""
    pids = [int(name) for name in left if name.isdigit()]
    containers = [name.removeprefix("container ") for name in left if not name.isdigit()]
    for pid in pids:
        _send(pid, signal.SIGTERM)
    stopping = [threading.Thread(target=docker.stop, args=(name, GRACE_S)) for name in containers]
    for thread in stopping:
        thread.start()
    deadline = time.monotonic() + GRACE_S
    while any(_runs(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(LOOK_S)
    for pid in pids:
        with suppress(OSError):  # its children may outlive it
            os.killpg(pid, signal.SIGKILL)
    for thread in stopping:
        thread.join()
    docker.remove(*containers)


def _send(pid: int, number: int) -> None:
    with suppress(OSError):  # it has just ended
        os.kill(pid, number)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    try:  # on Linux; in some containers nobody takes an orphan's exit code, and it stays a zombie
        return b") Z " not in Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return sys.platform != "linux"


def main() -> int:
    """Wait until the parent has ended, then end what it left."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the parent's end is the only one
    end(left_behind(sys.stdin))
    return 0


if __name__ == "__main__":
    sys.exit(main())
