"""How a clause is registered, what it can find, and how it is run. Knows no single clause.

A clause is a small function that returns Kept, Broken or NotApplicable. Its docstring has three
parts: the requirement, `Source:` (where it is written) and `Fix:` (what to change in the image).
Sources are AWS's developer guide for SageMaker, botocore's description of its API, RFCs, and
public threads of users who met the rule.
"""

import inspect
import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

Owner = TypeVar("Owner")
Made = TypeVar("Made")

TRAINING = "training"
SERVING = "serving"
IMAGE = "image"
KINDS = (TRAINING, SERVING, IMAGE)
ERROR_LENGTH = 500  # characters of an error's text in a result


@dataclass(frozen=True)
class Kept:
    """The requirement holds. seen: a detail worth showing, such as a number."""

    seen: str = ""


@dataclass(frozen=True)
class Broken:
    """The requirement does not hold. required: replaces the clause's own requirement if given."""

    seen: str
    required: str = ""


@dataclass(frozen=True)
class NotApplicable:
    """The clause cannot judge this target, and why."""

    why: str


Outcome = Kept | Broken | NotApplicable


class Settled(Exception):
    """Raised where the outcome is certain before the clause's function has ended."""

    def __init__(self, outcome: Outcome):
        super().__init__(outcome)
        self.outcome = outcome


@dataclass(frozen=True)
class Clause:
    """A registered clause. requirement, source and fix come from the docstring.

    alone: the clause measures times under load, so nothing else may run at the same time.
    """

    name: str
    kind: str
    check: Callable[..., Outcome]
    alone: bool
    requirement: str
    source: str
    fix: str


@dataclass(frozen=True)
class Result:
    """The outcome of one clause. target: the image's name, or "process"."""

    clause: Clause
    target: str
    outcome: Outcome
    seconds: float

    @property
    def required(self) -> str:
        """The sentence that the target was checked against."""
        if isinstance(self.outcome, Broken) and self.outcome.required:
            return self.outcome.required
        return self.clause.requirement


class Shared(Generic[Owner]):
    """Values that several clauses need of one owner, such as its running server.

    Each value is made once, by the first caller. Callers that come meanwhile wait for it.
    """

    def __init__(self, owner: Owner):
        self._owner = owner
        self._lock = threading.Lock()
        # Any: each value has a type of its own, which __call__ gives back to its caller
        self._futures: dict[Callable[[Owner], Any], Future[Any]] = {}

    def __call__(self, make: Callable[[Owner], Made]) -> Made:
        """make(owner), or the error that it raised."""
        with self._lock:
            first = make not in self._futures
            future: Future[Made] = self._futures.setdefault(make, Future())
        if first:
            try:
                future.set_result(make(self._owner))
            except BaseException as error:  # the waiting callers must get any error, Ctrl-C too
                future.set_exception(error)
        return future.result()


CLAUSES: dict[str, Clause] = {}


def clause(
    kind: str, alone: bool = False
) -> Callable[[Callable[..., Outcome]], Callable[..., Outcome]]:
    """Register a function as a clause under its own name. ValueError where the name is taken."""

    def register(check: Callable[..., Outcome]) -> Callable[..., Outcome]:
        text = inspect.getdoc(check) or ""
        parts = re.split(r"^(?:Source|Fix): ", text, flags=re.MULTILINE)
        requirement, source, fix = (" ".join(part.split()) for part in parts)
        name = check.__name__
        if name in CLAUSES:
            raise ValueError(f"the clause '{name}' is defined twice; rename one of the two")
        CLAUSES[name] = Clause(name, kind, check, alone, requirement, source, fix)
        return check

    return register


def look(clause: Clause, owner: object, name: str) -> Result:
    """Run one clause. An error inside the clause counts as broken, with the error's text.

    owner: what the clause's function takes; name: of the target, for the result.
    """
    started = time.monotonic()
    outcome: Outcome
    try:
        outcome = clause.check(owner)
    except Settled as settled:
        outcome = settled.outcome
    except Exception as error:
        message = f"the check failed: {type(error).__name__}: {error}"
        outcome = Broken(message[:ERROR_LENGTH])
    return Result(clause, name, outcome, time.monotonic() - started)
