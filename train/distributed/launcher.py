"""Starts a training as one process per GPU, on all of the job's hosts, by torch's own launcher.

Each host runs this as PID 1, knowing only resourceconfig.json. The workers are `python -m train`
again; their environment makes them workers. A failure of one ends all, on every host. A stop is
passed on to the workers, which leave by themselves.
"""

import logging
import os
import signal
import socket
import sys
import threading
import time
from typing import TYPE_CHECKING

import psutil

from artifact.host.machine import cpu_count
from train.distributed.board import PATIENCE_S, Board
from train.distributed.launcher_watch import LAUNCHER_VARIABLE
from train.distributed.rendezvous import hosts
from train.failure import BROKEN, FAILED, SUCCEEDED, report_failure
from train.job import Job, JobError
from train.stop import Stop

if TYPE_CHECKING:
    from torch.distributed.elastic.multiprocessing.errors import ProcessFailure

PORT = 7777  # of the first host, as AWS's own launchers use between a job's hosts
PORT_VARIABLE = "SLIPWAY_RENDEZVOUS_PORT"
HOSTS_S = 900.0  # until all hosts must be up
LINGER_S = 15.0  # the first host stays this long after a failure, so that others read the reason
WAITING_S = 10.0  # from a stop before there are workers until the hosts are waited for no longer
LOOK_S = 0.2  # between two looks at the workers, and at the board

log = logging.getLogger(__name__)


def processes_here() -> int:
    """Processes for this host: SLIPWAY_PROCESSES, else its GPUs, else 1."""
    asked = _whole_number("SLIPWAY_PROCESSES")
    if asked is None:
        import torch

        return max(1, torch.cuda.device_count())
    return asked


def rendezvous_port() -> int:
    """The first host's port where all hosts meet: SLIPWAY_RENDEZVOUS_PORT, else 7777."""
    return _whole_number(PORT_VARIABLE, 65535) or PORT


def _whole_number(variable: str, most: int = sys.maxsize) -> int | None:
    """The value of an environment variable; None without one. JobError for a wrong one."""
    text = os.environ.get(variable)
    if not text:
        return None
    if text.isdigit() and 1 <= int(text) <= most:
        return int(text)
    bounds = f"from 1 to {most}"
    if most == sys.maxsize:
        bounds = "of at least 1"
    raise JobError(f"{variable} must be a whole number {bounds}; found '{text}'")


def launch(job: Job, stop: Stop, processes: int) -> int:
    """Run this many workers on this host until they end; the exit code.

    JobError when the hosts do not come together.
    """
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
    stopped: set[int] = set()  # process ids of workers that have got the stop
    while launch.is_alive():
        launch.join(LOOK_S)
        if launch.is_alive():
            launch.check_first_host()
        if stop():
            _pass_on(stop, stopped)
    return launch.outcome()


def _pass_on(stop: Stop, stopped: set[int]) -> None:
    """Send SIGTERM to the workers that have not got it. JobError when none came in time."""
    workers = psutil.Process().children()
    if not workers and not stopped and stop.age_s() > WAITING_S:
        raise JobError("stopped before all hosts were up")
    for worker in workers:
        if worker.pid not in stopped:
            stopped.add(worker.pid)
            worker.send_signal(signal.SIGTERM)


class _Launch(threading.Thread):
    """torch's elastic agent in a thread, where it leaves signals alone.

    The main thread must take signals even while this one waits.
    """

    def __init__(self, job: Job, names: list[str], host: str, processes: int) -> None:
        super().__init__(name="launch", daemon=True)
        self.job = job
        self.names = names
        self.host = host
        self.processes = processes
        self.rank = names.index(host)  # of this host
        self.address = names[0]
        self.port = rendezvous_port()
        if len(names) == 1:
            self.address = "127.0.0.1"
            self.port = _free_port()
        self.board: Board | None = None
        self.joined = False  # all workers of all hosts have met
        self.error: Exception | None = None

    def run(self) -> None:
        # Workers inherit this: a stop that comes while they start waits until they can take it.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
        try:
            self._meet()
            self._work()
        except Exception as error:  # handed to the main thread
            self.error = error

    def _meet(self) -> None:
        """Open the board at the first host's address, once its name and its port answer."""
        deadline = time.monotonic() + HOSTS_S
        logged_at = time.monotonic()
        awaited_port = self.port if self.rank else None  # the first host opens it itself
        while not _answers(self.address, awaited_port):
            if time.monotonic() > deadline:
                raise JobError(
                    f"host {self.names[0]} did not answer on port {self.port} "
                    f"within {HOSTS_S:.0f} s"
                )
            if time.monotonic() - logged_at > 30:
                logged_at = time.monotonic()
                log.info("still waiting for host %s", self.names[0])
            time.sleep(0.5)
        try:
            self.board = Board(self.address, self.port, HOSTS_S, serve=self.rank == 0)
        except RuntimeError as error:
            raise JobError(
                f"no connection to host {self.names[0]} on port {self.port} ({_first_line(error)})"
            ) from error

    def _work(self) -> None:
        from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs
        from torch.distributed.launcher.api import LaunchConfig, elastic_launch

        # This module logs the parts of its messages that matter.
        logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)
        os.environ[LAUNCHER_VARIABLE] = str(os.getpid())
        os.environ.setdefault("OMP_NUM_THREADS", str(max(1, cpu_count() // self.processes)))
        config = LaunchConfig(
            len(self.names),
            len(self.names),
            self.processes,
            DefaultLogsSpecs(log_dir=os.devnull),
            "slipway",
            rdzv_backend="static",
            rdzv_endpoint=f"{self.address}:{self.port}",
            rdzv_configs={"rank": self.rank, "timeout": int(HOSTS_S)},
            max_restarts=0,
            monitor_interval=LOOK_S,
        )
        elastic_launch(config, sys.executable)("-m", "train", "--root", str(self.job.root))

    def check_first_host(self) -> None:
        """JobError when the first host fails or goes before all workers have met.

        Later the workers watch the board themselves. Before that they, and torch's launcher,
        would wait for a host that is gone until their time-outs end, one after another.
        """
        failure = self._failure_before_meeting()
        if failure:
            for worker in psutil.Process().children():
                worker.kill()
            raise JobError(failure)

    def _failure_before_meeting(self) -> str | None:
        if self.rank == 0 or self.joined or self.board is None:
            return None
        try:
            self.joined = bool(self.board.read("joined"))
            failure = self.board.read("failure")
        except RuntimeError:
            failure = (
                f"host {self.names[0]} closed its connection on port {self.port} before all "
                "hosts were up; look into its log"
            )
        if self.joined:
            return None
        return failure

    def outcome(self) -> int:
        """The exit code after the workers' end.

        A failure that no worker could report is reported, here and to the other hosts.
        """
        from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

        if self.error is None:
            return SUCCEEDED
        if isinstance(self.error, JobError):
            raise self.error
        if not isinstance(self.error, ChildFailedError):
            sentence = self._failure_before_meeting() or (
                f"the {len(self.names)} hosts ({', '.join(self.names)}) did not come together "
                f"within {HOSTS_S:.0f} s ({_first_line(self.error)[:300]})"
            )
            raise JobError(sentence) from self.error
        code = self._report(self.error.get_first_failure()[1])
        self._linger()
        return code

    def _report(self, failure: "ProcessFailure") -> int:
        """Report the first failure of this host's workers; the exit code."""
        killed = failure.exitcode < 0
        if killed or not self.job.failure():
            sentence = self._how_it_ended(failure)
            if len(self.names) > 1:
                sentence = f"{self.host} failed: {sentence}"
            report_failure(self.job, JobError(sentence))
            self._post("failure", sentence)
        else:
            # A worker that failed before it met the others could not post its reason.
            self._post("failure", f"{self.host} failed: {self.job.failure()}")
        return BROKEN if failure.exitcode == BROKEN else FAILED

    def _how_it_ended(self, failure: "ProcessFailure") -> str:
        process = f"process {failure.local_rank} of {self.processes}"
        if failure.exitcode >= 0:
            return f"{process} ended with code {failure.exitcode}"
        sentence = f"{process} was killed by {failure.signal_name()}"
        if failure.exitcode == -signal.SIGKILL:
            sentence += "; the kernel does that to a machine out of memory"
        if failure.exitcode == -signal.SIGABRT:
            sentence += (
                f"; torch does that when NCCL waits for another process for over {PATIENCE_S:.0f} s"
            )
        return sentence

    def _post(self, name: str, text: str = "yes") -> None:
        if self.board is None:
            return
        try:
            self.board.post(name, text)
        except RuntimeError as error:
            log.info("host %s is gone already (%s)", self.names[0], _first_line(error))

    def _linger(self) -> None:
        """Let the others read the board: it goes with the first host."""
        if self.rank:
            self._post(f"left {self.host}")
            return
        deadline = time.monotonic() + LINGER_S
        while time.monotonic() < deadline and not self._others_left():
            time.sleep(0.2)

    def _others_left(self) -> bool:
        if self.board is None:
            return True
        return all(self.board.read(f"left {name}") for name in self.names[1:])


def _answers(address: str, port: int | None) -> bool:
    """Whether a name resolves and, where a port is given, a server listens there."""
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
        return int(found.getsockname()[1])


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0]
