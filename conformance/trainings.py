"""The training jobs of one target: laid out, run, stopped.

A job that several clauses use runs once.
"""

import json
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from conformance.clauses import Broken, Kept, NotApplicable, Outcome, Settled, Shared
from conformance.jobs import Job, Run
from conformance.limits import ContractLimits
from conformance.targets import HOST, Image, Program, Sandbox
from conformance.trees import files_of
from runtime import opt_ml
from runtime.instances import Instance

OPEN = Sandbox()  # as open as the contract lets it be
PAUSE_S = 0.02  # between two checks of a job
# what SageMaker sets in each training job
JOB_VARIABLES = {
    "TRAINING_JOB_NAME": "conformance",
    "TRAINING_JOB_ARN": "arn:aws:sagemaker:eu-west-1:123456789012:training-job/conformance",
}
CHECKPOINTS = {
    "checkpointconfig": {
        "LocalPath": "/opt/ml/checkpoints",
        "S3Uri": "s3://bucket/checkpoints",
    }
}
Prepare = Callable[[Path], object]  # changes a job's tree before it starts


def leave_as_it_is(root: Path) -> None:
    """Prepare nothing."""


class Trainings:
    """All jobs of one target. work: an own folder."""

    def __init__(self, target: Image | Program, job: Job, limits: ContractLimits, work: Path):
        self.target = target
        self.job = job
        self.limits = limits
        self.work = work
        self.patterns = {name: re.compile(regex) for name, regex in job.metrics.items()}
        self.once = Shared(self)
        self._lock = threading.Lock()
        self._count = 0  # of trees that were laid out

    def lay_out(
        self,
        hyperparameters: Mapping[str, str] | None = None,
        channels: tuple[str, ...] | None = None,
        hosts: tuple[str, ...] = (HOST,),
        host: str = HOST,
        more: Mapping[str, Mapping[str, object]] | None = None,
    ) -> Path:
        """A fresh tree, with the job's hyperparameters and channels where none are given.

        channels: names in inputdataconfig.json; more: further configuration files, by name.
        """
        with self._lock:
            self._count += 1
            root = self.work / f"job-{self._count}"
        if hyperparameters is None:
            hyperparameters = self.job.hyperparameters
        if channels is None:
            channels = tuple(self.job.channels)
        opt_ml.lay_out(root, {}, self.once(copied_channels))
        opt_ml.configure(
            root,
            hyperparameters,
            {name: {} for name in channels},
            host=host,
            groups=(opt_ml.InstanceGroup(hosts=hosts),),
            interface=self.target.interface,
            more=more,
        )
        root.chmod(0o755)
        return root

    @contextmanager
    def running(
        self, root: Path, sandbox: Sandbox = OPEN, watched: bool = False
    ) -> Iterator[tuple[Instance, Run]]:
        """A started job. After the block it is killed, and its Run is complete.

        watched: list what the job changed outside its tree, too.
        """
        run = Run(root)

        def on_line(line: str) -> None:
            run.lines.append((time.monotonic() - run.started, line))

        environment = {**JOB_VARIABLES, **self.job.environment, **sandbox.environment}
        sandbox = replace(sandbox, environment=environment)
        instance = self.target.start("train", root, sandbox, on_line)
        try:
            yield instance, run
        finally:
            run.code = instance.code()
            run.seconds = time.monotonic() - run.started
            if watched:
                run.changes = self.target.changes(instance, root)
            instance.kill()

    def run(
        self,
        root: Path,
        sandbox: Sandbox = OPEN,
        prepare: Prepare = leave_as_it_is,
        watched: bool = False,
    ) -> Run:
        """A job from its start to its end."""
        prepare(root)
        with self.running(root, sandbox, watched) as (instance, run):
            self.wait(instance)
        return run

    def wait(self, instance: Instance, seconds: float | None = None) -> None:
        """Wait for the job's end; `seconds` at most, or the time of a whole job."""
        if seconds is None:
            seconds = self.limits.train_s
        deadline = time.monotonic() + seconds
        while instance.code() is None and time.monotonic() < deadline:
            time.sleep(PAUSE_S)

    def stop(self, instance: Instance, run: Run) -> None:
        """Send SIGTERM, and SIGKILL when SageMaker would. Notes how long the job took to end."""
        began = time.monotonic()
        instance.stop(int(self.limits.train_stop_s))
        run.stop_s = time.monotonic() - began

    def succeeds(
        self,
        root: Path | None = None,
        sandbox: Sandbox = OPEN,
        prepare: Prepare = leave_as_it_is,
    ) -> Outcome:
        """Whether a job succeeds that differs from the plain one in what is given."""
        self.once(plain)
        return self.judged(self.run(root or self.lay_out(), sandbox, prepare))

    def judged(self, run: Run) -> Outcome:
        """Kept for a run that ended with code 0, and left a model if the plain job left one."""
        if run.code != 0:
            return Broken(f"it {run.ended()}: {run.tail()}")
        if self.untrained(run):
            return Broken("it ended with code 0, but left nothing in /opt/ml/model")
        return Kept(f"{run.seconds:.1f} s")

    def ends_orderly(self, root: Path | None = None, prepare: Prepare = leave_as_it_is) -> Outcome:
        """Whether a job either trains, or ends by itself with a code other than 0."""
        self.once(plain)
        run = self.run(root or self.lay_out(), OPEN, prepare)
        if run.code is None:
            return Broken(f"it ran on for {run.seconds:.0f} s")
        if self.untrained(run):
            return Broken("it ended with code 0, but left nothing in /opt/ml/model")
        return Kept(trained_or_refused(run))

    def untrained(self, run: Run) -> bool:
        """Whether a run passes for a success without a model, while the plain job leaves one."""
        return run.code == 0 and not run.model and bool(self.once(plain).model)

    def measured(self, run: Run) -> dict[str, float]:
        """The last number that each metric's regular expression finds in a run's output.

        As SageMaker does it, the expression's first group is the number.
        """
        found: dict[str, float] = {}
        for _, line in run.lines:
            for name, pattern in self.patterns.items():
                for match in pattern.finditer(line):
                    try:
                        found[name] = float(match.group(1))
                    except (ValueError, TypeError):
                        continue  # the group is not a number, or did not match
        return found


def trained_or_refused(run: Run) -> str:
    """How a job that may do either has ended, in words."""
    if run.code == 0:
        return "it trains all the same"
    return f"it is refused with code {run.code}"


# What follows is made once for each target, by Trainings.once.


def copied_channels(trainings: Trainings) -> dict[str, Path]:
    """Copies of the channels: trees link to them, and no job may change the user's own files."""
    folders = {}
    for name, source in trainings.job.channels.items():
        folders[name] = trainings.work / "channels" / name
        shutil.copytree(source, folders[name])
    return folders


def attempted(trainings: Trainings) -> Run:
    """The plain job, however it ended."""
    return trainings.run(trainings.lay_out(), prepare=_note_input, watched=True)


def plain(trainings: Trainings) -> Run:
    """The plain job, which the other clauses start from. Settled where it fails."""
    run = trainings.once(attempted)
    if run.code != 0:
        raise Settled(NotApplicable("the plain job fails; see starts_with_train"))
    return run


def doomed(trainings: Trainings) -> Run:
    """A job that cannot succeed."""
    return trainings.run(trainings.lay_out(), prepare=doom)


def doom(root: Path) -> None:
    """Empty all channels, and damage the hyperparameters."""
    for channel in (root / "input" / "data").iterdir():
        shutil.rmtree(channel)
        channel.mkdir()
    (root / "input" / "config" / "hyperparameters.json").write_text("{")


def _note_input(root: Path) -> None:
    _input_note(root).write_text(json.dumps(files_of(root / "input")))


def noted_input(root: Path) -> dict[str, list[int]]:
    """The files of the plain job's input before it ran, as files_of lists them."""
    files: dict[str, list[int]] = json.loads(_input_note(root).read_text())
    return files


def _input_note(root: Path) -> Path:
    return root.parent / f"{root.name}-input.json"
