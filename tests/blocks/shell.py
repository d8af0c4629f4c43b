"""Runs the blocks of a page in one shell, literally, and says which command failed."""

import contextlib
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.blocks.fences import Block, is_printed, pieces

MARK = "SLIPWAY_BLOCKS"  # in the environment of all that a page starts
LAST_LINES = 15
END_S = 30.0  # for what a page left running to end after SIGTERM
PAGE_S = 5400.0


class BlockError(AssertionError):
    """A block failed: file and line, the command, and its last lines."""


@dataclass(frozen=True)
class Ran:
    """One block that was run. output: of its commands, both streams."""

    block: Block
    seconds: float
    output: str


@dataclass(frozen=True)
class Shell:
    """Where a page is run. folder: where its shell begins. work: for the runner's own files.

    starter: words before `bash`.
    """

    folder: Path
    work: Path
    environment: Mapping[str, str]
    starter: Sequence[str] = ()


def run_page(todo: list[Block], shell: Shell, say: Callable[[str], None] = print) -> list[Ran]:
    """Run blocks one after the other in one shell.

    BlockError at the first command that fails, and where a block does not print what its page says.
    """
    shell.work.mkdir(parents=True)
    script = shell.work / "page.sh"
    script.write_text(_script(todo, shell.work), encoding="utf-8")
    with open(shell.work / "shell", "w", encoding="utf-8") as own_lines:
        process = subprocess.Popen(
            [*shell.starter, "bash", "--norc", str(script)],
            cwd=shell.folder,
            env={**shell.environment, MARK: str(shell.work)},
            stdin=subprocess.DEVNULL,
            stdout=own_lines,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        return _follow(process, todo, shell.work, say)
    finally:
        end_all(shell.work)
        process.wait()


def end_all(work: Path) -> None:
    """End what the page started and left running, and wait for it."""
    left = started_by(work)
    for process in left:
        _signal(process, signal.SIGTERM)
    _, stubborn = psutil.wait_procs(left, timeout=END_S)
    for process in {*stubborn, *started_by(work)}:
        _signal(process, signal.SIGKILL)


def started_by(work: Path) -> list[psutil.Process]:
    """All processes that carry the mark of this run."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == str(work):
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def _script(todo: list[Block], work: Path) -> str:
    """The page's script: each command is read from a file of its own, so that its place is known.

    The commands run with `set -e`. A list such as `a && b` fails with its file, too.
    """
    lines = ["set -e", "set -o pipefail"]
    state = shlex.quote(str(work / "at"))
    for number, block in enumerate(todo):
        lines.append(f"exec >{shlex.quote(str(work / f'{number}.log'))} 2>&1")
        for piece in pieces(block):
            source = work / f"{number}-{piece.line}.sh"
            source.write_text(piece.text, encoding="utf-8")
            lines.append(f"printf '%s %s\\n' {number} {piece.line} >{state}")
            lines.append(f". {shlex.quote(str(source))}")
    lines.append(f"printf '%s %s\\n' {len(todo)} 0 >{state}")
    return "\n".join(lines) + "\n"


def _follow(
    process: subprocess.Popen, todo: list[Block], work: Path, say: Callable[[str], None]
) -> list[Ran]:
    """Wait for the blocks in order, and look at each one's output when it is over."""
    done: list[Ran] = []
    end = time.monotonic() + PAGE_S
    started = time.monotonic()
    while len(done) < len(todo):
        code = process.poll()
        number, line = _place(work)
        if number > len(done):
            block = todo[len(done)]
            ran = Ran(block, time.monotonic() - started, _output(work, len(done)))
            _check_printed(ran)
            say(f"{_name(block)}: ok, {ran.seconds:.0f} s")
            done.append(ran)
            started = time.monotonic()
        elif code is not None:
            raise BlockError(_failure(todo[number], work, number, line, f"ended with code {code}"))
        elif time.monotonic() > end:
            raise BlockError(
                _failure(todo[number], work, number, line, f"took over {PAGE_S:.0f} s")
            )
        else:
            time.sleep(0.05)
    return done


def _place(work: Path) -> tuple[int, int]:
    """Which block the shell is at, from 0, and the line of the page."""
    try:
        number, line = (work / "at").read_text(encoding="ascii").split()
    except (OSError, ValueError):  # not there yet, or half written
        return 0, 0
    return int(number), int(line)


def _output(work: Path, number: int) -> str:
    try:
        return (work / f"{number}.log").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _check_printed(ran: Ran) -> None:
    for expected in ran.block.expected:
        if not is_printed(expected, ran.output):
            raise BlockError(
                f"{_name(ran.block)}: the page says that it prints '{expected}', but it printed:\n"
                + _last_lines(ran.output)
            )


def _failure(block: Block, work: Path, number: int, line: int, how: str) -> str:
    command = (work / f"{number}-{line}.sh").read_text(encoding="utf-8").strip()
    output = _output(work, number) or (work / "shell").read_text(encoding="utf-8")
    return f"{block.page}:{line}: `{command}` {how}:\n{_last_lines(output)}"


def _last_lines(output: str) -> str:
    return "\n".join(f"  {line}" for line in output.splitlines()[-LAST_LINES:])


def _name(block: Block) -> str:
    return f"{block.page}:{block.line}"


def _signal(process: psutil.Process, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(process.pid, number)
