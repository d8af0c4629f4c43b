"""A worker ends with its launcher, whatever ends that.

Once the workers have met, a launcher that is gone takes the board with it. Before that a worker
would wait for the others until torch's time-outs end, and nobody would end it.
"""

import os
import threading
import time

from train.distributed.board import FAILED_ELSEWHERE, PeerError
from train.failure import report_failure
from train.job import Job

LAUNCHER_VARIABLE = "TRAIN_LAUNCHER"  # of our own launcher: its process number
LOOK_S = 0.5  # from one look at the parent process to the next


class LauncherWatch(threading.Thread):
    """Ends this process once its parent is another one than its launcher."""

    def __init__(self, job: Job) -> None:
        super().__init__(name="launcher watch", daemon=True)
        self.job = job
        # Another launcher, such as torchrun, leaves no number. It is the parent at this moment.
        self.launcher = int(os.environ.get(LAUNCHER_VARIABLE) or os.getppid())

    def run(self) -> None:
        while os.getppid() == self.launcher:
            time.sleep(LOOK_S)
        gone = PeerError(
            "the launcher of this process was killed; the same job goes on from its last checkpoint"
        )
        report_failure(self.job, gone, first_hand=False)
        os._exit(FAILED_ELSEWHERE)
