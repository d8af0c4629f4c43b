"""What a clause is: a small function that looks at a target and says kept, broken or not applicable; and the list of all of them.

The first paragraph of a clause's docstring is what the contract requires, `Source:` says where that is written, `Fix:` what to change. The
sections are those of AWS's developer guide for SageMaker, botocore's description of its API, or the public threads in which users met it.
"""

import inspect
import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar

Made = TypeVar("Made")

TRAINING, SERVING, IMAGE = KINDS = ("training", "serving", "image")


@dataclass(frozen=True)
class Kept:
    """seen: what there is to tell of it, such as a number."""

    seen: str = ""


@dataclass(frozen=True)
class Broken:
    """required: in place of the first paragraph of the clause's docstring."""

    seen: str
    required: str = ""


@dataclass(frozen=True)
class NotApplicable:
    """Why the clause says nothing of this target."""

    why: str


Outcome = Kept | Broken | NotApplicable


class Settled(Exception):
    """An outcome that is certain before a clause has come to its end."""

    def __init__(self, outcome: Outcome):
        super().__init__(outcome)
        self.outcome = outcome


@dataclass(frozen=True)
class Clause:
    """alone: it measures times under load, so nothing else may run meanwhile. requirement, source, fix: from the docstring."""

    name: str
    kind: str
    check: Callable[..., Outcome]
    alone: bool
    requirement: str
    source: str
    fix: str


@dataclass(frozen=True)
class Result:
    """One clause looked at. target: the image's name, or process."""

    clause: Clause
    target: str
    outcome: Outcome
    seconds: float

    @property
    def required(self) -> str:
        return getattr(self.outcome, "required", "") or self.clause.requirement


class Shared:
    """What several clauses need of a target, made once, by the first who asks; the others wait for it."""

    def __init__(self, target: object):
        self._target, self._lock, self._futures = target, threading.Lock(), {}

    def __call__(self, make: Callable[[Any], Made]) -> Made:
        """make(target), or the error that it raised."""
        with self._lock:
            first = make not in self._futures
            future = self._futures.setdefault(make, Future())
        if first:
            try:
                future.set_result(make(self._target))
            except BaseException as error:  # whatever it is, those who wait must learn of it
                future.set_exception(error)
        return future.result()


CLAUSES: dict[str, Clause] = {}


def clause(kind: str, alone: bool = False) -> Callable:
    """Put a function on the list, under its own name."""

    def register(check: Callable[..., Outcome]) -> Callable[..., Outcome]:
        requirement, source, fix = (
            " ".join(part.split())
            for part in re.split(r"^(?:Source|Fix): ", inspect.getdoc(check), flags=re.M)
        )
        if check.__name__ in CLAUSES:
            raise ValueError(f"the clause {check.__name__} is there twice")
        CLAUSES[check.__name__] = Clause(
            check.__name__, kind, check, alone, requirement, source, fix
        )
        return check

    return register


def look(clause: Clause, target: object, name: str) -> Result:
    """Hold one clause against a target. What the clause itself stumbles over counts as broken, with the error's words."""
    started = time.monotonic()
    try:
        outcome = clause.check(target)
    except Settled as settled:
        outcome = settled.outcome
    except Exception as error:
        outcome = Broken(f"looking failed: {type(error).__name__}: {error}"[:500])
    return Result(clause, name, outcome, time.monotonic() - started)
