"""Runs all clauses against the targets: side by side, and one by one where they measure times."""

import itertools
import os
import shutil
import tempfile
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from conformance.catalog import of_kind
from conformance.clauses import (
    IMAGE,
    SERVING,
    TRAINING,
    Broken,
    Clause,
    NotApplicable,
    Result,
    look,
)
from conformance.image_facts import ImageFacts
from conformance.jobs import Job
from conformance.limits import ContractLimits
from conformance.server import Sample
from conformance.servings import Servings
from conformance.targets import Image, Program
from conformance.trainings import Trainings, attempted
from runtime import job_tree

Task = tuple[Clause, object, str]  # the clause, what its function takes, the target's name


@dataclass(frozen=True)
class Wanted:
    """What to check. A target needs its input: train a job, serve a sample.

    only: names of clauses, empty for all; known: clauses that the target is known to break, by
    name, and why: they count as not applicable; side_by_side: clauses at once, 0 for one more
    than this machine has cores.
    """

    train: Image | Program | None = None
    serve: Image | Program | None = None
    job: Job | None = None
    sample: Sample | None = None
    ami: str = ""
    sbom: Path | None = None
    only: tuple[str, ...] = ()
    known: dict[str, str] = field(default_factory=dict)
    side_by_side: int = 0


def ignore(result: Result) -> None:
    """Wait for all results."""


def examine(
    wanted: Wanted,
    limits: ContractLimits,
    work: Path,
    on_result: Callable[[Result], None] = ignore,
) -> list[Result]:
    """The results of all clauses, in the order of the list.

    on_result: gets each result as soon as it is known; work: a folder for trees and models.
    """
    trainings = _trainings(wanted, limits, work)
    servings = _servings(wanted, limits, work, trainings)
    groups = _groups(wanted, trainings, servings)
    # The groups take turns: otherwise all threads would wait for the first job of one group.
    rounds = itertools.zip_longest(*groups)
    tasks = [task for task in itertools.chain.from_iterable(rounds) if task]
    results = []
    try:
        # closing: after Ctrl-C in on_result, too, no further clause starts
        with closing(_run(tasks, wanted)) as found:
            for result in found:
                result = _accepted_if_known(result, wanted.known)
                results.append(result)
                on_result(result)
    finally:
        if servings:
            servings.close()
        _sweep(wanted)
    listed = [(clause.name, name) for clause, _, name in itertools.chain.from_iterable(groups)]
    return sorted(results, key=lambda result: listed.index((result.clause.name, result.target)))


def _run(tasks: list[Task], wanted: Wanted) -> Generator[Result, None, None]:
    """Results as they come: first of the clauses that may run side by side."""
    together = [task for task in tasks if not task[0].alone]
    alone = [task for task in tasks if task[0].alone]
    threads = wanted.side_by_side or (os.cpu_count() or 1) + 1
    with ThreadPoolExecutor(threads) as pool:
        try:
            yield from pool.map(lambda task: look(*task), together)
        except BaseException:
            # Ctrl-C above all: end the targets first, so that the clauses' threads end, too
            pool.shutdown(wait=False, cancel_futures=True)
            _sweep(wanted)
            raise
    for task in alone:
        yield look(*task)


def _trainings(wanted: Wanted, limits: ContractLimits, work: Path) -> Trainings | None:
    if wanted.train is None:
        return None
    if wanted.job is None:
        raise ValueError("a target that trains needs a job")
    return Trainings(wanted.train, wanted.job, limits, _folder(work, "training"))


def _servings(
    wanted: Wanted, limits: ContractLimits, work: Path, trainings: Trainings | None
) -> Servings | None:
    if wanted.serve is None:
        return None
    if wanted.sample is None:
        raise ValueError("a target that serves needs a sample")

    def trained() -> Path | None:
        if trainings is None:
            return None
        return _trained_model(trainings)

    return Servings(wanted.serve, wanted.sample, limits, _folder(work, "serving"), trained)


def _groups(
    wanted: Wanted, trainings: Trainings | None, servings: Servings | None
) -> list[list[Task]]:
    """The tasks of each kind and target."""
    groups: list[list[Task]] = []
    if trainings:
        name = trainings.target.name
        groups.append([(clause, trainings, name) for clause in of_kind(TRAINING, wanted.only)])
    if servings:
        name = servings.target.name
        groups.append([(clause, servings, name) for clause in of_kind(SERVING, wanted.only)])
    for facts in _image_facts(wanted):
        groups.append([(clause, facts, facts.uri) for clause in of_kind(IMAGE, wanted.only)])
    return groups


def _image_facts(wanted: Wanted) -> list[ImageFacts]:
    """The images, each once, even where one both trains and serves."""
    images = {}
    for target in (wanted.train, wanted.serve):
        if isinstance(target, Image):
            images[target.name] = target
    trains = wanted.train.name if wanted.train else ""
    return [
        ImageFacts(name, image.description, wanted.ami, wanted.sbom, name == trains)
        for name, image in images.items()
    ]


def _accepted_if_known(result: Result, known: dict[str, str]) -> Result:
    """A broken clause that is known to be is not applicable. Its result says both."""
    outcome = result.outcome
    name = result.clause.name
    if not isinstance(outcome, Broken) or name not in known:
        return result
    why = f"known: {known[name]}; seen: {outcome.seen}"
    return replace(result, outcome=NotApplicable(why))


def _trained_model(trainings: Trainings) -> Path | None:
    """The model of the plain job; None where it left none."""
    run = trainings.once(attempted)
    # The model is copied and its modes are set: no link in it may lead to this machine's files.
    job_tree.drop_outward_links(run.root)
    if not run.model:
        return None
    return run.root / "model"


@contextmanager
def workplace() -> Iterator[Path]:
    """A folder for trees and models that all users can read. It is removed after the block."""
    folder = Path(tempfile.mkdtemp(prefix="slipway-conformance-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _sweep(wanted: Wanted) -> None:
    """End everything that still runs."""
    for target in {wanted.train, wanted.serve}:
        if target is not None:
            target.sweep()


def _folder(work: Path, name: str) -> Path:
    folder = work / name
    folder.mkdir()
    return folder
