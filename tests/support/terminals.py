"""A real terminal, as a person's: a pseudo-terminal of some width, and what was written to it."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

LINES = 40
TOKEN = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])|\x1b\]8;[^\x1b]*\x1b\\|\r|\n|[^\x1b\r\n]+")


class Screen:
    """What a terminal got, as bytes; its words without colours and moves of the cursor."""

    def __init__(self, columns: int) -> None:
        self.written = b""
        self._main, self.slave = pty.openpty()
        size = struct.pack("HHHH", LINES, columns, 0, 0)
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, size)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                part = os.read(self._main, 65536)
            except OSError:  # the last writer has closed it
                return
            if not part:
                return
            self.written += part

    def close(self) -> None:
        """Close our end; all that was written has been read when this returns."""
        os.close(self.slave)
        self._reader.join(timeout=60)
        os.close(self._main)

    @property
    def text(self) -> str:
        return self.written.decode()

    @property
    def lines(self) -> list[str]:
        """The lines as they are at the end, where the cursor has moved as it was steered."""
        rows = [""]
        row = 0
        column = 0
        for token in TOKEN.finditer(self.text):
            if token[0] == "\n":
                row += 1
                rows += [""] * (row + 1 - len(rows))
            elif token[0] == "\r":
                column = 0
            elif token[2] == "A":
                row -= int(token[1] or 1)
            elif token[2] == "K":
                rows[row] = "" if token[1] == "2" else rows[row][:column]
            elif not token[0].startswith("\x1b"):
                before = rows[row][:column].ljust(column)
                rows[row] = before + token[0] + rows[row][column + len(token[0]) :]
                column += len(token[0])
        return [line.rstrip() for line in rows]


@contextmanager
def watched(monkeypatch: pytest.MonkeyPatch, columns: int = 80) -> Iterator[Screen]:
    """A screen that this process's outputs go to; it can be read afterwards."""
    screen = Screen(columns)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", str(columns))  # rich asks the standard files, which stay
    monkeypatch.delenv("NO_COLOR", raising=False)
    output = os.fdopen(os.dup(screen.slave), "w", encoding="utf-8")
    with output, monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", output)
        patched.setattr(sys, "stderr", output)
        yield screen
    screen.close()


def run_in_terminal(
    command: Sequence[str], columns: int = 80, environment: dict[str, str] | None = None
) -> tuple[int, Screen]:
    """A program's exit code, and the screen that it ran on."""
    screen = Screen(columns)
    variables = {**os.environ, "TERM": "xterm-256color", **(environment or {})}
    with subprocess.Popen(
        command, stdin=screen.slave, stdout=screen.slave, stderr=screen.slave, env=variables
    ) as program:
        code = program.wait()
    screen.close()
    return code, screen
