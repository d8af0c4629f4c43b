"""A worker's life: one of the processes that a launcher started to train together."""

import logging
import os
import sys
import time

from train.distributed.board import POLL_S, PeerError
from train.distributed.rendezvous import join
from train.gc_pause import gc_paused
from train.job import Job
from train.stop import Stop


def is_worker() -> bool:
    """Whether a launcher started this process as one of several."""
    return {"RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"} <= os.environ.keys() and int(
        os.environ["WORLD_SIZE"]
    ) > 1


def finished(context) -> None:
    """Let the others know that the job is done, once nothing of it can fail any more."""
    if context.watch is None:
        return
    if context.is_main_process:
        context.watch.board.tell("done")
        time.sleep(
            2 * POLL_S
        )  # where no launcher of its own keeps the board, it goes with this process
    context.watch.leave()


def work(job: Job, stop: Stop) -> int:
    """A worker's whole life, beside the others; the exit code. It leaves no thread that could keep it."""
    from train.failure import SUCCEEDED, reason, report_failure

    context = None
    try:
        if int(os.environ.get("LOCAL_RANK", "0")):
            logging.getLogger().setLevel(logging.WARNING)  # one process a host tells how it goes
        else:
            job.forget_failure()
        from recipes.hyperparameters import parse

        hyperparameters = parse(job.hyperparameters())
        with gc_paused():
            from train.run import run

        context = join(job, stop)
        run(job, hyperparameters, stop, context)
        finished(context)
        code = SUCCEEDED
    except Exception as error:  # as in train/__main__.py: whatever it is
        if context and _is_broken_connection(error):
            error = PeerError(context.watch.others_failure())
        theirs = isinstance(error, PeerError)
        code = report_failure(job, error, first_hand=not theirs)
        if context and not theirs:
            context.watch.tell_failure(
                reason(error) or f"unexpected {type(error).__name__}: {error}"
            )
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _is_broken_connection(error: Exception) -> bool:
    """Whether a step that all take together broke, which is mostly another's fault."""
    from torch.distributed import DistError

    from train.failure import reason

    return (
        isinstance(error, DistError)
        or isinstance(error, RuntimeError)
        and reason(error) is None
        and any(
            words in str(error)
            for words in (
                "gloo",
                "NCCL",
                "Connection closed by peer",
                "Connection reset by peer",
                "Broken pipe",
            )
        )
    )
