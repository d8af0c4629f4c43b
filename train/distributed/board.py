"""Messages that the processes of a job leave for each other, beside the values they exchange.

The store of the job's launcher holds them, so that they reach a process that waits for another.
"""

import os
import threading
import time
from datetime import timedelta

from train.failure import report_failure
from train.job import Job, JobError
from train.stop import Stop

POLL_S = 1.0  # between two looks at the board
GRACE_S = 10.0  # from a failure elsewhere until a process that hangs because of it is ended
REASON_S = 10.0  # until the reason of a broken connection must be on the board
FAILED_ELSEWHERE = 1  # exit code
PATIENCE_S = 900.0  # the longest that a process may keep others waiting in an exchange


class PeerError(JobError):
    """This process cannot go on, though the fault is another's."""


class Board:
    """Messages by name. `torch` is imported late: the command line must take signals before."""

    def __init__(self, address: str, port: int, timeout_s: float, serve: bool = False) -> None:
        """The board at an address. serve: this process keeps it. RuntimeError without an answer."""
        from torch._C._distributed_c10d import PrefixStore, TCPStore

        timeout = timedelta(seconds=timeout_s)
        store = TCPStore(
            address, port, None, serve, timeout, wait_for_workers=False, multi_tenant=serve
        )
        self._store = PrefixStore("slipway", store)

    def post(self, name: str, text: str = "yes") -> None:
        """Leave a message unless there is one: the first reason is the cause of later ones.

        RuntimeError when the board is gone.
        """
        self._store.compare_set(name, "", text)

    def read(self, name: str) -> str | None:
        """The message of this name, None when there is none. RuntimeError: the board is gone."""
        if not self._store.check([name]):
            return None
        return str(self._store.get(name).decode())


class Watch(threading.Thread):
    """Looks at the board for as long as the process runs.

    It passes stops on both ways, and ends a process that hangs because of a failure elsewhere.
    """

    def __init__(self, board: Board, job: Job, stop: Stop, host: str, main_host: str) -> None:
        super().__init__(name="watch", daemon=True)
        self.board = board
        self.job = job
        self.stop = stop
        self.host = host
        self.main_host = main_host
        self.done = False
        self.failure: str | None = None
        # Set while the artifact of the best epoch is written, which may take longer than GRACE_S.
        self.keeping = False
        self._stop_is_known = False
        self._leaving = threading.Event()

    def run(self) -> None:
        while not self._leaving.wait(POLL_S) and not self.failure:
            try:
                self._look()
            except RuntimeError:
                self.failure = self.failure or (
                    f"{self.main_host} is gone: "
                    "the process there that holds the job together answers no more"
                )
        if not self.failure or self.done:
            return
        left_in_time = self._leaving.wait(GRACE_S)
        if not left_in_time and not self.keeping:
            self._end_process(self.failure)

    def _look(self) -> None:
        if not self._stop_is_known:
            if self.stop():
                self.board.post("stop")
                self._stop_is_known = True
            elif self.board.read("stop"):
                self.stop.request()
                self._stop_is_known = True
        self.done = self.done or bool(self.board.read("done"))
        self.failure = self.board.read("failure")

    def wait_for_main(self) -> None:
        """Return when the main process has finished the job. PeerError when the job failed."""
        while not self.done:
            if self.failure:
                raise PeerError(self.failure)
            time.sleep(0.1)

    def post_failure(self, sentence: str) -> None:
        """Give the others the reason, and the time to read it before the launcher ends."""
        self.leave()
        try:
            self.board.post("failure", f"{self.host} failed: {sentence}")
        except RuntimeError:
            return
        time.sleep(2 * POLL_S)

    def others_failure(self, timed_out: bool = False) -> str:
        """The reason of a broken connection, as soon as it is on the board.

        timed_out: it broke since another process kept this one waiting.
        """
        patience_s = REASON_S
        if self.stop():
            # The stop may be the launcher's, which posts its reason once this process has ended.
            patience_s = 2 * POLL_S
        deadline = time.monotonic() + patience_s
        while not self.failure and time.monotonic() < deadline:
            time.sleep(0.1)
        self.leave()
        if timed_out and not self.failure:
            return (
                f"another process of the job kept this one waiting for over {PATIENCE_S:.0f} s, "
                "and no reason came; look into the logs of the other hosts"
            )
        return self.failure or (
            "the connection to another process of the job broke, and no reason came; "
            "look into the logs of the other hosts"
        )

    def leave(self) -> None:
        """Stop looking."""
        self._leaving.set()

    def _end_process(self, sentence: str) -> None:
        """End at once: the main thread hangs in an exchange that will never complete."""
        report_failure(self.job, PeerError(sentence), first_hand=False)
        os._exit(FAILED_ELSEWHERE)
