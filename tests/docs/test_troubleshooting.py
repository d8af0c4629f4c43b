"""The error texts that the documentation quotes are those that the code prints."""

import ast
import re
import subprocess
from collections.abc import Iterator

import pytest

from tests.support.jobs import REPOSITORY

PAGE = (REPOSITORY / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
QUOTED = re.findall(r"^### `+ ?(.*?) ?`+$", PAGE, re.M)
# Texts of other programs, which say so on the page
FOREIGN = {"could not select device driver"}
GAP = "…"
FEWEST_LETTERS = 12  # a shorter pattern would fit anything


SHELL = ("Makefile", ".sh", "bin/slipway", ".ci/run")


@pytest.fixture(scope="module")
def texts():
    """Every text of the code; what an f-string fills in is a gap."""
    listed = subprocess.run(
        ["git", "ls-files"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    found: list[str] = []
    for name in listed.stdout.splitlines():
        if name.startswith(("tests/", "bench/", "docs/")):
            continue
        if name.endswith(".py"):
            found += texts_of((REPOSITORY / name).read_text(encoding="utf-8"))
        elif name.endswith(SHELL):
            found.append((REPOSITORY / name).read_text(encoding="utf-8"))
    return found


def texts_of(code: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.JoinedStr):
            yield "".join(_part(value) for value in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def _part(value: ast.expr) -> str:
    return str(value.value) if isinstance(value, ast.Constant) else GAP


def test_there_are_quoted_texts():
    assert len(QUOTED) > 8


@pytest.mark.parametrize("quoted", [text for text in QUOTED if text not in FOREIGN])
def test_the_code_has_the_text(quoted, texts):
    found = [text for text in texts if says(text, quoted) or says(quoted, text)]
    assert found, quoted


def says(pattern: str, text: str) -> bool:
    """Whether the text has the pattern's parts in their order; a gap stands for anything."""
    parts = pattern.split(GAP)
    if sum(map(len, parts)) < FEWEST_LETTERS:
        return False
    place = 0
    for part in parts:
        found = text.find(part, place)
        if found < 0:
            return False
        place = found + len(part)
    return True
