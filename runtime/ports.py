"""Ports for the servers that are started here.

Asking the system for any port gives one that another process may be given, too, before this one's server has bound it: where many start
side by side, some meet. So each process takes a block of ports for itself, below those that the system gives to clients.
"""

import fcntl
import os
import socket
import tempfile
import threading
from pathlib import Path

FIRST, BLOCK, BLOCKS = 12000, 100, 200

_turn = threading.Lock()
_own: dict[
    str, int
] = {}  # pid, number of the block, the next port's place in it, and the lock's handle, which is kept open


def free_port() -> int:
    """A port of this machine that nobody listens on, and that no other process is given here meanwhile."""
    with _turn:
        if _own.get("pid") != os.getpid():  # a fork has its parent's, but not alone
            _own.clear()
            _own.update(_block())
        for _ in range(BLOCK if "block" in _own else 0):
            port = FIRST + _own["block"] * BLOCK + _own["next"] % BLOCK
            _own["next"] += 1
            if _bound(port):
                return port
        return _bound(0)


def _block() -> dict[str, int]:
    """A block that no living process holds; the pid alone where there is none."""
    folder = Path(tempfile.gettempdir()) / f"slipway-ports-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        for turn in range(BLOCKS):
            block = (os.getpid() + turn) % BLOCKS
            handle = os.open(
                folder / str(block), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600
            )
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return {"pid": os.getpid(), "block": block, "next": 0, "handle": handle}
            except BlockingIOError:
                os.close(handle)
    except OSError:
        pass  # nowhere to keep locks
    return {"pid": os.getpid()}


def _bound(port: int) -> int:
    """The port, after binding it for a moment; 0 when it is taken."""
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return 0
        return probe.getsockname()[1]
