"""The page of clauses: the requirements of SageMaker's container contract."""

from conformance.catalog import of_kind
from conformance.clauses import KINDS, Clause
from reference.markdown import code, prose, table

HEADS = ("clause", "requirement", "fix", "source")
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
        parts += [f"## {TITLES[kind]}", table(HEADS, [_row(entry) for entry in of_kind(kind)])]
    return "\n\n".join(parts) + "\n"


def _row(entry: Clause) -> tuple[str, str, str, str]:
    return code(entry.name), prose(entry.requirement), prose(entry.fix), prose(entry.source)
