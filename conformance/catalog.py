"""All clauses. Loading this module registers them."""

from conformance import (
    image_clauses,
    serving_files,
    serving_headers,
    serving_health,
    serving_life,
    serving_multi_model,
    serving_processes,
    serving_records,
    serving_refusals,
    serving_requests,
    serving_start,
    training_end,
    training_interruption,
    training_log,
    training_places,
    training_start,
)
from conformance.clauses import CLAUSES, Clause

# in the order of the list; within a module, clauses stand as in its file
MODULES = (
    training_start,
    training_end,
    training_interruption,
    training_places,
    training_log,
    serving_start,
    serving_health,
    serving_requests,
    serving_headers,
    serving_records,
    serving_refusals,
    serving_files,
    serving_processes,
    serving_life,
    serving_multi_model,
    image_clauses,
)


def of_kind(kind: str, only: tuple[str, ...] = ()) -> list[Clause]:
    """The clauses of a kind, in the order of MODULES. only: their names; all where it is empty."""
    names = [module.__name__ for module in MODULES]
    found = [
        clause
        for clause in CLAUSES.values()
        if clause.kind == kind and (not only or clause.name in only)
    ]
    return sorted(found, key=lambda clause: names.index(clause.check.__module__))
