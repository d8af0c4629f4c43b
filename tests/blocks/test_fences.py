"""The reader of a page's blocks, and the shell that runs them."""

import os
import re
from pathlib import Path

import pytest

from tests.blocks.fences import (
    Block,
    FenceError,
    blocks,
    is_printed,
    pieces,
    prose_words,
    shown_only,
    unmarked,
)
from tests.blocks.shell import BlockError, Shell, run_page, started_by


def page_of(folder, text):
    page = folder / "page.md"
    page.write_text(text, encoding="utf-8")
    return page


def block_of(text, expected=()):
    return Block(Path("page.md"), 10, text, list(expected))


def run(folder, *todo, say=print):
    home = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    return run_page(list(todo), Shell(folder, folder / "work", home), say)


def test_blocks_are_found_with_their_lines_and_what_they_print(tmp_path):
    page = page_of(
        tmp_path,
        "# Title\n\n```sh\nfirst\n```\n\nIt prints:\n\n```text\none …\n\ntwo\n```\n"
        "\n```yaml\nname: x\n```\n\n- a list:\n\n  ````sh\n  second\n  ```\n  ````\n"
        "\nOr, elsewhere:\n\n```text\nfolder\n```\n",
    )
    first, second = blocks(page)
    assert (first.line, first.text) == (4, "first\n")
    assert first.expected == ["one …", "two"]
    assert (second.line, second.text) == (22, "second\n```\n")
    assert second.expected == []


def test_a_block_that_does_not_end_is_named(tmp_path):
    with pytest.raises(FenceError, match=r"page\.md:2: this block does not end"):
        blocks(page_of(tmp_path, "\n```sh\nfirst\n"))


def test_code_without_a_language_is_found(tmp_path):
    page = page_of(tmp_path, "```\nls\n```\n\ntext\n\n    ls\n\n- item\n    goes on\n")
    assert unmarked(page) == [2, 7]


@pytest.mark.parametrize(
    "comment, reason",
    [
        ("# needs a GPU", "needs a GPU"),
        ("ls   # it needs an AWS account", "needs an AWS account"),
        ("# in a second terminal", "in a second terminal"),
        ("make test   # starts the tests", "starts the tests"),
        ("# needs a Docker engine", ""),
        ("echo needs a GPU", ""),
    ],
)
def test_a_comment_says_why_a_block_is_left_out(comment, reason):
    assert block_of(f"{comment}\nls\n").reason == reason


def test_commands_that_are_only_shown_are_found(tmp_path):
    page = page_of(tmp_path, "```text\nmake demo\n```\n\n```text\nmakeshift\n```\n")
    assert shown_only(page) == [2]


def test_a_block_is_read_by_whole_commands():
    text = "a \\\n  b\n\n# why\nfor x in 1 2; do\n  echo\ndone\ncat <<END\n  x\nEND\nc 'd\ne'\n"
    assert [piece.line for piece in pieces(block_of(text))] == [10, 13, 14, 17, 20]
    with pytest.raises(FenceError, match=r"page\.md:10: the shell cannot read"):
        pieces(block_of("echo 'open\n"))


def test_an_ellipsis_stands_for_anything():
    assert is_printed("done: n=… seconds=…", "x\n  done: n=3 seconds=12\n")
    assert not is_printed("done: n=…", "not done: n=3\n")
    assert not is_printed("a.c", "abc\n")


def test_words_are_those_of_prose_and_tables(tmp_path):
    page = page_of(
        tmp_path,
        "# Two words\n\n```sh\nnot these\n```\n\n| a | b |\n|---|---|\n| [c d](e/f.md) | – |\n"
        "<!-- not this -->\n![photo](x y.png)\n",
    )
    assert prose_words(page) == 7


def test_all_blocks_of_a_page_share_one_shell(tmp_path):
    said: list[str] = []
    ran = run(
        tmp_path,
        block_of("mkdir sub\ncd sub\nvalue='a b'\n"),
        block_of('echo "$value" in "${PWD##*/}"\n', ["a b in sub"]),
        say=said.append,
    )
    assert len(ran) == 2
    assert re.fullmatch(r"page\.md:10: ok, \d+ s", said[0])


@pytest.mark.parametrize(
    "text, line, command",
    [
        ("echo fine\nfalse\necho never\n", 11, "false"),
        ("echo fine\n\nfalse && echo x\necho never\n", 12, "false && echo x"),
        ("echo fine; false; true\n", 10, "echo fine; false; true"),
        ("false | cat\n", 10, "false | cat"),
        ("for x in 1 2; do\n  missing-program\ndone\n", 10, "for x in 1 2; do"),
        ("echo fine\nexit 0\n", 11, "exit 0"),
    ],
)
def test_the_first_command_that_fails_is_named(tmp_path, text, line, command):
    with pytest.raises(BlockError) as raised:
        run(tmp_path, block_of(text), block_of("touch after\n"))
    assert str(raised.value).startswith(f"page.md:{line}: `{command}")
    assert not (tmp_path / "after").exists()


def test_a_failure_shows_what_was_printed_last(tmp_path):
    with pytest.raises(BlockError, match="ended with code 3:\n  to here$"):
        run(tmp_path, block_of("echo 'to here' >&2\n(exit 3)\n"))


def test_what_the_page_states_must_be_printed(tmp_path):
    with pytest.raises(BlockError, match="the page says that it prints 'four'.*\n  five"):
        run(tmp_path, block_of("echo five\n", ["four"]))


@pytest.mark.slow
def test_nothing_that_a_page_started_goes_on(tmp_path):
    run(tmp_path, block_of("sleep 300 &\nsetsid sleep 300 &\n"))
    assert started_by(tmp_path / "work") == []
