"""One `python -m tune.worker` as the tuner sees it: started, started again when it dies, ended."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from artifact.host.machine import cpu_count
from runtime import reaper
from runtime.processes import Started
from tune.errors import SearchError
from tune.search_settings import SearchSettings

MOST_DEATHS = 3  # of one worker in a row, with no trial finished in between


class WorkerProcess:
    """A worker by its number, from 0. workers: how many there are; gpus: their numbers, if any."""

    def __init__(
        self, settings: SearchSettings, number: int, workers: int, gpus: list[str]
    ) -> None:
        self.settings = settings
        self.number = number
        self._environment = os.environ | {
            "OMP_NUM_THREADS": str(_threads(workers)),
            "PYTHONUNBUFFERED": "1",
        }
        if gpus:
            self._environment["CUDA_VISIBLE_DEVICES"] = gpus[number]
        self._process: subprocess.Popen[bytes] | None = None
        self._deaths = 0
        self._finished = 0  # trials at its last death

    def start(self) -> None:
        """Start it; its output goes to a file in the output folder."""
        numbers = [str(self.number), str(os.getpid())]
        command = [sys.executable, "-m", "tune.worker", str(self.settings.out), *numbers]
        with open(self._log, "ab") as log:
            self._process = Started(
                command,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=self._environment,
                start_new_session=True,  # Ctrl-C is for the tuner, which passes it on
            )
        reaper.entrust(self._process.pid)
        # A database's URL may hold a password, so it is neither an argument nor in a file.
        stdin = self._process.stdin
        assert stdin is not None
        with stdin:
            stdin.write((self.settings.storage or "").encode())

    def gone(self) -> bool:
        """Whether it has ended."""
        if self._process is None:
            return False
        return self._process.poll() is not None

    def again(self, finished: int) -> str:
        """Start it again; a sentence on how it ended. finished: trials so far.

        SearchError when it fails again and again.
        """
        assert self._process is not None  # it was gone()
        code = self._process.returncode
        if finished != self._finished:
            self._deaths = 0
        self._deaths += 1
        self._finished = finished
        if code < 0:
            cause = f"was killed by signal {signal.Signals(-code).name}"
        else:
            cause = f"ended with code {code}"
        if self._deaths >= MOST_DEATHS and code >= 0:
            printed = self._log.read_text(encoding="utf-8", errors="replace")
            last = "".join(printed.strip().splitlines()[-1:])
            raise SearchError(
                f"worker {self.number} {cause}, {self._deaths} times in a row: {last} "
                f"(see '{self._log}')"
            )
        self.start()
        return f"worker {self.number} {cause}; started again"

    @property
    def _log(self) -> Path:
        return self.settings.out / f"worker-{self.number}.log"

    def ask_to_leave(self) -> None:
        """SIGTERM: its trial ends early and is left to be done again."""
        if self._process and self._process.poll() is None:
            self._process.terminate()

    def end(self, deadline: float) -> None:
        """Wait until it has left, or kill it. deadline: of time.monotonic()."""
        if self._process:
            try:
                self._process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


def _threads(workers: int) -> int:
    """Threads of one worker: its share of the cores, or fewer where the caller says so."""
    share = max(1, cpu_count() // workers)  # more threads than cores slow each other down
    given = os.environ.get("OMP_NUM_THREADS", "")
    if given.isdigit() and int(given):
        return min(share, int(given))
    return share
