"""All clauses: loading this puts them on the list."""

from conformance import (
    image_clauses,
    serving_life,
    serving_multi_model,
    serving_requests,
    serving_start,
    training_end,
    training_places,
    training_start,
)
from conformance.clauses import CLAUSES, Clause

MODULES = (
    training_start,
    training_end,
    training_places,
    serving_start,
    serving_requests,
    serving_life,
    serving_multi_model,
    image_clauses,
)


def of_kind(kind: str, only: tuple[str, ...] = ()) -> list[Clause]:
    """The clauses of a kind, in the order of their modules; of `only`, if given, those with these names."""
    places = {module.__name__: place for place, module in enumerate(MODULES)}
    found = [
        clause
        for clause in CLAUSES.values()
        if clause.kind == kind and (not only or clause.name in only)
    ]
    return sorted(found, key=lambda clause: places[clause.check.__module__])
