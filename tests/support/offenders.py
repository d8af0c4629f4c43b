"""Programs with one planted fault each, and what all kinds of them must show."""

import os
import sys
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from conformance.clauses import Clause, Result
from tests.support.clause_results import broken, not_applicable

# a process can be closed in by root alone, on Linux
IS_ROOT = os.getuid() == 0 and sys.platform == "linux"


@contextmanager
def side_by_side(
    examined: Callable[[str], dict[str, Result]], faults: Collection[str]
) -> Iterator[dict[str, Future]]:
    """The results of each fault, a few faults at a time: the programs mostly wait."""
    with ThreadPoolExecutor(6) as pool:
        yield {fault: pool.submit(examined, fault) for fault in faults}


def skip_unless_root(fault: str, of_root: Collection[str]) -> None:
    if fault in of_root and not IS_ROOT:
        pytest.skip("closing a process in needs root")


def assert_says_what_it_requires(clause: Clause) -> None:
    assert clause.requirement.endswith((".", ")"))
    assert len(clause.source) > 10
    assert len(clause.fix) > 10


def assert_all_kept(
    results: dict[str, Result], of_images: Collection[str], of_root: Collection[str]
) -> None:
    """Nothing is broken, and only what a process cannot show is left out."""
    assert broken(results) == {}
    left_out = set(of_images)
    if not IS_ROOT:
        left_out |= set(of_root)
    found = not_applicable(results)
    assert set(found) == left_out, found
