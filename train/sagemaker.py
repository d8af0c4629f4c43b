"""The training image's `train`: sagemaker-training's own command, with our training in its process.

Without a user script it trains with ours. With `sagemaker_program` it runs the user's, as the
toolkit does, but passes SIGTERM on and keeps the script's last words as the failure reason.
"""

import os
import re
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

import psutil

from artifact.text.names import printable
from train.__main__ import main as train_main
from train.failure import FAILED, SUCCEEDED, reason, write_reason
from train.job import Job, JobError

TAIL_LENGTH = 800  # bytes of a script's stderr in the failure reason; SageMaker shows 1024
KEPT_LENGTH = 20_000  # bytes of stderr that are searched for them
WAITERS = {"sh", "dash", "bash", "torchrun"}  # programs between this process and the script
# The toolkit's log, which goes to stderr, too
TOOLKIT_LINE = re.compile(r"\d{4}-\d\d-\d\d [\d:,.]+ sagemaker\S* +[A-Z]+ ")
# torchrun's report below the script's own words is long, and does not name the reason
TORCHRUN_REPORT = re.compile(r"^[EW]\d{4} .*torch/distributed/elastic", re.M)
# What stands before a traceback's lines: of a process of several, and of an exception group
MARKS = re.compile(r"(\[rank\d+\]: )?(  [+|] (Exception Group (?=Traceback))?)?")
TORCHRUN = "sagemaker_torch_distributed_enabled"
# Hyperparameters by which SDKs ask for another launcher, and their `distribution` for it
LAUNCHERS = {
    "sagemaker_distributed_dataparallel_enabled": "smdistributed",
    "sagemaker_mpi_enabled": "mpi",
    "sagemaker_multi_worker_mirrored_strategy_enabled": "multi_worker_mirrored_strategy",
    "sagemaker_parameter_server_enabled": "parameter_server",
    "sagemaker_pytorch_ddp_enabled": "pytorchddp",
    "sagemaker_pytorch_xla_multi_worker_enabled": "pytorchxla",
}

# Filled when `main` succeeded: the toolkit's exit code does not show it.
_finished: list[bool] = []


def command() -> None:
    """Run the toolkit's `train`; exit with its code, and with 0 only if our training succeeded.

    The toolkit exits with 0 when it fails and cannot write its failure file, and it fails with a
    traceback when a configuration file is missing.
    """
    # Until there is a handler: PID 1 loses a signal without one, and the imports take seconds.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        Job.at().hyperparameters()  # the toolkit reads them first, and names no cure
        # makes folders under /opt/ml as it loads
        from sagemaker_training.cli import train as toolkit

        toolkit.main()
    except JobError as error:
        sys.exit(_fail(str(error)))
    except OSError as error:
        sys.exit(_fail(reason(error) or str(error)))
    except SystemExit as end:
        if _finished:
            raise
        words = _toolkit_words(end, _own_failure())
        sys.exit(_fail(f"the SageMaker toolkit could not start the training: {words}"))


def _toolkit_words(end: BaseException, written: str) -> str:
    """Why the toolkit has ended: its error's words, or the last of those that it has written.

    Where it has handled its error it only exits, with a code. written: in output/failure.
    """
    cause = _first_cause(end)
    lines = written.strip().splitlines()
    if isinstance(cause, SystemExit) and lines:
        return lines[-1]
    return str(cause) or type(cause).__name__


def _first_cause(error: BaseException) -> BaseException:
    while error.__context__ is not None:
        error = error.__context__
    return error


def main() -> None:
    """The function that SAGEMAKER_TRAINING_MODULE names: train.

    On failure it ends the process, before the toolkit hides the failure.
    """
    code = run_user_script() if _user_program() else train_main([])
    if code != SUCCEEDED:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    _finished.append(True)


def run_user_script() -> int:
    """Run the script of `sagemaker_program` by the toolkit's own means; exit code 0 or 1.

    Not with the toolkit's capture_error: that breaks the script's lines at every flush, and metrics
    with them.
    """
    from sagemaker_training import entry_point, environment, errors

    _forget_failure()
    settings = environment.Environment()
    missing = missing_launcher(settings.additional_framework_parameters)
    if missing:
        return _fail(missing)
    if len(settings.hosts) == 1:
        # else the toolkit waits up to 15 minutes until its own name resolves
        os.environ["SM_STUDIO_LOCAL_MODE"] = "true"

    signal.signal(signal.SIGTERM, _to_children)
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
    return _fail_script(_script_failure(settings.user_entry_point, failed, tail))


def _forget_failure() -> None:
    """Remove an earlier run's reason: this run's script may write one of its own."""
    with suppress(JobError, OSError):
        Job.at().forget_failure()


def _fail_script(sentence: str) -> int:
    """End after a failed script: what it wrote to output/failure itself stays the reason."""
    own = _own_failure()
    if not own.strip():
        return _fail(sentence)
    print(f"train: failed: {printable(own)}", file=sys.stderr, flush=True)
    return FAILED


def _own_failure() -> str:
    """What the script or the toolkit has written to output/failure; "" without it."""
    try:
        return Job.at().failure()
    except (JobError, OSError):
        return ""


def _script_failure(script: str, error: Exception, tail: bytearray) -> str:
    """The reason of a script's failure: its exception's last line, and more of its stderr below.

    Without an exception its last line of stderr. The toolkit's own log lines are left out.
    """
    text = TORCHRUN_REPORT.split(tail.decode(errors="replace"), maxsplit=1)[0]
    own = [line for line in text.splitlines() if not TOOLKIT_LINE.match(line)]
    words = "\n".join(own).strip()[-TAIL_LENGTH:]
    code = getattr(error, "return_code", None)
    how = "failed"
    if code is not None:
        how = f"failed with code {code}"
    last_line = _exception_line(own) or (words.splitlines() or [str(error)])[-1]
    return f"{script} {how}: {last_line}\n{words}"


def _exception_line(lines: list[str]) -> str:
    """The line below the last traceback: the exception with its words; empty without one.

    lines: of stderr. Loggers and threads may have written more after it.
    """
    found = ""
    within = False
    for marked in lines:
        line = MARKS.sub("", marked, count=1)
        if line.startswith("Traceback (most recent call last)"):
            within = True
        elif within and line and not line[0].isspace():
            found = line
            within = False
    return found


def missing_launcher(parameters: Mapping[str, object]) -> str:
    """The sentence for a launcher that this image does not have; "" where none is asked for.

    Without it the script would run as one process. parameters: the toolkit's own hyperparameters.
    """
    for name, kind in LAUNCHERS.items():
        if _is_true(parameters.get(name)):
            return (
                f"distribution={{'{kind}': …}} ({name}) asks for a launcher that this image does "
                "not have; use {'torch_distributed': {'enabled': True}}"
            )
    return ""


def _is_true(value: object) -> bool:
    return str(value).lower() == "true"


# Any: the toolkit has no types.
def _runner(settings: Any) -> Any:
    """How the toolkit starts the script: as it is, or by torchrun.

    The hyperparameter TORCHRUN asks for torchrun.
    """
    from sagemaker_training import runner

    if not _is_true(settings.additional_framework_parameters.get(TORCHRUN)):
        return runner.ProcessRunnerType
    torchrun = runner.get(
        runner.TorchDistributedRunnerType,
        settings.user_entry_point,
        settings.to_cmd_args(),
        settings.to_env_vars(),
    )
    # The toolkit passes these two by position, in the order of its other runners: a script that
    # fails would pass for one that did not.
    run = torchrun.run
    torchrun.run = lambda wait, capture_error: run(wait=wait, capture_error=capture_error)
    return torchrun


def _to_children(number: int, frame: FrameType | None) -> None:
    _pass_on(number, psutil.Process())


def _pass_on(number: int, parent: psutil.Process) -> None:
    """Send a signal to the script's process, which handles its own children.

    A shell or torchrun in between only waits. It must live on, to pass the exit code up.
    """
    for child in parent.children():
        # torchrun changes its name as it runs
        programs = {os.path.basename(part) for part in child.cmdline()[:2]}
        if programs & WAITERS and child.children():
            _pass_on(number, child)
        else:
            child.send_signal(number)


@contextmanager
def _stderr_tail() -> Iterator[bytearray]:
    """The last bytes that this process and its children write to stderr, which still get there."""
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
        # closes the pipe's last end here; a daemon of the script may still hold one
        os.dup2(original, 2)
        thread.join(timeout=5)


def _user_program() -> bool:
    if "SAGEMAKER_PROGRAM" in os.environ:
        return True
    try:
        names = Job.at().hyperparameters()
    except JobError:
        return False  # our own training reports it
    return "sagemaker_program" in {name.replace("-", "_") for name in names}


def _fail(sentence: str) -> int:
    print(f"train: failed: {printable(sentence)}", file=sys.stderr, flush=True)
    try:
        job = Job.at()
    except JobError as error:
        complaint = f"the reason could not be written to output/failure: {error}"
        print(f"train: {printable(complaint)}", file=sys.stderr, flush=True)
    else:
        write_reason(job, sentence)
    return FAILED
