"""Asks a server whether it is there: GET /ping, once or until it answers 200."""

import errno
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable

from runtime.errors import RunError
from runtime.timeouts import PING_S, SERVE_START_S

REACH_S = 1.0
BETWEEN_S = 0.05  # two pings of a server that starts


def ping(url: str, timeout_s: float = PING_S) -> int:
    """The status of GET /ping; 0 when no server answers."""
    try:
        with urllib.request.urlopen(f"{url}/ping", timeout=timeout_s) as answer:
            status: int = answer.status
            return status
    except urllib.error.HTTPError as error:
        error.close()  # it holds the open connection
        return error.code
    except OSError:
        return 0


def is_reached(address: str, port: int) -> bool:
    """Whether connections from here reach an address; one that is refused there does."""
    with socket.socket() as probe:
        probe.settimeout(REACH_S)
        return probe.connect_ex((address, port)) in (0, errno.ECONNREFUSED)


def wait_ready(
    ready: Callable[[], bool], code: Callable[[], int | None], timeout_s: float = SERVE_START_S
) -> None:
    """Return once `ready` is true. RunError when the server has an exit code before, or is late."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        exit_code = code()
        if exit_code is not None:
            raise RunError(f"the server ended with code {exit_code} before it answered /ping")
        if ready():
            return
        time.sleep(BETWEEN_S)
    raise RunError(f"the server did not answer /ping within {timeout_s} s")
