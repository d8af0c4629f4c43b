"""The table of `make conformance-peers`, as Markdown: clauses by images, and what users see."""

from collections.abc import Mapping

from bench.contract.consequences import CONSEQUENCES
from conformance import results
from conformance.catalog import of_kind
from conformance.clauses import IMAGE, SERVING, Broken, Result

Outcomes = Mapping[str, Result]  # by the clause's name
WORDS = {"kept": "kept", "broken": "**broken**", "n/a": "–"}
ABOUT = """## The contract on others' images

Images in the patterns that users of SageMaker follow, written anew from their documentation: the
adapter of AWS's Ray Serve image, MLflow's container for SageMaker, what ml-container-creator
generates for Flask, the Flask and nginx example, and multi-model-server with sagemaker-inference.
They stand on this project's base, and serve a model of four numbers. A dash: the clause cannot
judge the image. `not run`: the table is of a run without the clause. Times and memory under load
are of one machine."""


def table(columns: Mapping[str, Outcomes], failed: Mapping[str, str]) -> str:
    """failed: images that could not be examined, and why."""
    parts = [ABOUT, _counts(columns), _rows(columns), _seen(columns)]
    if failed:
        rows = [f"- {title}: {why}" for title, why in failed.items()]
        parts.append("\n".join(["Not examined:", "", *rows]))
    return "\n\n".join(part for part in parts if part) + "\n"


def _counts(columns: Mapping[str, Outcomes]) -> str:
    rows = ["| image | kept | broken | not applicable |", "|---|---:|---:|---:|"]
    for title, found in columns.items():
        counts = results.counted(list(found.values()))
        rows.append(f"| {title} | {' | '.join(str(count) for count in counts.values())} |")
    return "\n".join(rows)


def _rows(columns: Mapping[str, Outcomes]) -> str:
    rows = [f"| clause | {' | '.join(columns)} |", "|---|" + "---|" * len(columns)]
    for name in _names(columns):
        words = []
        for found in columns.values():
            result = found.get(name)
            words.append(WORDS[results.outcome_word(result.outcome)] if result else "not run")
        rows.append(f"| `{name}` | {' | '.join(words)} |")
    return "\n".join(rows)


def _names(columns: Mapping[str, Outcomes]) -> list[str]:
    """The clauses that were looked at, in the order of the list."""
    clauses = of_kind(SERVING) + of_kind(IMAGE)
    found = set().union(*columns.values())
    return [clause.name for clause in clauses if clause.name in found]


def _seen(columns: Mapping[str, Outcomes]) -> str:
    """For each clause that an image breaks: what its user meets on SageMaker, and what was seen."""
    rows = ["### What a user of a broken clause meets on SageMaker", ""]
    for name in _names(columns):
        broken = {
            title: found[name]
            for title, found in columns.items()
            if name in found and isinstance(found[name].outcome, Broken)
        }
        if not broken:
            continue
        rows.append(f"- `{name}`: {CONSEQUENCES.get(name, 'the requirement does not hold')}")
        for title, result in broken.items():
            # without the image's own log, which has times and paths of one run
            seen = results.seen(result).partition("; its output ends with:")[0]
            rows.append(f"  - {title}: {_escaped(seen)}")
    return "\n".join(rows) if len(rows) > 2 else ""


def _escaped(text: str) -> str:
    """A line of any program's output within Markdown."""
    return "`" + text.replace("`", "'").replace("|", "¦")[:200] + "`"
