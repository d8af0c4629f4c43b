"""Word that the processes of a job leave for each other, beside what they compute together.

The store that the job's launcher keeps holds it. Knows nothing of networks and photos.
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
WORD_S = 10.0  # that the reason of a broken connection is waited for
FAILED_ELSEWHERE = 1


class PeerError(JobError):
    """Why this process cannot go on, though the fault is another's."""


class Board:
    """Word that processes and launchers leave for each other, by name, on the store that the job's launcher keeps."""

    def __init__(self, store):
        from torch.distributed import PrefixStore

        self.store = PrefixStore("slipway", store)

    @classmethod
    def at(cls, address: str, port: int, timeout_s: float, serve: bool = False) -> "Board":
        """The board at an address; with `serve` it is kept by this process. RuntimeError when it does not answer."""
        from torch.distributed import TCPStore

        return cls(
            TCPStore(
                address,
                port,
                None,
                serve,
                timedelta(seconds=timeout_s),
                wait_for_workers=False,
                multi_tenant=serve,
            )
        )

    def tell(self, name: str, text: str = "yes") -> None:
        """Leave word unless there is some already: the first reason is the cause of the later ones. RuntimeError when it is gone."""
        self.store.compare_set(name, "", text)

    def word(self, name: str) -> str | None:
        return self.store.get(name).decode() if self.store.check([name]) else None


class Watch(threading.Thread):
    """Looks at the board for as long as the process runs: passes stops on both ways, and ends a process that a failure left hanging."""

    def __init__(self, board: Board, job: Job, stop: Stop, host: str, first_host: str):
        super().__init__(name="watch", daemon=True)
        self.board, self.job, self.stop, self.host, self.first_host = (
            board,
            job,
            stop,
            host,
            first_host,
        )
        self.done, self.failure = False, None
        self.keeping = False  # the artifact of the best epoch is being written: that may take longer than the grace
        self._leaving = threading.Event()

    def run(self) -> None:
        told = False
        while not self._leaving.wait(POLL_S) and not self.failure:
            try:
                if self.stop() and not told:
                    self.board.tell("stop")
                    told = True
                if not told and self.board.word("stop"):
                    self.stop.request()
                    told = True
                self.done = self.done or bool(self.board.word("done"))
                self.failure = self.board.word("failure")
            except RuntimeError:
                self.failure = (
                    self.failure
                    or f"{self.first_host} is gone: the process there that holds the job together answers no more"
                )
        if self.failure and not self.done and not self._leaving.wait(GRACE_S) and not self.keeping:
            leave_failed(self.job, self.failure)

    def wait_for_main(self) -> None:
        while not self.done:
            if self.failure:
                raise PeerError(self.failure)
            time.sleep(0.1)

    def tell_failure(self, sentence: str) -> None:
        """Let the others know, and give them the time to look before the launcher ends with this process."""
        self.leave()
        try:
            self.board.tell("failure", f"{self.host} failed: {sentence}")
        except RuntimeError:
            return
        time.sleep(2 * POLL_S)

    def others_failure(self) -> str:
        """The reason of a broken connection, once there is word of it."""
        # a stop here may be the launcher's, which then waits for this process before it tells what it knows
        deadline = time.monotonic() + (WORD_S if not self.stop() else 2 * POLL_S)
        while not self.failure and time.monotonic() < deadline:
            time.sleep(0.1)
        self.leave()
        return (
            self.failure
            or "the connection to another process of the job broke, and no word of the reason came; the logs of the other hosts may tell"
        )

    def leave(self) -> None:
        self._leaving.set()


def leave_failed(job: Job, sentence: str) -> None:
    """End this process at once, wherever it hangs, with the reason told."""
    report_failure(job, PeerError(sentence), first_hand=False)
    os._exit(FAILED_ELSEWHERE)
