"""AWS on this machine, for one run: local SageMaker, moto's server, Debian's docker-registry.

moto stands in for the services beside SageMaker. Each is a process on a free port of 127.0.0.1
until its block ends. Nothing outside this machine is asked, and no credentials are read.
"""

import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3

from local_sagemaker.access.access import read_exports
from runtime import reaper
from runtime.errors import RunError
from runtime.ports import free_port
from runtime.processes import REPOSITORY, Started

START_S = 240  # moto takes seconds to load on a busy machine
STOP_S = 150  # local SageMaker stops its containers first
REGION = "eu-west-1"
REGISTRY = (
    "version: 0.1\nstorage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: 'localhost:%d'}\n"
)
# No file and no metadata server is asked: real credentials of this machine are never used.
NOBODY = {
    "AWS_ACCESS_KEY_ID": "nobody",
    "AWS_SECRET_ACCESS_KEY": "nobody",
    "AWS_REGION": REGION,
    "AWS_DEFAULT_REGION": REGION,
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": "/nonexistent",
    "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
}


def environment_here(**more: str) -> dict[str, str]:
    """This process's environment without its AWS settings, with credentials that are nobody's."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return {**kept, **NOBODY, **more}


def client(service: str) -> Any:  # boto3 makes a client's operations at run time
    """boto3's client of a service, at the endpoint that the environment has."""
    return boto3.client(service)  # type: ignore[call-overload]  # names are literals there


@contextmanager
def moto(folder: Path, environment: dict[str, str], port: int = 0, role: str = "") -> Iterator[str]:
    """URL of moto's server, empty. port: 0 for a free one. role: a name, of every caller."""
    port = port or free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "local_sagemaker.aws.moto", "--port", str(port)]
    if role:
        command += ["--role", role]
    with program(
        command,
        folder / "moto.log",
        environment,
        lambda: answers(f"{url}/moto-api/"),
    ):
        yield url


@contextmanager
def registry(folder: Path, environment: dict[str, str], kept: Path | None = None) -> Iterator[str]:
    """host:port of a registry of images: an empty one below the folder.

    kept: a folder with the images of an earlier run, in its place.
    """
    port = free_port()
    images = (kept or folder / "registry").absolute()
    (folder / "registry.yml").write_text(REGISTRY % (images, port), encoding="utf-8")
    with program(
        ["docker-registry", "serve", str(folder / "registry.yml")],
        folder / "registry.log",
        environment,
        lambda: answers(f"http://localhost:{port}/v2/"),
    ):
        yield f"localhost:{port}"


@contextmanager
def sagemaker(folder: Path, engine: str, environment: dict[str, str]) -> Iterator[dict[str, str]]:
    """The variables with which clients find local SageMaker: its URLs and its key.

    Its state and work lie in folder/sagemaker.
    """
    port = free_port()
    command = [sys.executable, "-m", "local_sagemaker", "--alone", "--port", str(port)]
    command += ["--state", str(folder / "sagemaker"), "--engine", engine]
    url = f"http://127.0.0.1:{port}"
    with program(command, folder / "sagemaker.log", environment, lambda: answers(url)):
        yield read_exports(folder / "sagemaker")


@contextmanager
def program(
    command: list[str], log: Path, environment: dict[str, str], ready: Callable[[], bool]
) -> Iterator[None]:
    """A server that is ready, until the block ends.

    RunError, with its last lines, when it does not get ready.
    """
    with open(log, "wb") as file, _deaf_to_ctrl_c():
        try:
            process = Started(
                command,
                cwd=REPOSITORY,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        except FileNotFoundError as error:
            raise RunError(
                f"'{command[0]}' is not installed; on Debian: apt-get install {command[0]}"
            ) from error
    reaper.entrust(process.pid)
    try:
        deadline = time.monotonic() + START_S
        while not ready():
            if process.poll() is not None or time.monotonic() > deadline:
                printed = log.read_text(encoding="utf-8", errors="replace")[-2000:]
                raise RunError(f"'{' '.join(command[:3])}' did not start: {printed}")
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        try:
            process.wait(timeout=STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def _deaf_to_ctrl_c() -> Iterator[None]:
    """What is started in the block ignores SIGINT, unless it says otherwise itself.

    Ctrl-C reaches all of a terminal's programs at once; this one ends its servers in turn.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set what a signal does
        return
    earlier = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, earlier)


def answers(url: str) -> bool:
    """Whether a server answers there, with any status."""
    try:
        urllib.request.urlopen(url, timeout=2).close()
    except urllib.error.HTTPError as error:
        error.close()  # it holds the open connection
        return True
    except OSError:
        return False
    return True
