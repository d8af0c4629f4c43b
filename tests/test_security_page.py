"""SECURITY.md: each promise names a test that is there."""

import ast
import re
from pathlib import Path

from tests.support.jobs import REPOSITORY
from tests.test_house import README

PAGE = (REPOSITORY / "SECURITY.md").read_text(encoding="utf-8")


def functions_of(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def rows_below(heading: str) -> list[str]:
    """The rows of the table of a section, without its head."""
    section = PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return [line for line in section.splitlines() if line.startswith("|")][2:]


def test_each_named_test_exists():
    named = re.findall(r"`(tests/[a-z_/]+\.py)::(test_\w+)`", PAGE)
    assert len(named) > 30
    for path, name in named:
        assert (REPOSITORY / path).is_file(), path
        assert name in functions_of(REPOSITORY / path), f"{path}::{name}"


def test_each_promise_has_a_test():
    for heading in ("What we promise", "Beside others"):
        rows = rows_below(heading)
        assert len(rows) >= 9
        for row in rows:
            assert "::test_" in row.rpartition("|")[0].rpartition("|")[2], row


def test_what_the_page_names_is_there():
    for link in re.findall(r"\]\(([^)#]+)\)", PAGE):
        assert "://" in link or (REPOSITORY / link).exists(), link
    assert "](SECURITY.md)" in README
