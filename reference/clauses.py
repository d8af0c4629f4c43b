"""The page of clauses: the requirements of SageMaker's container contract."""

from conformance.catalog import of_kind
from conformance.clauses import KINDS, Clause
from reference.markdown import prose

TITLES = {
    "training": "Training images",
    "serving": "Serving images",
    "image": "The image itself",
}


def clauses() -> str:
    """Each clause with its requirement, fix and source."""
    parts = [
        "# Clauses",
        "`slipway conformance` checks an image against them. A clause is one requirement of "
        "SageMaker's container contract.",
    ]
    for kind in KINDS:
        parts += [f"## {TITLES[kind]}", *[_clause(entry) for entry in of_kind(kind)]]
    return "\n\n".join(parts) + "\n"


def _clause(entry: Clause) -> str:
    fix = entry.fix.rstrip(".")
    source = entry.source.rstrip(".")
    return (
        f"### `{entry.name}`\n\n{prose(entry.requirement)}\n\n"
        f"**Fix:** {prose(fix)}.\n\n**Source:** {prose(source)}."
    )
