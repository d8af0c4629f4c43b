"""The fenced blocks of a Markdown page: commands, and what the page says that they print.

A block is ```` ```sh ````. A ```` ```text ```` block right behind it, or behind one paragraph that
says "prints" and ends with a colon, is what the commands print: each of its lines must appear, and
`…` in it stands for anything.
"""

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

COMMANDS = "sh"
OUTPUT = "text"
SAYS_OUTPUT = re.compile(r"\bprints?\b[^\n]*:$")
FENCE = re.compile(r"^( *)(`{3,}|~{3,})\s*([^\s`]*).*$")
INDENTED = re.compile(r"^ {4}\S")
# A block with such a comment is listed, and not run.
LEFT_OUT = re.compile(
    r"#.*\b(needs a GPU|needs an AWS account|in a second terminal|starts the tests)\b"
)
# How a line of commands begins. A page may also show some that are not run.
COMMAND = re.compile(
    r"(bin/slipway|slipway|make|docker|curl|git|export|\.|local_test/\w+\.sh|\.venv/bin/python) "
)
NEEDS_ENGINE = re.compile(r"#.*\bneeds a Docker engine\b")


class FenceError(ValueError):
    """A page whose blocks cannot be read: one sentence with file and line."""


@dataclass(frozen=True)
class Fence:
    """One fenced block. line: of its first line of text, from 1. before: the prose above it."""

    language: str
    line: int
    text: str
    before: str


@dataclass(frozen=True)
class Block:
    """Commands of a page. line: of its first command. expected: lines that it must print."""

    page: Path
    line: int
    text: str
    expected: list[str] = field(default_factory=list)

    @property
    def reason(self) -> str:
        """Why it is not run, in the page's own words; empty where it is."""
        found = LEFT_OUT.search(self.text)
        return found[1] if found else ""

    @property
    def needs_engine(self) -> bool:
        """Whether it runs only where a Docker engine answers."""
        return bool(NEEDS_ENGINE.search(self.text))


@dataclass(frozen=True)
class Piece:
    """One whole command of a block, which may take several lines. line: in the page."""

    line: int
    text: str


def fences(page: Path) -> list[Fence]:
    """All fenced blocks of a page in order. FenceError for one that does not end."""
    found = []
    before: list[str] = []
    lines = iter(enumerate(page.read_text(encoding="utf-8").splitlines(), 1))
    for number, line in lines:
        opening = FENCE.match(line)
        if not opening:
            before.append(line)
            continue
        text = _inside(page, number, opening, lines)
        found.append(Fence(opening[3], number + 1, text, "\n".join(before)))
        before = []
    return found


def blocks(page: Path) -> list[Block]:
    """The blocks of commands of a page, each with what it must print."""
    found: list[Block] = []
    previous = ""
    for fence in fences(page):
        if fence.language == COMMANDS:
            found.append(Block(page, fence.line, fence.text))
        elif previous == COMMANDS and fence.language == OUTPUT and _follows(fence.before):
            found[-1].expected.extend(line for line in fence.text.splitlines() if line.strip())
        previous = fence.language
    return found


def shown_only(page: Path) -> list[int]:
    """Lines of commands that a page shows as text, so that nobody runs them."""
    texts = [fence for fence in fences(page) if fence.language == OUTPUT]
    return [fence.line for fence in texts if COMMAND.match(fence.text)]


def pieces(block: Block) -> list[Piece]:
    """The whole commands of a block. FenceError where the shell cannot read them."""
    found = []
    lines: list[str] = []
    for number, line in enumerate(block.text.splitlines(), block.line):
        if not lines and not line.strip():
            continue
        lines.append(line)
        text = "\n".join(lines) + "\n"
        if _is_whole(text):
            found.append(Piece(number - len(lines) + 1, text))
            lines = []
    if lines:
        raise FenceError(f"{block.page}:{block.line}: the shell cannot read this block")
    return found


def unmarked(page: Path) -> list[int]:
    """Lines of blocks without a language, and of code that is only indented."""
    found = [fence.line for fence in fences(page) if not fence.language]
    open_fence = False
    after_blank = True
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        if FENCE.match(line):
            open_fence = not open_fence
        elif not open_fence and after_blank and INDENTED.match(line):
            found.append(number)
        after_blank = not line.strip()
    return found


def is_printed(expected: str, output: str) -> bool:
    """Whether one of the output's lines is the expected one; `…` stands for anything."""
    parts = [re.escape(part) for part in expected.strip().split("…")]
    pattern = re.compile(r"\s*" + ".*".join(parts) + r"\s*")
    return any(pattern.fullmatch(line) for line in output.splitlines())


def prose_words(page: Path) -> int:
    """The words of a page without its blocks, comments and addresses; those of tables count."""
    text = page.read_text(encoding="utf-8")
    for fence in fences(page):
        text = text.replace(fence.text, "")
    text = re.sub(r"^ *(`{3,}|~{3,}).*$", "", text, flags=re.MULTILINE)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r"\]\([^)]*\)", "]", text)
    return sum(bool(re.search(r"\w", word)) for word in text.split())


def _inside(
    page: Path, number: int, opening: re.Match[str], lines: Iterator[tuple[int, str]]
) -> str:
    """The text of a fence up to its end, without the indentation of its first line."""
    indent = opening[1]
    kept: list[str] = []
    for _, line in lines:
        if line.strip() == opening[2]:
            return "".join(f"{text}\n" for text in kept)
        kept.append(line.removeprefix(indent))
    raise FenceError(f"{page}:{number}: this block does not end")


def _follows(between: str) -> bool:
    """Whether what stands between two blocks says that the second is the first one's output."""
    paragraph = between.strip()
    return not paragraph or ("\n\n" not in paragraph and bool(SAYS_OUTPUT.search(paragraph)))


def _is_whole(text: str) -> bool:
    """Whether the shell takes the text as it is, without waiting for more."""
    if text.endswith("\\\n"):
        return False
    checked = subprocess.run(
        ["bash", "-n"], input=text, capture_output=True, text=True, check=False
    )
    # An unfinished here-document is only a warning.
    return checked.returncode == 0 and not checked.stderr
