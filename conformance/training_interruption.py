"""Clauses on a training that is stopped or killed, and started again from its checkpoints."""

import time
from pathlib import Path

from conformance.clauses import TRAINING, Broken, Kept, NotApplicable, Outcome, Settled, clause
from conformance.jobs import Run
from conformance.limits import KILLED
from conformance.trainings import CHECKPOINTS, PAUSE_S, Trainings, plain
from runtime.instances import Instance

TIMES = 3  # a long job's first metric line may take this many times the plain job's whole time


@clause(TRAINING)
def sigterm_within_120_s(trainings: Trainings) -> Outcome:
    """After SIGTERM a training ends by itself. SageMaker kills it 120 s later.

    Source: CreateTrainingJob, StoppingCondition: SIGTERM, 120 seconds, SIGKILL;
        sagemaker-training-toolkit issue 125
    Fix: exec the program so that it is process 1, and handle SIGTERM there: save and end; a
        launcher must pass the signal on to its children
    """
    return _ended_by_itself(trainings.once(stopped))


@clause(TRAINING)
def sigterm_keeps_the_model(trainings: Trainings) -> Outcome:
    """A training that was stopped has saved its model so far. SageMaker uploads it.

    Source: StopTrainingJob: "algorithms can use this 120-second window to save the model
        artifacts"
    Fix: let the handler of SIGTERM save to /opt/ml/model, or let it set a flag that the next
        step reads
    """
    run = trainings.once(stopped)
    if run.code in (None, KILLED):
        return NotApplicable("it had to be killed; see sigterm_within_120_s")
    if not trainings.once(plain).model:
        return NotApplicable("the plain job leaves no model; see writes_a_model")
    if not run.model:
        return Broken("/opt/ml/model is empty")
    return Kept(f"{len(run.model)} files")


@clause(TRAINING)
def sigterm_during_start(trainings: Trainings) -> Outcome:
    """SIGTERM ends a program that is still loading, too. Process 1 dies of no signal that it has
    not installed a handler for.

    Source: CreateTrainingJob, StoppingCondition; sagemaker-training-toolkit issue 173
    Fix: install the handler of SIGTERM before the imports that take long
    """
    early_s = trainings.limits.early_s
    root = lay_out_long_job(trainings)
    with trainings.running(root) as (instance, run):
        # a container needs a moment until it has a process
        while not trainings.target.pids(instance) and instance.code() is None:
            time.sleep(PAUSE_S)
        time.sleep(early_s)
        if instance.code() is not None:
            return NotApplicable(f"the job has ended {early_s:g} s after its start")
        trainings.stop(instance, run)
    return _ended_by_itself(run)


@clause(TRAINING)
def log_arrives_during_the_run(trainings: Trainings) -> Outcome:
    """Output arrives while the training runs. Output in a buffer is lost when the job is killed.

    Source: developer guide, "Log Amazon SageMaker events with Amazon CloudWatch": stdout and
        stderr
    Fix: flush the output: PYTHONUNBUFFERED=1, or print(…, flush=True)
    """
    run = trainings.once(killed)
    if not trainings.once(plain).lines:
        return NotApplicable("it prints nothing")
    if not run.lines:
        return Broken("nothing had arrived when it was killed")
    return Kept(f"{len(run.lines)} lines")


@clause(TRAINING)
def restart_with_checkpoints(trainings: Trainings) -> Outcome:
    """After SIGTERM, a new job with the checkpoints of the stopped one succeeds. The rest of its
    tree is empty.

    Source: developer guide, "Managed spot training": /opt/ml/checkpoints is restored before the
        training starts again
    Fix: load the newest checkpoint of /opt/ml/checkpoints and continue; where all epochs are
        done, write the model and succeed
    """
    return _again(trainings, trainings.once(stopped))


@clause(TRAINING)
def restart_after_kill(trainings: Trainings) -> Outcome:
    """After SIGKILL, a new job with the checkpoints of the killed one succeeds, even where a
    checkpoint is incomplete.

    Source: developer guide, "Managed spot training"; "Use checkpoints": files are copied as they
        are written
    Fix: write each checkpoint under another name and rename it, and skip checkpoints that cannot
        be read
    """
    return _again(trainings, trainings.once(killed))


@clause(TRAINING)
def foreign_checkpoints(trainings: Trainings) -> Outcome:
    """Foreign files in /opt/ml/checkpoints do not stop a training.

    Source: developer guide, "Use checkpoints": existing objects under the S3 path are copied in
        at the start
    Fix: find checkpoints by the names that the program gives them, and ignore other files
    """

    def add_foreign_files(root: Path) -> None:
        checkpoints = root / "checkpoints"
        (checkpoints / "lost+found").mkdir()
        (checkpoints / ".conformance.tmp").write_bytes(b"")
        (checkpoints / "model-7.bin").write_bytes(b"of another program")

    root = trainings.lay_out(more=CHECKPOINTS)
    return trainings.succeeds(root, prepare=add_foreign_files)


def lay_out_long_job(trainings: Trainings) -> Path:
    """A tree of a job that lasts, with CheckpointConfig."""
    trainings.once(plain)
    job = trainings.job
    return trainings.lay_out({**job.hyperparameters, **job.long}, more=CHECKPOINTS)


def stopped(trainings: Trainings) -> Run:
    """A long job that got SIGTERM while it trained."""
    root = lay_out_long_job(trainings)
    with trainings.running(root) as (instance, run):
        _wait_until_it_trains(trainings, instance, run)
        trainings.stop(instance, run)
    return run


def killed(trainings: Trainings) -> Run:
    """A long job that got SIGKILL while it trained."""
    root = lay_out_long_job(trainings)
    with trainings.running(root) as (instance, run):
        try:
            _wait_until_it_trains(trainings, instance, run)
            _wait_for_a_checkpoint(trainings, instance, root / "checkpoints")
        finally:
            instance.kill()
    return run


def _wait_until_it_trains(trainings: Trainings, instance: Instance, run: Run) -> None:
    """Wait for the first metric line; without metrics, as long as the plain job took.

    Settled as not applicable where the job ends before that. A job that is not known to be long
    must also continue for a while: one that ends by itself looks like one that SIGTERM ended.
    """
    seconds = trainings.once(plain).seconds
    if trainings.patterns:
        seconds = max(trainings.limits.trains_s, TIMES * seconds)
    deadline = time.monotonic() + seconds
    seen = 0  # lines that were searched already
    while instance.code() is None and time.monotonic() < deadline:
        fresh = run.lines[seen:]
        seen += len(fresh)
        if any(_is_metric_line(trainings, line) for _, line in fresh):
            if not trainings.job.long:
                trainings.wait(instance, trainings.limits.early_s)
            break
        time.sleep(0.01)
    if instance.code() is not None:
        raise Settled(
            NotApplicable(
                "the job ends before it can be stopped; give hyperparameters that make it last "
                "in --job's file, under long"
            )
        )


def _is_metric_line(trainings: Trainings, line: str) -> bool:
    return any(pattern.search(line) for pattern in trainings.patterns.values())


def _wait_for_a_checkpoint(trainings: Trainings, instance: Instance, checkpoints: Path) -> None:
    """Wait until the folder holds something: a metric line may come before the checkpoint."""
    deadline = time.monotonic() + trainings.limits.trains_s
    while time.monotonic() < deadline and instance.code() is None:
        if any(checkpoints.iterdir()):
            return
        time.sleep(0.01)


def _ended_by_itself(run: Run) -> Outcome:
    if run.code in (None, KILLED):
        return Broken(f"it had to be killed after {run.stop_s:.0f} s")
    return Kept(f"{run.stop_s:.1f} s, code {run.code}")


def _again(trainings: Trainings, before: Run) -> Outcome:
    """The short job, with the checkpoints of a long one."""
    left = before.root / "checkpoints"
    if not any(left.iterdir()):
        why = "it had left no checkpoints by then: after an interruption it starts from zero"
        raise Settled(NotApplicable(why))

    def restore(root: Path) -> None:
        (root / "checkpoints").rmdir()
        left.rename(root / "checkpoints")

    root = trainings.lay_out(more=CHECKPOINTS)
    return trainings.judged(trainings.run(root, prepare=restore))
