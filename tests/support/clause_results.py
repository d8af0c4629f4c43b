"""Results of clauses, by the clauses' names."""

from collections.abc import Iterable

from conformance.clauses import Broken, NotApplicable, Result


def by_name(results: Iterable[Result]) -> dict[str, Result]:
    return {result.clause.name: result for result in results}


def broken(results: dict[str, Result]) -> dict[str, str]:
    """What was seen of the broken clauses."""
    found = {}
    for name, result in results.items():
        if isinstance(result.outcome, Broken):
            found[name] = result.outcome.seen
    return found


def not_applicable(results: dict[str, Result]) -> dict[str, str]:
    """Why the clauses that are not applicable are not."""
    found = {}
    for name, result in results.items():
        if isinstance(result.outcome, NotApplicable):
            found[name] = result.outcome.why
    return found
