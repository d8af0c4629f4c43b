"""The error texts that the documentation quotes are those that the code prints."""

import ast
import re
import subprocess
from collections.abc import Iterator

import pytest

from tests.support.jobs import REPOSITORY

PAGE = (REPOSITORY / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
QUOTED = re.findall(r"^### `(.*)`$", PAGE, re.M)
# Texts of other programs, which say so on the page
FOREIGN = {"could not select device driver"}
GAP = "…"


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
    parts = [re.escape(part) for part in quoted.split(GAP)]
    pattern = re.compile(".*".join(parts), re.S)
    assert any(pattern.search(text) for text in texts), quoted
