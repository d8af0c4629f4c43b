"""All clauses against what is given: side by side where they do not disturb each other, one by one where they measure."""

import itertools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from conformance import image_clauses, servings, trainings
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
from conformance.limits import ContractLimits
from conformance.targets import Image, Program


@dataclass(frozen=True)
class Wanted:
    """What is to be examined; None, or no job and no sample, for what is not. only: names of clauses, none for all.

    known: clauses that the target is known not to keep, by name, with the reason: they count as not applicable.
    """

    train: Image | Program | None = None
    serve: Image | Program | None = None
    job: trainings.Job | None = None
    sample: servings.Sample | None = None
    ami: str = ""
    sbom: Path | None = None
    only: tuple[str, ...] = ()
    known: dict[str, str] = field(default_factory=dict)
    side_by_side: int = 0


def examine(
    wanted: Wanted,
    limits: ContractLimits,
    work: Path,
    told: Callable[[Result], None] = lambda result: None,
) -> list[Result]:
    """Every clause's result, in the order of the list; each is told as soon as it is there. work: a folder for trees and models."""
    results: list[Result] = []

    def note(result: Result) -> None:
        result = _known(result, wanted.known)
        results.append(result)
        told(result)

    groups: list[list[tuple[Clause, object, str]]] = []
    training = (
        trainings.Trainings(wanted.train, wanted.job, limits, _folder(work, "training"))
        if wanted.train
        else None
    )
    serving = (
        servings.Servings(
            wanted.serve,
            wanted.sample,
            limits,
            _folder(work, "serving"),
            lambda: training and trained(training),
        )
        if wanted.serve
        else None
    )
    try:
        if training:
            groups.append(
                [(clause, training, wanted.train.name) for clause in of_kind(TRAINING, wanted.only)]
            )
        if serving:
            groups.append(
                [(clause, serving, wanted.serve.name) for clause in of_kind(SERVING, wanted.only)]
            )
        for facts in _image_facts(wanted):
            groups.append([(clause, facts, facts.uri) for clause in of_kind(IMAGE, wanted.only)])
        # by turns, so that not all wait for the same first job
        tasks = [task for row in itertools.zip_longest(*groups) for task in row if task]
        with ThreadPoolExecutor(wanted.side_by_side or (os.cpu_count() or 1) + 1) as pool:
            try:
                for result in pool.map(
                    lambda task: look(*task), [task for task in tasks if not task[0].alone]
                ):
                    note(result)
            except BaseException:  # Ctrl-C above all: end what runs, then leave
                pool.shutdown(wait=False, cancel_futures=True)
                _sweep(wanted)
                raise
        for task in tasks:
            if task[0].alone:
                note(look(*task))
    finally:
        if serving:
            serving.close()
        _sweep(wanted)
    order = {
        (clause.name, name): place
        for place, (clause, _, name) in enumerate(task for group in groups for task in group)
    }
    return sorted(results, key=lambda result: order[result.clause.name, result.target])


def _known(result: Result, known: dict[str, str]) -> Result:
    """What is broken and known to be is not applicable, and says both."""
    if not isinstance(result.outcome, Broken) or result.clause.name not in known:
        return result
    return replace(
        result,
        outcome=NotApplicable(f"known: {known[result.clause.name]}; seen: {result.outcome.seen}"),
    )


def trained(training: trainings.Trainings) -> Path | None:
    """The model of the plain job; None where it left none."""
    run = training.once(trainings.attempted)
    return run.root / "model" if run.model else None


@contextmanager
def workplace() -> Iterator[Path]:
    """A folder for trees and models, that other users may look into; gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="slipway-conformance-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _image_facts(wanted: Wanted) -> list[image_clauses.ImageFacts]:
    images = {
        target.name: target for target in (wanted.train, wanted.serve) if isinstance(target, Image)
    }
    trains = wanted.train.name if wanted.train else ""
    return [
        image_clauses.ImageFacts(name, image.description, wanted.ami, wanted.sbom, name == trains)
        for name, image in images.items()
    ]


def _sweep(wanted: Wanted) -> None:
    for target in {wanted.train, wanted.serve} - {None}:
        target.sweep()


def _folder(work: Path, name: str) -> Path:
    (work / name).mkdir()
    return work / name
