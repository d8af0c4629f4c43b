"""Ports for the servers that are started here.

The system may give one free port to two processes, before the first one's server has bound it:
where many start side by side, some of them collide. So each process takes a block of ports for
itself, below those that the system gives to clients.
"""

import fcntl
import os
import socket
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path

FIRST = 12000
BLOCK = 100  # ports
BLOCKS = 200


@dataclass
class _Block:
    """The ports of one process. number: None where no block could be taken."""

    pid: int
    number: int | None = None
    next: int = 0  # place in the block of the port to try first
    handle: int = -1  # of the lock's file; the block is taken while it is open


_turn = threading.Lock()
_own = _Block(pid=0)


def free_port() -> int:
    """A port without a listener, which no other process gets here in the meantime."""
    global _own
    with _turn:
        if _own.pid != os.getpid():  # a fork has its parent's block, but shares it
            _own = _take_block()
        if _own.number is not None:
            for _ in range(BLOCK):
                port = FIRST + _own.number * BLOCK + _own.next % BLOCK
                _own.next += 1
                if _bound(port):
                    return port
        return _bound(0)


def _take_block() -> _Block:
    """A block that no living process holds; one without a number where all are held."""
    pid = os.getpid()
    folder = Path(tempfile.gettempdir()) / f"slipway-ports-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        for turn in range(BLOCKS):
            number = (pid + turn) % BLOCKS
            handle = _lock(folder / str(number))
            if handle is not None:
                return _Block(pid, number, handle=handle)
    except OSError:
        pass  # this machine has no folder for the locks
    return _Block(pid)


def _lock(path: Path) -> int | None:
    """The open file of a lock; None while another process holds it. The kernel frees it at exit."""
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    handle = os.open(path, flags, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    return handle


def _bound(port: int) -> int:
    """The port, after it was bound for a moment; 0 when it is taken."""
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return 0
        number: int = probe.getsockname()[1]
        return number
