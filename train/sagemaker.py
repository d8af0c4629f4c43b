"""The training image's `train`: sagemaker-training's own command, calling our training in its process.

Without a user script it trains with ours; with `sagemaker_program` it runs the user's, as the toolkit does, but
passes SIGTERM on and keeps the script's own words as the failure reason.
"""

import os
import re
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from train.__main__ import main as train_main
from train.failure import FAILED, SUCCEEDED, reason
from train.job import Job, JobError

TAIL_LENGTH = 800  # bytes of a script's stderr in the failure reason, of which SageMaker shows 1024 characters
KEPT_LENGTH = 20_000
WAITERS = {"sh", "dash", "bash", "torchrun"}  # programs that stand between us and the script

_finished: list[
    bool
] = []  # filled when `main` succeeded: the toolkit's exit code alone does not tell


def command() -> None:
    """Run the toolkit's `train`; leave with its exit code, and never with 0 unless our training succeeded.

    The toolkit leaves with 0 when it fails and cannot write its failure file, and it fails with a traceback where
    a configuration file is missing.
    """
    # until somebody takes it: PID 1 loses a signal that it has no handler for, and what follows takes seconds to load
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        from sagemaker_training.cli import (
            train as toolkit,
        )  # makes folders under /opt/ml as it loads

        toolkit.main()
    except OSError as error:
        sys.exit(_fail(reason(error)))
    except SystemExit as end:
        if _finished:
            raise
        cause: BaseException = end
        while cause.__context__ is not None:
            cause = cause.__context__
        sys.exit(
            _fail(
                f"the SageMaker toolkit could not start the training: {str(cause) or type(cause).__name__}"
            )
        )


def main() -> None:
    """What SAGEMAKER_TRAINING_MODULE names: train, and on failure end the process before the toolkit hides it."""
    code = run_user_script() if _user_program() else train_main([])
    if code != SUCCEEDED:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    _finished.append(True)


def run_user_script() -> int:
    """Run the script of `sagemaker_program` by the toolkit's own means; its exit code becomes 0 or 1.

    Not with the toolkit's capture_error: that breaks the script's lines at every flush, and metrics with them.
    """
    from sagemaker_training import entry_point, environment, errors

    settings = environment.Environment()
    if len(settings.hosts) == 1:
        os.environ["SM_STUDIO_LOCAL_MODE"] = (
            "true"  # else the toolkit waits up to 15 minutes until its own name resolves
        )

    signal.signal(signal.SIGTERM, lambda number, _: _pass_on(number, psutil.Process()))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})  # the script would inherit it
    with _stderr_tail() as tail:
        try:
            entry_point.run(
                settings.module_dir,
                settings.user_entry_point,
                settings.to_cmd_args(),
                settings.to_env_vars(),
                runner_type=_runner(settings),
            )
            return SUCCEEDED
        except errors.ClientError as error:
            failed = error
    # what torchrun adds below the script's own last words is long, and says nothing of the reason
    words = re.split(
        r"^[EW]\d{4} .*torch/distributed/elastic",
        tail.decode(errors="replace"),
        maxsplit=1,
        flags=re.M,
    )[0].strip()[-TAIL_LENGTH:]
    code = (
        f" with code {failed.return_code}"
        if getattr(failed, "return_code", None) is not None
        else ""
    )
    return _fail(
        f"{settings.user_entry_point} failed{code}: {words.splitlines()[-1] if words else str(failed)}\n{words}"
    )


def _runner(settings):
    """How the toolkit starts the script: as it is, or by torchrun where `sagemaker_torch_distributed_enabled` says so."""
    from sagemaker_training import runner

    if (
        str(
            settings.additional_framework_parameters.get("sagemaker_torch_distributed_enabled")
        ).lower()
        != "true"
    ):
        return runner.ProcessRunnerType
    torchrun = runner.get(
        runner.TorchDistributedRunnerType,
        settings.user_entry_point,
        settings.to_cmd_args(),
        settings.to_env_vars(),
    )
    run = torchrun.run
    # the toolkit hands these over by place, in the order of its other runners: a script that fails would pass for one that did not
    torchrun.run = lambda wait, capture_error: run(wait=wait, capture_error=capture_error)
    return torchrun


def _pass_on(number: int, parent: psutil.Process) -> None:
    """Send a signal to the script's process, which has its own ways with its children. A shell or torchrun in between only waits,
    and must live on to hand the exit code up."""
    for child in parent.children():
        named = {
            os.path.basename(part) for part in child.cmdline()[:2]
        }  # torchrun changes its name as it runs
        if named & WAITERS and child.children():
            _pass_on(number, child)
        else:
            child.send_signal(number)


@contextmanager
def _stderr_tail() -> Iterator[bytearray]:
    """The last bytes that this process and its children write to stderr while it still goes where it went."""
    tail = bytearray()
    original = os.dup(2)
    reading, writing = os.pipe()
    os.dup2(writing, 2)
    os.close(writing)

    def pump() -> None:
        while chunk := os.read(reading, 65536):
            os.write(original, chunk)
            tail.extend(chunk)
            del tail[:-KEPT_LENGTH]

    thread = threading.Thread(target=pump, daemon=True)
    thread.start()
    try:
        yield tail
    finally:
        os.dup2(
            original, 2
        )  # closes the pipe's last end here; a daemon of the script may still hold one
        thread.join(timeout=5)


def _user_program() -> bool:
    if "SAGEMAKER_PROGRAM" in os.environ:
        return True
    try:
        return "sagemaker_program" in {
            name.replace("-", "_") for name in Job.at().hyperparameters()
        }
    except JobError:
        return False  # our own training tells what is wrong


def _fail(sentence: str) -> int:
    print(f"train: failed: {sentence}", file=sys.stderr, flush=True)
    try:
        Job.at().write_failure(sentence)
    except (OSError, JobError) as error:
        print(
            f"train: the reason could not be written to output/failure: {error}",
            file=sys.stderr,
            flush=True,
        )
    return FAILED
