"""How a process is started here: in a session of its own, with both outputs in one pipe.

It ends with this process, even when that is killed (runtime/reaper.py). A server also remembers its
processes in a folder, so that the next server on it can end them.
"""

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from runtime import reaper

REPOSITORY = Path(__file__).resolve().parent.parent
REMEMBERED = "processes"  # below a server's folder: a file per process, named after its number


class Started(subprocess.Popen[bytes]):
    """A process that the reaper ends when this one has ended before it. container: its own."""

    container = ""

    def poll(self) -> int | None:
        code = super().poll()
        if code is not None:
            reaper.release(self.pid, self.container)
        return code

    def wait(self, timeout: float | None = None) -> int:
        code = super().wait(timeout)
        reaper.release(self.pid, self.container)
        return code


def start(
    arguments: list[str],
    environment: Mapping[str, str] | None = None,
    folder: Path = REPOSITORY,
    piped: bool = True,
    container: str = "",
) -> subprocess.Popen[bytes]:
    """Start a program without input. Its output goes to a pipe, or else to this process's output.

    It leads a session of its own, so that Ctrl-C does not reach it: whoever starts it stops it.
    container: the name of one that it runs, and that must end with it.
    """
    stdout = None
    stderr = None
    if piped:
        stdout = subprocess.PIPE
        stderr = subprocess.STDOUT
    reaper.make_ready()
    process = Started(
        arguments,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        start_new_session=True,
    )
    process.container = container
    try:
        reaper.entrust(process.pid, container)
    except BaseException:  # such as Ctrl-C at this moment: nobody would know of it
        process.kill()
        raise
    return process


def lines(process: subprocess.Popen[bytes]) -> Iterator[str]:
    """Each line that a piped process prints, until it closes its output."""
    assert process.stdout is not None, "the process was started without a pipe"
    with process.stdout as output:
        for line in output:
            yield line.decode("utf-8", errors="replace").rstrip("\r\n")


def below(pid: int) -> list[int]:
    """The numbers of a process and of all its descendants, the process first. On Linux."""
    found: set[int] = set()
    waiting = [pid]
    while waiting:
        current = waiting.pop()
        found.add(current)
        waiting += _children(current) - found
    return [pid, *sorted(found - {pid})]


def _children(pid: int) -> set[int]:
    children: set[int] = set()
    try:
        for thread in Path(f"/proc/{pid}/task").iterdir():
            children.update(int(child) for child in (thread / "children").read_text().split())
    except OSError:
        pass  # it has just ended
    return children


def remember(state: Path, pid: int, folder: Path) -> None:
    """Note a process that works on a folder, for `sweep` of the next server."""
    (state / REMEMBERED).mkdir(parents=True, exist_ok=True)
    (state / REMEMBERED / str(pid)).write_text(str(folder))


def sweep(state: Path) -> None:
    """Kill the processes that an earlier server on the same folder left running.

    A number may belong to another process by now: only a process that names its folder is killed.
    """
    for path in (state / REMEMBERED).glob("*"):
        if _mentions(int(path.name), path.read_text()):
            os.killpg(int(path.name), signal.SIGKILL)
        path.unlink()


def _mentions(pid: int, folder: str) -> bool:
    try:
        return any(
            folder.encode() in Path(f"/proc/{pid}/{name}").read_bytes()
            for name in ("cmdline", "environ")
        )
    except OSError:
        return False
