"""The last lines of a job's or an endpoint's log streams, as text that a page can hold."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from artifact.text.names import printable

MOST_BYTES = 2**16  # that are read of a file
MOST_LINES = 200
MOST_LETTERS = 1000  # of a line
MOST_STREAMS = 4  # that are shown: the newest ones
# Colours and the like of a terminal (ECMA-48, control sequences).
SEQUENCE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")


@dataclass(frozen=True)
class Tail:
    """The end of one stream. cut: whether it has more lines before these."""

    name: str
    lines: list[str]
    cut: bool


def tails(folder: Path, group: str, name: str) -> list[Tail]:
    """The streams of a name, that which was written to last first. folder: of all logs."""
    base = folder / group
    found = [*base.glob(f"{name}.log"), *(base / name).glob("**/*.log")]
    dated = [(os.stat(path).st_mtime, path) for path in found]
    newest = sorted(dated, reverse=True)[:MOST_STREAMS]
    return [tail(path, str(path.relative_to(base).with_suffix(""))) for _, path in newest]


def tail(path: Path, name: str) -> Tail:
    """The end of a file."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - MOST_BYTES))
        text = file.read().decode("utf-8", "replace")
    lines = text.splitlines()
    if size > MOST_BYTES:
        lines = lines[1:]  # the first one may be half of a line
    cut = size > MOST_BYTES or len(lines) > MOST_LINES
    return Tail(name, [_shown(line) for line in lines[-MOST_LINES:]], cut)


def _shown(line: str) -> str:
    """A line without colours; of a progress bar that rewrites its line, what stands at the end."""
    plain = SEQUENCE.sub("", line).replace("\t", "    ")
    if len(plain) > MOST_LETTERS:
        plain = plain[:MOST_LETTERS] + " …"
    return printable(plain)
