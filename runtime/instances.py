"""What stands in for one of SageMaker's instances: a started process or container.

An instance's output is read line by line. It knows nothing of jobs and endpoints.
"""

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from runtime import docker, processes
from runtime.probes import ping

OUTPUT_S = 5  # for the last lines of output, after the end of the process


class Instance:
    """A started process.

    on_line: gets each line of its output; without it, they go to this process's own output.
    """

    name = ""  # of a container

    def __init__(
        self,
        arguments: list[str],
        on_line: Callable[[str], None] | None,
        port: int = 0,
        environment: Mapping[str, str] | None = None,
        folder: Path = processes.REPOSITORY,
    ) -> None:
        self._port = port
        self._process = processes.start(
            arguments, environment, folder, piped=bool(on_line), container=self.name
        )
        self._reader: threading.Thread | None = None
        if on_line:
            self._reader = threading.Thread(target=self._read, args=(on_line,), daemon=True)
            self._reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def processes(self) -> list[int]:
        """Its processes as this machine numbers them, the first one first; none where unknown."""
        return processes.below(self.pid)

    def code(self) -> int | None:
        """The exit code, 128 + number for a signal; None while it runs.

        The code is given only after all output has been read.
        """
        code = self._process.poll()
        if code is None:
            return None
        if self._reader:
            self._reader.join(timeout=OUTPUT_S)
        if code < 0:  # Popen's -N for signal N, as shells and Docker have it
            return 128 - code
        return code

    def url(self) -> str | None:
        """Where it serves; None while that is not known."""
        return f"http://127.0.0.1:{self._port}"

    def ready(self) -> bool:
        """Whether GET /ping answers 200 within SageMaker's 2 seconds."""
        url = self.url()
        return url is not None and ping(url) == 200

    def stop(self, grace_s: int) -> None:
        """SIGTERM, and SIGKILL after the grace. It returns when the process has ended."""
        if self._process.poll() is not None:
            return
        self._ask_to_stop(grace_s)
        if not self.wait(grace_s):
            self.kill()

    def terminate(self) -> None:
        """SIGTERM; it has been sent when this returns."""
        self._process.send_signal(signal.SIGTERM)

    def wait(self, seconds: float | None = None) -> bool:
        """Whether it has ended within this time, or None for ever. Its children may still run."""
        try:
            self._process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def kill(self) -> None:
        """SIGKILL to it and to its children."""
        with suppress(ProcessLookupError):  # all have ended
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _ask_to_stop(self, grace_s: int) -> None:
        self.terminate()

    def _read(self, on_line: Callable[[str], None]) -> None:
        for line in processes.lines(self._process):
            on_line(line)


class ContainerInstance(Instance):
    """A started container. Its process here is the client, `docker run`, which ends with it."""

    def __init__(
        self, arguments: list[str], on_line: Callable[[str], None] | None, name: str
    ) -> None:
        self.name = name
        self._url: str | None = None
        self._first: int | None = None  # of its processes
        super().__init__(arguments, on_line)

    def processes(self) -> list[int]:
        if self._first is None:
            self._first = next(iter(docker.processes(self.name)), None)
        return processes.below(self._first) if self._first else []

    def url(self) -> str | None:
        if self._url is None:
            self._url = docker.published_url(self.name)
        return self._url

    def terminate(self) -> None:
        docker.terminate(self.name)

    def kill(self) -> None:
        docker.remove(self.name)
        self._process.wait()

    def _ask_to_stop(self, grace_s: int) -> None:
        docker.stop(self.name, grace_s)


def stop_all(instances: Iterable[Instance], grace_s: int) -> None:
    """Stop several side by side: none waits for another's grace."""
    threads = [threading.Thread(target=instance.stop, args=(grace_s,)) for instance in instances]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
