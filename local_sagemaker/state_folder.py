"""The folder of a server's state: one server at a time, its clients' variables, its end.

`slipway local-sagemaker env` and `stop` find the server by it, from any shell.
"""

import fcntl
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from artifact.host.listening import bypassed, names_proxy
from artifact.text.json_text import read_json
from local_sagemaker.access.access import EXPORTS, as_exports, read_exports
from local_sagemaker.access.own_requests import signed
from local_sagemaker.options import PROGRAM
from recipes.command_line import typed
from runtime.errors import RunError

LOCK = "server.lock"  # held by the server, with its number in it
APPEAR_S = 20  # for a server that has just been started in the background
STOP_S = 180  # longer than all that runs may take to stop
SAY_EVERY_S = 10
LOOK_S = 0.1
TRIES = 5
# A user's own settings, which would go before the exports or beside them
UNSET = "unset AWS_PROFILE AWS_DEFAULT_PROFILE AWS_SESSION_TOKEN AWS_SECURITY_TOKEN\n"


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Be the only server of the folder. RunError where there is one."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / LOCK, "a+", encoding="ascii") as file:
        if not _locked(file):
            raise RunError(
                f"another server is at work in '{folder}'; end it with `{typed(PROGRAM)} stop`, "
                "or name another --state"
            )
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        (folder / EXPORTS).unlink(missing_ok=True)  # of an earlier server, whose key is void
        yield


def _locked(file: IO[str]) -> bool:
    """Take the lock. It may be held for a moment by those who look for a server (`holder`)."""
    for _ in range(TRIES):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(LOOK_S)
        else:
            return True
    return False


def holder(folder: Path) -> int | None:
    """The number of the process that serves this folder; None where none does."""
    try:
        with open(folder / LOCK, encoding="ascii") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return int(file.read() or 0)
    except FileNotFoundError:
        pass
    return None


def exports_when_ready(folder: Path, environment: Mapping[str, str] = os.environ) -> str:
    """Shell commands by which clients find the server, once it answers. RunError without one.

    environment: of the shell that takes them; where it names a proxy, they pass it by.
    """
    started = time.monotonic()
    said = started
    while True:
        variables = _answering(folder)
        if variables:
            if names_proxy(environment):
                variables |= bypassed(environment)
            return UNSET + as_exports(variables)
        now = time.monotonic()
        if holder(folder) is None and now - started > APPEAR_S:
            raise RunError(f"no server is at work in '{folder}'; start one: {typed(PROGRAM)} &")
        if now - said > SAY_EVERY_S:
            print("sagemaker: waiting until the server answers", file=sys.stderr, flush=True)
            said = now
        time.sleep(LOOK_S)


def _answering(folder: Path) -> dict[str, str]:
    """The variables of the server in the folder where it answers by its key; none otherwise."""
    try:
        variables = read_exports(folder)
        signed("GET", "/local/ready", variables)
    except (OSError, KeyError, ValueError):  # URLError and HTTPError are OSErrors
        return {}
    return variables


def console_link(folder: Path) -> str:
    """A new link that opens the server's console once. RunError without a server."""
    variables = _answering(folder)
    if not variables:
        raise RunError(f"no server answers in '{folder}'; start one: {typed(PROGRAM)} &")
    answer = read_json(signed("POST", "/local/console-links", variables))
    return f"{variables['AWS_ENDPOINT_URL_SAGEMAKER']}{answer['path']}"


def stop(folder: Path) -> None:
    """End the server and wait until it has ended. RunError where there is none, or it stays."""
    number = holder(folder)
    if not number:
        raise RunError(f"no server is at work in '{folder}'")
    os.kill(number, signal.SIGTERM)
    deadline = time.monotonic() + STOP_S
    while holder(folder) == number:
        if time.monotonic() > deadline:
            raise RunError(f"the server (process {number}) did not end within {STOP_S} s")
        time.sleep(LOOK_S)
