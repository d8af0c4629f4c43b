"""The training jobs that clauses look at: laid out, run, stopped. A job that several clauses look at runs once."""

import json
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from conformance.clauses import Broken, Kept, NotApplicable, Outcome, Settled, Shared
from conformance.limits import ContractLimits
from conformance.targets import Image, Program, Sandbox
from local_sagemaker.metrics import Measures
from runtime import opt_ml
from runtime.instances import Instance

KILLED = 137  # 128 + SIGKILL


@dataclass(frozen=True)
class Job:
    """What to train. long: hyperparameters on top that make it last minutes; metrics: MetricDefinitions, name to regex; environment: as CreateTrainingJob's."""

    channels: dict[str, Path]
    hyperparameters: dict[str, str] = field(default_factory=dict)
    long: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)


@dataclass
class Run:
    """A training that has ended. code: None where it had to be killed. lines: of output, with seconds since the start."""

    root: Path
    code: int | None = None
    seconds: float = 0.0
    lines: list[tuple[float, str]] = field(default_factory=list)
    changes: list[str] = field(
        default_factory=list
    )  # of the plain job alone: an engine takes seconds to tell them of a large image
    stop_s: float = 0.0  # from SIGTERM to its end
    started: float = field(default_factory=time.monotonic)

    @property
    def model(self) -> list[Path]:
        return [path for path in sorted((self.root / "model").rglob("*")) if not path.is_dir()]

    @property
    def failure(self) -> bytes | None:
        path = self.root / "output" / "failure"
        return path.read_bytes() if path.is_file() else None

    def tail(self) -> str:
        """The last line of output, short."""
        return next(
            (line.strip()[-160:] for _, line in reversed(self.lines) if line.strip()),
            "it printed nothing",
        )

    def ended(self) -> str:
        return "did not end" if self.code is None else f"ended with code {self.code}"


class Trainings:
    """All jobs of one target. work: a folder of its own."""

    def __init__(self, target: Image | Program, job: Job, limits: ContractLimits, work: Path):
        self.target, self.job, self.limits, self.work = target, job, limits, work
        self.patterns = [re.compile(regex) for regex in job.metrics.values()]
        self.once = Shared(self)
        self._lock, self._count = threading.Lock(), 0

    def lay_out(self, **given: object) -> Path:
        """A fresh tree, with opt_ml.configure's arguments in place of ours."""
        with self._lock:
            self._count += 1
            root = self.work / f"job-{self._count}"
        opt_ml.lay_out(root, {}, self.once(copied))
        channels = given.pop("channels", {name: {} for name in self.job.channels})
        opt_ml.configure(
            root,
            given.pop("hyperparameters", self.job.hyperparameters),
            channels,
            **{"interface": self.target.interface, **given},
        )
        root.chmod(0o755)
        return root

    @contextmanager
    def running(
        self, root: Path, sandbox: Sandbox = Sandbox(), watched: bool = False
    ) -> Iterator[tuple[Instance, Run]]:
        """A started job; it is gone afterwards, and its Run complete. watched: with what it changed outside its tree."""
        run = Run(root)
        name = {
            "TRAINING_JOB_NAME": "conformance",
            "TRAINING_JOB_ARN": "arn:aws:sagemaker:eu-west-1:123456789012:training-job/conformance",
        }
        sandbox = replace(
            sandbox, environment={**name, **self.job.environment, **sandbox.environment}
        )
        machine = self.target.start(
            "train",
            root,
            sandbox,
            lambda line: run.lines.append((time.monotonic() - run.started, line)),
        )
        try:
            yield machine, run
        finally:
            run.code = machine.code()
            run.seconds = time.monotonic() - run.started
            run.changes = self.target.changes(machine, root) if watched else []
            machine.kill()

    def run(
        self,
        sandbox: Sandbox = Sandbox(),
        prepare: Callable[[Path], object] = lambda root: None,
        watched: bool = False,
        **given: object,
    ) -> Run:
        """A job from its start to its end. prepare: changes the tree before; watched: as of `running`."""
        root = self.lay_out(**given)
        prepare(root)
        with self.running(root, sandbox, watched) as (machine, run):
            self.wait(machine)
        return run

    def wait(self, machine: Instance, seconds: float | None = None) -> None:
        deadline = time.monotonic() + (self.limits.train_s if seconds is None else seconds)
        while machine.code() is None and time.monotonic() < deadline:
            time.sleep(0.02)

    def succeeds(
        self,
        sandbox: Sandbox = Sandbox(),
        prepare: Callable[[Path], object] = lambda root: None,
        **given: object,
    ) -> Outcome:
        """Whether a job like the plain one, but for what is given, leaves a model and 0."""
        self.once(plain)
        return self.judged(self.run(sandbox, prepare, **given))

    def judged(self, run: Run) -> Outcome:
        """Kept for a run that left 0, and a model if the plain one left one."""
        if run.code != 0:
            return Broken(f"it {run.ended()}: {run.tail()}")
        return (
            Kept(f"{run.seconds:.1f} s")
            if run.model or not self.once(plain).model
            else Broken("it ended with code 0, but left nothing in /opt/ml/model")
        )

    def ends_orderly(
        self, prepare: Callable[[Path], object] = lambda root: None, **given: object
    ) -> Outcome:
        """Whether a job either leaves a model and 0, or anything but 0."""
        self.once(plain)
        run = self.run(Sandbox(), prepare, **given)
        if run.code is None:
            return Broken(f"it ran on for {run.seconds:.0f} s")
        if run.code == 0 and not run.model and self.once(plain).model:
            return Broken("it ended with code 0, but left nothing in /opt/ml/model")
        return Kept(
            "it trains all the same" if run.code == 0 else f"it is refused with code {run.code}"
        )

    def measured(self, run: Run) -> dict[str, dict]:
        """The last number that each metric's regular expression finds in a run's output, by name."""
        measures = Measures(
            [{"Name": name, "Regex": regex} for name, regex in self.job.metrics.items()]
        )
        for _, line in run.lines:
            measures.read(line)
        return measures.last


def copied(trainings: Trainings) -> dict[str, Path]:
    """The channels as copies: trees are made of links to them, and no job may change the files that were given."""
    folders = {name: trainings.work / "channels" / name for name in trainings.job.channels}
    for name, folder in folders.items():
        shutil.copytree(trainings.job.channels[name], folder)
    return folders


def attempted(trainings: Trainings) -> Run:
    """The plain job, however it ended."""
    return trainings.run(prepare=_remember_input, watched=True)


def plain(trainings: Trainings) -> Run:
    """The plain job, which the other clauses start from."""
    run = trainings.once(attempted)
    if run.code != 0:
        raise Settled(NotApplicable("the plain job fails; see starts_with_train"))
    return run


def doomed(trainings: Trainings) -> Run:
    """A job that cannot succeed: its channels are empty and its hyperparameters no JSON."""
    return trainings.run(prepare=doom)


def doom(root: Path) -> None:
    """Empty all channels, and damage the hyperparameters."""
    for channel in (root / "input" / "data").iterdir():
        shutil.rmtree(channel)
        channel.mkdir()
    (root / "input" / "config" / "hyperparameters.json").write_text("{")


def stopped(trainings: Trainings) -> Run:
    """A long job that got SIGTERM while it trained, with checkpoints."""
    root = long_job(trainings)
    with trainings.running(root) as (machine, run):
        until_it_trains(trainings, machine, run)
        began = time.monotonic()
        machine.stop(trainings.limits.train_stop_s)
        run.stop_s = time.monotonic() - began
    return run


def long_job(trainings: Trainings) -> Path:
    """A tree whose job lasts, with CheckpointConfig."""
    trainings.once(plain)
    return trainings.lay_out(
        hyperparameters={**trainings.job.hyperparameters, **trainings.job.long},
        more={
            "checkpointconfig": {
                "LocalPath": "/opt/ml/checkpoints",
                "S3Uri": "s3://bucket/checkpoints",
            }
        },
    )


def until_it_trains(trainings: Trainings, machine: Instance, run: Run) -> None:
    """Wait for the first metric line; without metrics, as long as the plain job took. Settled when the job ends before that.

    A job that is not known to be long must also go on for a while: one that ends by itself looks like one that SIGTERM ended.
    """
    took = trainings.once(plain).seconds
    deadline = time.monotonic() + (
        max(trainings.limits.trains_s, 3 * took) if trainings.patterns else took
    )
    seen = 0
    while machine.code() is None and time.monotonic() < deadline:
        lines, seen = run.lines[seen:], len(run.lines)
        if any(pattern.search(line) for _, line in lines for pattern in trainings.patterns):
            trainings.wait(machine, 0 if trainings.job.long else trainings.limits.early_s)
            break
        time.sleep(0.01)
    if machine.code() is not None:
        raise Settled(
            NotApplicable(
                "the job ends before it can be stopped; give hyperparameters that make it last in --job's file, under long"
            )
        )


def _remember_input(root: Path) -> None:
    (root.parent / f"{root.name}-input.json").write_text(json.dumps(listed(root / "input")))


def remembered_input(root: Path) -> dict:
    """What `listed` said of a plain job's input before it ran."""
    return json.loads((root.parent / f"{root.name}-input.json").read_text())


def listed(folder: Path) -> dict[str, list[int]]:
    """Size and time of change, in ns, of every file below a folder."""
    return {
        str(path.relative_to(folder)): [path.stat().st_size, path.stat().st_mtime_ns]
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
