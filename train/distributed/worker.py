"""A worker's life: one of the processes that a launcher started to train together."""

import logging
import os
import sys
import time
from typing import TYPE_CHECKING

from train.distributed.board import POLL_S, PeerError
from train.distributed.launcher_watch import LauncherWatch
from train.distributed.rendezvous import join
from train.failure import SUCCEEDED, reason, report_failure
from train.gc_pause import gc_paused
from train.job import Job
from train.stop import Stop

if TYPE_CHECKING:
    from train.distributed.context import DistributedContext

LAUNCHER_VARIABLES = {"RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"}
# Words in torch's errors when an exchange between processes breaks.
BROKEN_CONNECTION = (
    "gloo",
    "NCCL",
    "Connection closed by peer",
    "Connection reset by peer",
    "Broken pipe",
)
# As gloo and NCCL's watchdog say that an exchange took longer than its group's time-out.
TIMED_OUT = ("timed out", "timeout")


def is_worker() -> bool:
    """Whether a launcher started this process as one of several."""
    if not os.environ.keys() >= LAUNCHER_VARIABLES:
        return False
    return int(os.environ["WORLD_SIZE"]) > 1


def work(job: Job, stop: Stop) -> int:
    """A worker's whole life. It ends the process, so that no thread can keep it."""
    from recipes.hyperparameters import parse  # after signals are taken: PID 1 would lose them

    context = None
    LauncherWatch(job).start()
    try:
        if os.environ.get("LOCAL_RANK", "0") == "0":
            job.forget_failure()
        else:
            logging.getLogger().setLevel(logging.WARNING)  # one process per host logs its progress
        hyperparameters = parse(job.hyperparameters())
        with gc_paused():
            from train.run import run

        context = join(job, stop)
        run(job, hyperparameters, stop, context)
        finished(context)
        code = SUCCEEDED
    except Exception as error:  # whatever it is: the platform must learn the reason
        code = _report(job, error, context)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def finished(context: "DistributedContext") -> None:
    """Let the others know that the job is done, once no part of it can fail any more."""
    watch = context.watch
    if watch is None:
        return
    if context.is_main_process:
        watch.board.post("done")
        # torchrun keeps the board in this process: the others must read it before it ends.
        time.sleep(2 * POLL_S)
    watch.leave()


def _report(job: Job, error: Exception, context: "DistributedContext | None") -> int:
    """Report a failure here and, where this process is its cause, to the others. The exit code."""
    if context is None or context.watch is None:
        return report_failure(job, error)
    watch = context.watch
    if _is_broken_connection(error):
        timed_out = any(words in str(error).lower() for words in TIMED_OUT)
        error = PeerError(watch.others_failure(timed_out))
    if isinstance(error, PeerError):
        return report_failure(job, error, first_hand=False)
    code = report_failure(job, error)
    watch.post_failure(reason(error) or f"unexpected {type(error).__name__}: {error}")
    return code


def _is_broken_connection(error: Exception) -> bool:
    """Whether an exchange of all processes broke, which is mostly another's fault."""
    from torch.distributed import DistError

    if isinstance(error, DistError):
        return True
    if not isinstance(error, RuntimeError) or reason(error) is not None:
        return False
    return any(words in str(error) for words in BROKEN_CONNECTION)
