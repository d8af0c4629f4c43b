"""Results in three formats: lines for people, JSON, and JUnit's XML."""

import json
from pathlib import Path
from xml.etree import ElementTree

from conformance.clauses import Broken, Kept, NotApplicable, Outcome, Result

INDENT = " " * 18  # below the clause's name


def row(result: Result) -> str:
    """One line; for a broken clause three more: the requirement, its source, and the fix."""
    clause = result.clause
    word = outcome_word(result.outcome)
    if word == "broken":
        word = "BROKEN"  # to be found in a long table
    line = f"{word:7} {clause.kind:9} {clause.name:38} {seen(result)}".rstrip()
    if not isinstance(result.outcome, Broken):
        return line
    more = (
        f"{INDENT}required: {result.required}",
        f"{INDENT}source:   {clause.source}",
        f"{INDENT}fix:      {clause.fix}",
    )
    return "\n".join((line, *more))


def outcome_word(outcome: Outcome) -> str:
    """The outcome as lines and JSON name it."""
    if isinstance(outcome, Kept):
        return "kept"
    if isinstance(outcome, Broken):
        return "broken"
    return "n/a"


def seen(result: Result) -> str:
    """What the clause saw, or why it is not applicable, in one line."""
    outcome = result.outcome
    text = outcome.why if isinstance(outcome, NotApplicable) else outcome.seen
    return " ".join(text.split())


def counted(results: list[Result]) -> dict[str, int]:
    """The numbers of kept, broken and not applicable clauses."""
    words = [outcome_word(result.outcome) for result in results]
    return {
        "kept": words.count("kept"),
        "broken": words.count("broken"),
        "not_applicable": words.count("n/a"),
    }


def as_json(results: list[Result]) -> str:
    """An object with the counts and a list of clauses. README.md describes its fields."""
    rows = [
        {
            "clause": result.clause.name,
            "kind": result.clause.kind,
            "subject": result.target,
            "outcome": outcome_word(result.outcome),
            "seen": seen(result),
            "required": result.required,
            "source": result.clause.source,
            "mend": result.clause.fix,
            "seconds": round(result.seconds, 3),
        }
        for result in results
    ]
    return json.dumps({**counted(results), "clauses": rows}, indent=2) + "\n"


def write_junit(results: list[Result], path: Path) -> None:
    """A test suite for each target and kind, and in it a test case for each clause."""
    root = ElementTree.Element("testsuites")
    suites: dict[tuple[str, str], list[Result]] = {}
    for result in results:
        suites.setdefault((result.target, result.clause.kind), []).append(result)
    for (target, kind), own in suites.items():
        counts = counted(own)
        suite = ElementTree.SubElement(
            root,
            "testsuite",
            name=f"conformance {kind} {target}",
            tests=str(len(own)),
            failures=str(counts["broken"]),
            skipped=str(counts["not_applicable"]),
            time=f"{sum(result.seconds for result in own):.3f}",
        )
        for result in own:
            _add_case(suite, result)
    ElementTree.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)


def _add_case(suite: ElementTree.Element, result: Result) -> None:
    clause = result.clause
    case = ElementTree.SubElement(
        suite,
        "testcase",
        classname=f"conformance.{clause.kind}",
        name=clause.name,
        time=f"{result.seconds:.3f}",
    )
    message = _printable(seen(result))
    if isinstance(result.outcome, Broken):
        failure = ElementTree.SubElement(case, "failure", message=message)
        text = f"required: {result.required}\nsource: {clause.source}\nfix: {clause.fix}"
        failure.text = _printable(text)
    elif isinstance(result.outcome, NotApplicable):
        ElementTree.SubElement(case, "skipped", message=message)


def _printable(text: str) -> str:
    """The text without the control characters that XML does not allow."""
    return "".join(letter for letter in text if letter in "\n\t" or letter.isprintable())
