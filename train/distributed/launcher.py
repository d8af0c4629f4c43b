"""Starts a training as one process a GPU, on all of the job's hosts, by torch's own launcher; stays in front of them as PID 1.

Each host runs this, knowing only resourceconfig.json. The workers are `python -m train` again, told by their environment that
they are workers. A failure of one ends all, everywhere; a stop is passed on, and all leave by themselves.
"""

import logging
import os
import signal
import socket
import sys
import threading
import time

import psutil

from artifact.machine import cpu_count
from train.distributed.board import Board
from train.distributed.rendezvous import hosts
from train.failure import BROKEN, FAILED, SUCCEEDED, report_failure
from train.job import Job, JobError
from train.stop import Stop

PORT = 7777  # as AWS's own launchers use between a job's hosts
HOSTS_S = 900.0  # until all hosts must be up
LINGER_S = (
    15.0  # that the first host stays after a failure, so that others can still read the reason
)
SHUTDOWN_S = 20  # from the failure of one process until the others of its host are killed
WAITING_S = 10.0  # from a stop before there are workers until the hosts are waited for no longer

log = logging.getLogger(__name__)


def processes_here() -> int:
    """Processes for this host: SLIPWAY_PROCESSES, else its GPUs, else 1. JobError for a wrong number."""
    asked = os.environ.get("SLIPWAY_PROCESSES")
    if not asked:
        import torch

        return max(1, torch.cuda.device_count())
    if not asked.isdigit() or int(asked) < 1:
        raise JobError(f"SLIPWAY_PROCESSES must be a whole number of at least 1; found '{asked}'")
    return int(asked)


def launch(job: Job, stop: Stop, processes: int) -> int:
    """Run so many workers on this host, and see them to their end; the exit code. JobError when the hosts do not come together."""
    names, host, _ = hosts(job)
    launch = _Launch(job, names, host, processes)
    log.info(
        "host %s, %d of %d, with %d processes; waiting at most %.0f s until all hosts are up",
        host,
        names.index(host) + 1,
        len(names),
        processes,
        HOSTS_S,
    )
    launch.start()
    told, asked = set(), None
    while launch.is_alive():
        launch.join(0.2)
        if not stop():
            continue
        asked = asked or time.monotonic()
        workers = psutil.Process().children()
        if not workers and not told and time.monotonic() - asked > WAITING_S:
            raise JobError("stopped before all hosts were up")
        for worker in workers:
            if worker.pid not in told:
                told.add(worker.pid)
                worker.send_signal(signal.SIGTERM)
    return launch.outcome()


class _Launch(threading.Thread):
    """torch's elastic agent in a thread, where it leaves signals alone: the main thread must hear them even while this one waits."""

    def __init__(self, job: Job, names: list[str], host: str, processes: int):
        super().__init__(name="launch", daemon=True)
        self.job, self.names, self.host, self.processes = job, names, host, processes
        self.place = names.index(host)
        self.address, self.port = (
            (names[0], PORT) if len(names) > 1 else ("127.0.0.1", _free_port())
        )
        self.board: Board | None = None
        self.error: Exception | None = None

    def run(self) -> None:
        # workers inherit this: a stop that comes while they start waits until they can take it (train/stop.py)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
        try:
            self._meet()
            self._work()
        except Exception as error:  # handed to the main thread
            self.error = error

    def _meet(self) -> None:
        """Open the board: at the first host's address, once its name and its port answer."""
        deadline, told = time.monotonic() + HOSTS_S, time.monotonic()
        while not _answers(self.address, None if self.place == 0 else self.port):
            if time.monotonic() > deadline:
                raise JobError(
                    f"host {self.names[0]} did not answer on port {self.port} within {HOSTS_S:.0f} s"
                )
            if time.monotonic() - told > 30:
                told = time.monotonic()
                log.info("still waiting for host %s", self.names[0])
            time.sleep(0.5)
        try:
            self.board = Board.at(self.address, self.port, HOSTS_S, serve=self.place == 0)
        except RuntimeError as error:
            raise JobError(
                f"no connection to host {self.names[0]} on port {self.port} ({str(error).splitlines()[0]})"
            ) from error

    def _work(self) -> None:
        from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs
        from torch.distributed.launcher.api import LaunchConfig, elastic_launch

        logging.getLogger("torch.distributed.elastic").setLevel(
            logging.CRITICAL
        )  # what matters of its words is told here
        os.environ.setdefault("OMP_NUM_THREADS", str(max(1, cpu_count() // self.processes)))
        config = LaunchConfig(
            len(self.names),
            len(self.names),
            self.processes,
            DefaultLogsSpecs(log_dir=os.devnull),
            "slipway",
            rdzv_backend="static",
            rdzv_endpoint=f"{self.address}:{self.port}",
            rdzv_configs={"rank": self.place, "timeout": int(HOSTS_S)},
            max_restarts=0,
            monitor_interval=0.2,
            shutdown_timeout=SHUTDOWN_S,
        )
        elastic_launch(config, sys.executable)("-m", "train", "--root", str(self.job.root))

    def outcome(self) -> int:
        """The exit code after the workers' end; a failure that no worker could tell of is told, here and to the other hosts."""
        from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

        if self.error is None:
            return SUCCEEDED
        if isinstance(self.error, JobError):
            raise self.error
        if not isinstance(self.error, ChildFailedError):
            raise JobError(
                f"the {len(self.names)} hosts ({', '.join(self.names)}) did not come together within {HOSTS_S:.0f} s "
                f"({(str(self.error).splitlines() or [''])[0][:300]})"
            ) from self.error
        code = self._tell_failure(self.error.get_first_failure()[1])
        self._linger()
        return code

    def _tell_failure(self, failure) -> int:
        killed, told = failure.exitcode < 0, self.job.failure()
        if killed or not told:
            how = (
                f"was killed by {failure.signal_name()}"
                if killed
                else f"ended with code {failure.exitcode}"
            )
            hint = (
                "; the kernel does that to a machine out of memory"
                if failure.exitcode == -signal.SIGKILL
                else ""
            )
            own = f"process {failure.local_rank} of {self.processes} {how}{hint}"
            report_failure(
                self.job, JobError(own if len(self.names) == 1 else f"{self.host} failed: {own}")
            )
            if self.board:
                try:
                    self.board.tell("failure", f"{self.host} failed: {own}")
                except RuntimeError as error:
                    log.info("the other hosts could not be told (%s)", str(error).splitlines()[0])
        return BROKEN if failure.exitcode == BROKEN else FAILED

    def _linger(self) -> None:
        """The board goes with the first host: it waits until the others have left, or long enough."""
        try:
            if self.place:
                self.board.tell(f"left {self.host}")
                return
            deadline = time.monotonic() + LINGER_S
            while time.monotonic() < deadline and not all(
                self.board.word(f"left {name}") for name in self.names[1:]
            ):
                time.sleep(0.2)
        except RuntimeError:
            log.info("host %s is gone already", self.names[0])


def _answers(address: str, port: int | None) -> bool:
    """Whether a name is known and, where a port is given, somebody listens there."""
    try:
        if port is None:
            return bool(socket.getaddrinfo(address, None))
        socket.create_connection((address, port), timeout=5).close()
        return True
    except OSError:
        return False


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]
