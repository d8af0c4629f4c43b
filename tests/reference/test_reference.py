"""The reference pages: they are as the code says, and say it right."""

import argparse
import json
import subprocess
import sys

import pytest

from recipes.command_line import CommandLine
from reference import __main__ as program
from reference.commands import PROGRAMS, parser_of
from reference.markdown import paragraphs, prose, table
from reference.model_json import texts_of
from slipway.commands import COMMANDS
from tests.support.jobs import REPOSITORY


@pytest.mark.slow
def test_the_pages_are_what_the_code_says():
    done = subprocess.run(
        [sys.executable, "-m", "reference", "--check"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    assert done.returncode == 0


def test_a_stale_page_is_named_and_written_anew(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(program, "FOLDER", tmp_path)
    monkeypatch.setattr(program, "PAGES", {"one.md": lambda: "# One\n"})
    assert program.main(["--check"]) == 1
    assert capsys.readouterr().err == (
        "reference: docs/reference/one.md is stale; type: python -m reference\n"
    )
    assert program.main([]) == 0
    assert (tmp_path / "one.md").read_text().endswith("# One\n")
    assert program.main(["--check"]) == 0


def test_every_command_has_a_heading():
    page = (REPOSITORY / "docs" / "reference" / "commands.md").read_text(encoding="utf-8")
    for name in COMMANDS:
        assert f"### `slipway {name}`\n" in page
    for module in PROGRAMS:
        assert f"### `python -m {module}`\n" in page


def test_a_program_is_stopped_where_it_reads_its_options():
    parser = parser_of("recipes.schema")
    assert isinstance(parser, CommandLine)
    assert parser.parse_args([]) == argparse.Namespace()


def test_a_program_without_options_is_an_error():
    with pytest.raises(RuntimeError, match="python -m this has read no options"):
        parser_of("this")


@pytest.mark.parametrize(
    "text, expected",
    [
        ("a `<b>` c", "a `<b>` c"),
        ("<recipe>.tar.gz", "&lt;recipe>.tar.gz"),
        ("2 * 3\n  [D]", "2 \\* 3 \\[D\\]"),
    ],
)
def test_only_backticks_are_markup(text, expected):
    assert prose(text) == expected


def test_a_bar_ends_no_cell():
    written = table(("a", "b"), [("x | y", "`p|q`"), ("", "z")])
    assert written == "| a | b |\n| --- | --- |\n| x \\| y | `p|q` |\n| | z |"


def test_an_indented_paragraph_is_a_block():
    assert paragraphs("One.\n\n    curl \\\n        x") == "One.\n\n```text\ncurl \\\n    x\n```"


def test_a_docstring_gives_each_field_its_text():
    class Form:
        """A form. first: one, and more. second and third: two."""

    from dataclasses import make_dataclass

    form = make_dataclass("Form", ["first", "second", "third"])
    form.__doc__ = Form.__doc__
    assert texts_of(form) == {"first": "one, and more.", "second": "two.", "third": "two."}


def test_the_server_names_what_its_reference_names():
    page = (REPOSITORY / "docs" / "reference" / "http-api.md").read_text(encoding="utf-8")
    from serve.openapi import document

    for multi_model in (False, True):
        for path in json.loads(json.dumps(document(multi_model, 6)))["paths"]:
            assert f" {path}`" in page
