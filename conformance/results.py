"""Results as a table of lines, as JSON and as JUnit's XML."""

import json
from pathlib import Path
from xml.etree import ElementTree

from conformance.clauses import Broken, Kept, Result

WORDS = {"Kept": "kept", "Broken": "BROKEN", "NotApplicable": "n/a"}


def row(result: Result) -> str:
    """One line, and for what is broken three more: what is required, where that is written, and what to change."""
    outcome = result.outcome
    line = f"{WORDS[type(outcome).__name__]:7} {result.clause.kind:9} {result.clause.name:38} {said(result)}".rstrip()
    if isinstance(outcome, Broken):
        line += f"\n{'':18}required: {result.required}\n{'':18}source:   {result.clause.source}\n{'':18}fix:      {result.clause.fix}"
    return line


def said(result: Result) -> str:
    """What was seen, or why it is not applicable, in one line."""
    outcome = result.outcome
    return " ".join((outcome.seen if isinstance(outcome, (Kept, Broken)) else outcome.why).split())


def counted(results: list[Result]) -> dict[str, int]:
    """How many are kept, broken and not applicable."""
    names = {"Kept": "kept", "Broken": "broken", "NotApplicable": "not_applicable"}
    return {
        word: sum(type(result.outcome).__name__ == name for result in results)
        for name, word in names.items()
    }


def as_json(results: list[Result]) -> str:
    """An object with the counts and a list of clauses."""
    rows = [
        {
            "clause": result.clause.name,
            "kind": result.clause.kind,
            "subject": result.target,
            "outcome": WORDS[type(result.outcome).__name__].lower(),
            "seen": said(result),
            "required": result.required,
            "source": result.clause.source,
            "mend": result.clause.fix,
            "seconds": round(result.seconds, 3),
        }
        for result in results
    ]
    return json.dumps({**counted(results), "clauses": rows}, indent=2) + "\n"


def write_junit(results: list[Result], path: Path) -> None:
    """A test suite of a target and kind, a test case of a clause."""
    root = ElementTree.Element("testsuites")
    for suite in dict.fromkeys((result.target, result.clause.kind) for result in results):
        own = [result for result in results if (result.target, result.clause.kind) == suite]
        counts = counted(own)
        element = ElementTree.SubElement(
            root,
            "testsuite",
            name=f"conformance {suite[1]} {suite[0]}",
            tests=str(len(own)),
            failures=str(counts["broken"]),
            skipped=str(counts["not_applicable"]),
            time=f"{sum(result.seconds for result in own):.3f}",
        )
        for result in own:
            case = ElementTree.SubElement(
                element,
                "testcase",
                classname=f"conformance.{suite[1]}",
                name=result.clause.name,
                time=f"{result.seconds:.3f}",
            )
            if isinstance(result.outcome, Broken):
                failure = ElementTree.SubElement(case, "failure", message=_plain(said(result)))
                failure.text = _plain(
                    f"required: {result.required}\nsource: {result.clause.source}\nfix: {result.clause.fix}"
                )
            elif not isinstance(result.outcome, Kept):
                ElementTree.SubElement(case, "skipped", message=_plain(said(result)))
    ElementTree.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)


def _plain(text: str) -> str:
    """Without the characters that XML does not have."""
    return "".join(letter for letter in text if letter in "\n\t" or letter.isprintable())
