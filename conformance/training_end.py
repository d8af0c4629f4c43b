"""Clauses on how a training ends: with a model, with a reason, when it is told to stop, and again from its checkpoints."""

import time
from pathlib import Path

from conformance.clauses import TRAINING, Broken, Kept, NotApplicable, Outcome, Settled, clause
from conformance.limits import EPHEMERAL_BYTES, FAILURE_LENGTH
from conformance.targets import Sandbox
from conformance.trainings import (
    KILLED,
    Run,
    Trainings,
    doom,
    doomed,
    long_job,
    plain,
    stopped,
    until_it_trains,
)


@clause(TRAINING)
def model_holds_plain_files(trainings: Trainings) -> Outcome:
    """All in /opt/ml/model can be packed and unpacked elsewhere: no sockets, pipes, or links that lead out of it.

    Source: developer guide, "How Amazon SageMaker processes training output": model.tar.gz
    Fix: copy files into /opt/ml/model in place of links, and keep sockets and pipes in /tmp
    """
    run = trainings.once(plain)
    model = (run.root / "model").resolve()
    odd = [
        path.name
        for path in run.model
        if (path.is_symlink() and not (path.resolve().is_relative_to(model) and path.exists()))
        or not (path.is_symlink() or path.is_file())
    ]
    return (
        Broken(
            f"'{odd[0]}' and {len(odd) - 1} more are none"
            if len(odd) > 1
            else f"'{odd[0]}' is none"
        )
        if odd
        else Kept()
    )


@clause(TRAINING)
def output_sizes(trainings: Trainings) -> Outcome:
    """The model fits the 5 GB disk of a serverless endpoint, and output/data, which nobody serves, is no larger than that.

    Source: developer guide, "Amazon SageMaker Serverless Inference": 5 GB of ephemeral disk storage
    Fix: keep in /opt/ml/model what serving needs, and optimizer states and datasets out of it
    """
    run = trainings.once(plain)
    sizes = {
        name: sum(
            path.lstat().st_size for path in (run.root / name).rglob("*") if not path.is_dir()
        )
        for name in ("model", "output/data")
    }
    large = [
        f"{name} holds {size / 1e9:.1f} GB"
        for name, size in sizes.items()
        if size > EPHEMERAL_BYTES
    ]
    return (
        Broken(" and ".join(large))
        if large
        else Kept(" ".join(f"{name}={size / 1e6:.1f}MB" for name, size in sizes.items()))
    )


@clause(TRAINING)
def no_failure_file_after_success(trainings: Trainings) -> Outcome:
    """A training that succeeds leaves no /opt/ml/output/failure.

    Source: developer guide, "Signal success and failure": the failure file is for training jobs that fail
    Fix: write the file only on the way to a non-zero exit code
    """
    run = trainings.once(plain)
    return Kept() if run.failure is None else Broken(f"it left one that says {run.failure[:100]!r}")


@clause(TRAINING)
def failure_exit_code(trainings: Trainings) -> Outcome:
    """A training that cannot succeed, with empty channels and no readable hyperparameters, ends by itself and not with code 0.

    Source: developer guide, "Signal success and failure": a non-zero exit code
    Fix: let every error end the program with a non-zero code; a shell script needs set -e, and a launcher must hand on its child's code
    """
    run = trainings.once(doomed)
    if run.code is None:
        return Broken(f"it ran on for {run.seconds:.0f} s")
    if run.code == 0 and run.model:
        return NotApplicable("it can: it leaves a model all the same")
    return (
        Kept(f"code {run.code}")
        if run.code
        else Broken("it ended with code 0: the job would be Completed")
    )


@clause(TRAINING)
def failure_file(trainings: Trainings) -> Outcome:
    """A training that fails leaves its reason in /opt/ml/output/failure.

    Source: developer guide, "Signal success and failure"; sagemaker-python-sdk issues 1225 and 4588: ErrorMessage ""
    Fix: catch the error in the outermost function and write its sentence to /opt/ml/output/failure
    """
    reason = _reason(trainings)
    if reason.strip():
        return Kept(repr(reason[:100].decode(errors="replace")))
    return Broken(
        "the file is not there" if trainings.once(doomed).failure is None else "it is empty"
    )


@clause(TRAINING)
def failure_file_length(trainings: Trainings) -> Outcome:
    """The reason is at most 1024 characters: what is longer is cut off, and the sentence at a traceback's end with it.

    Source: DescribeTrainingJob, FailureReason: max 1024
    Fix: write one sentence, not the traceback; that belongs into the log
    """
    length = len(_reason(trainings, given=True).decode(errors="replace"))
    return (
        Kept(f"{length} characters") if length <= FAILURE_LENGTH else Broken(f"{length} characters")
    )


@clause(TRAINING)
def failure_file_is_text(trainings: Trainings) -> Outcome:
    """The reason is UTF-8 text that people can read.

    Source: DescribeTrainingJob, FailureReason: a string
    Fix: write the file as UTF-8 text
    """
    try:
        text = _reason(trainings, given=True).decode()
    except UnicodeDecodeError as error:
        return Broken(f"it is no UTF-8: {error}")
    odd = [letter for letter in text if not letter.isprintable() and letter not in "\n\r\t"]
    return Broken(f"it holds {odd[0]!r}") if odd else Kept()


@clause(TRAINING)
def failure_without_a_failure_file(trainings: Trainings) -> Outcome:
    """Where the reason cannot be written, a training that fails still does not end with code 0.

    Source: developer guide, "Signal success and failure"; sagemaker-training 4.9.0 leaves with 0 there
    Fix: write the file inside a try, and leave with the non-zero code all the same
    """
    if trainings.once(doomed).code == 0:
        return NotApplicable("the job that must fail does not; see failure_exit_code")
    run = trainings.run(Sandbox(read_only=("output",)), doom)
    if run.code is None:
        return Broken(f"it ran on for {run.seconds:.0f} s")
    return (
        Kept(f"code {run.code}")
        if run.code
        else Broken("it ended with code 0: the job would be Completed")
    )


@clause(TRAINING)
def sigterm_within_120_s(trainings: Trainings) -> Outcome:
    """At SIGTERM a training ends by itself; 120 s later it is killed.

    Source: CreateTrainingJob, StoppingCondition: SIGTERM, 120 seconds, SIGKILL; sagemaker-training-toolkit issue 125
    Fix: exec the program so that it is process 1, and handle SIGTERM there: save and leave; a launcher must hand the signal on to its children
    """
    run = trainings.once(stopped)
    return (
        Broken(f"it had to be killed after {run.stop_s:.0f} s")
        if run.code in (None, KILLED)
        else Kept(f"{run.stop_s:.1f} s, code {run.code}")
    )


@clause(TRAINING)
def sigterm_keeps_the_model(trainings: Trainings) -> Outcome:
    """A training that was stopped has left what it has of a model, which is uploaded.

    Source: StopTrainingJob: "algorithms can use this 120-second window to save the model artifacts"
    Fix: in the handler of SIGTERM, or when it sets a flag at the next step, save to /opt/ml/model
    """
    run = trainings.once(stopped)
    if run.code in (None, KILLED):
        return NotApplicable("it had to be killed; see sigterm_within_120_s")
    if not trainings.once(plain).model:
        return NotApplicable("the plain job leaves no model; see writes_a_model")
    return Kept(f"{len(run.model)} files") if run.model else Broken("/opt/ml/model is empty")


@clause(TRAINING)
def sigterm_during_start(trainings: Trainings) -> Outcome:
    """SIGTERM that comes while the program is still loading ends it, too: as process 1 it dies of no signal that it has no handler for.

    Source: CreateTrainingJob, StoppingCondition; sagemaker-training-toolkit issue 173
    Fix: install the handler of SIGTERM before importing what takes long
    """
    root = long_job(trainings)
    with trainings.running(root) as (machine, run):
        while not trainings.target.pids(machine) and machine.code() is None:
            time.sleep(0.02)  # a container takes its time to be there
        time.sleep(trainings.limits.early_s)
        if machine.code() is not None:
            return NotApplicable(
                f"the job has ended {trainings.limits.early_s:g} s after its start"
            )
        began = time.monotonic()
        machine.stop(trainings.limits.train_stop_s)
        run.stop_s = time.monotonic() - began
    return (
        Broken(f"it had to be killed after {run.stop_s:.0f} s")
        if run.code in (None, KILLED)
        else Kept(f"{run.stop_s:.1f} s, code {run.code}")
    )


@clause(TRAINING)
def log_arrives_during_the_run(trainings: Trainings) -> Outcome:
    """What a training prints arrives while it runs: what waits in a buffer is lost when it is killed.

    Source: developer guide, "Log Amazon SageMaker events with Amazon CloudWatch": stdout and stderr
    Fix: flush: PYTHONUNBUFFERED=1, or print(…, flush=True)
    """
    run = trainings.once(killed)
    if not trainings.once(plain).lines:
        return NotApplicable("it prints nothing")
    return (
        Kept(f"{len(run.lines)} lines")
        if run.lines
        else Broken("nothing had arrived when it was killed")
    )


@clause(TRAINING)
def restart_with_checkpoints(trainings: Trainings) -> Outcome:
    """After SIGTERM, a job that is started again with the checkpoints of the first, on an otherwise empty tree, succeeds.

    Source: developer guide, "Managed spot training": /opt/ml/checkpoints is restored before the training starts again
    Fix: load the newest checkpoint of /opt/ml/checkpoints and go on; where the epochs are done already, write the model and succeed
    """
    return _again(trainings, trainings.once(stopped))


@clause(TRAINING)
def restart_after_kill(trainings: Trainings) -> Outcome:
    """After SIGKILL, in whatever state the checkpoints are, a job that is started again succeeds.

    Source: developer guide, "Managed spot training"; "Use checkpoints": files are copied as they are written
    Fix: write checkpoints to another name and rename them, and pass over those that cannot be read
    """
    return _again(trainings, trainings.once(killed))


@clause(TRAINING)
def foreign_checkpoints(trainings: Trainings) -> Outcome:
    """What a training does not know in /opt/ml/checkpoints does not stop it.

    Source: developer guide, "Use checkpoints": existing objects under the S3 path are copied in at the start
    Fix: pick checkpoints by the names that you give them, and pass over the rest
    """

    def add(root: Path) -> None:
        (root / "checkpoints" / "lost+found").mkdir()
        (root / "checkpoints" / ".conformance.tmp").write_bytes(b"")
        (root / "checkpoints" / "model-7.bin").write_bytes(b"of another program")

    return trainings.succeeds(
        prepare=add,
        more={
            "checkpointconfig": {
                "LocalPath": "/opt/ml/checkpoints",
                "S3Uri": "s3://bucket/checkpoints",
            }
        },
    )


def killed(trainings: Trainings) -> Run:
    """A long job that was killed while it trained."""
    root = long_job(trainings)
    with trainings.running(root) as (machine, run):
        try:
            until_it_trains(trainings, machine, run)
            deadline = time.monotonic() + trainings.limits.trains_s
            while (
                not any((root / "checkpoints").iterdir())
                and machine.code() is None
                and time.monotonic() < deadline
            ):
                time.sleep(0.01)  # the line may come before what it tells of
        finally:
            machine.kill()
    return run


def _again(trainings: Trainings, before: Run) -> Outcome:
    """The short job over the checkpoints of a long one."""
    left = before.root / "checkpoints"
    if not any(left.iterdir()):
        raise Settled(
            NotApplicable("it left no checkpoints by then: after an interruption it starts over")
        )

    def restore(root: Path) -> None:
        (root / "checkpoints").rmdir()
        left.rename(root / "checkpoints")

    return trainings.judged(
        trainings.run(
            prepare=restore,
            more={
                "checkpointconfig": {
                    "LocalPath": "/opt/ml/checkpoints",
                    "S3Uri": "s3://bucket/checkpoints",
                }
            },
        )
    )


def _reason(trainings: Trainings, given: bool = False) -> bytes:
    """The failure file's content. given: Settled where there is none."""
    run = trainings.once(doomed)
    if run.code == 0 or run.code is None:
        raise Settled(NotApplicable("the job that must fail does not; see failure_exit_code"))
    if given and not (run.failure or b"").strip():
        raise Settled(NotApplicable("there is no reason; see failure_file"))
    return run.failure or b""
