"""Installs locked packages by pip, and says at least every few seconds what it is at.

It runs as a file by an environment's own Python, before any package is there. What it writes into
the environment besides: `.unfinished` with its process's number, while the environment may break.
"""

import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from tempfile import TemporaryDirectory

EVERY_S = 5  # seconds after which a line says how far it is
BIG_MB = 40  # from this size on a package gets a line of its own
KEPT_LINES = 20  # of pip's output, shown when it fails
# A user's settings of pip that would put the packages elsewhere, or take others
AGAINST_SETTINGS = ("--target=", "--no-binary=:none:", "--only-binary=:none:")
NO_SPACE = "No space left on device"
UNITS = {"bytes": 1e-6, "kB": 1e-3, "MB": 1.0, "GB": 1e3}
FETCHED = re.compile(r"\s+(?:Downloading|Using cached) (\S+?)(?: \(([\d.]+) (\w+)\))?$")
UNPACKING = "Installing collected packages: "


def locked(files: list[Path]) -> int:
    """The number of packages in these requirement files."""
    text = "\n".join(file.read_text(encoding="utf-8") for file in files)
    return len(re.findall(r"^[A-Za-z0-9][^\s=]*==", text, re.MULTILINE))


def megabytes(folder: Path, pattern: str = "*") -> int:
    """The size of the files below a folder; those that vanish meanwhile count nothing."""
    size = 0
    for path in folder.rglob(pattern):
        try:
            size += path.lstat().st_size
        except OSError:
            continue
    return round(size / 1e6)


def say(text: str) -> None:
    print(f"environment: {text}", flush=True)


class Progress:
    """What pip has said so far, in numbers."""

    def __init__(self, total: int, temporary: Path, venv: Path) -> None:
        self.total = total
        self.temporary = temporary
        self.venv = venv
        self.names: list[str] = []  # those that were fetched, or lay in pip's cache
        self.current = ""
        self.unpacking = False
        self.before = 0  # packages that were there when the unpacking began, such as pip
        self.lines: list[str] = []
        self.began = time.monotonic()
        self.spoke = self.began

    def say(self, text: str) -> None:
        self.spoke = time.monotonic()
        say(text)

    def installed(self) -> int:
        return len(list(self.venv.glob("lib/python*/site-packages/*.dist-info/RECORD")))

    def seconds(self) -> int:
        return round(time.monotonic() - self.began)

    def take(self, line: str) -> None:
        """A line of pip's."""
        self.lines = [*self.lines, line][-KEPT_LINES:]
        if line.startswith("WARNING: Retrying"):  # each takes longer than the one before
            print(line, file=sys.stderr, flush=True)
        elif line.startswith("Ignoring "):  # its marker is not that of this machine
            self.total -= 1
        elif line.startswith(UNPACKING):
            self.unpacking = True
            self.before = self.installed()
            self.total = line.count(",") + 1
            self.say(f"unpacking {self.total} packages")
        elif found := FETCHED.match(line):
            self.fetch(*found.groups())

    def complain(self) -> None:
        """What pip said of its failure, without what it said before, and where to look."""
        first = 0
        for number, line in reversed(list(enumerate(self.lines))):
            if line.startswith("ERROR"):
                first = number
        cure = "the reason stands above"
        if any(NO_SPACE in line for line in self.lines):
            free_mb = shutil.disk_usage(self.venv).free // 10**6
            cure = f"the disk of {self.venv} is full ({free_mb} MB are free); free some, and go on"
        print(*self.lines[first:], sep="\n", file=sys.stderr)
        print(f"environment: the packages are not installed: {cure}", file=sys.stderr)

    def fetch(self, file: str, size: str | None, unit: str | None) -> None:
        """A package's file comes; size and unit as pip writes them."""
        if file.endswith(".metadata"):
            return
        self.names.append(file)
        self.current = "-".join(file.split("-")[:2])
        size_mb = float(size) * UNITS.get(unit, 0) if size and unit else 0
        if size_mb >= BIG_MB:
            self.say(f"fetching {self.current} ({size_mb:.0f} MB), {self.seconds()} s")

    def beat(self) -> None:
        """A line when there was none for some seconds."""
        if time.monotonic() - self.spoke < EVERY_S:
            return
        if self.unpacking:
            done = max(0, self.installed() - self.before)
            self.say(f"unpacked {done} of {self.total} packages, {self.seconds()} s")
            return
        fetched = megabytes(self.temporary, "*.whl") + megabytes(self.temporary, "*.tar.gz")
        what = f"{len(self.names)} of {self.total} packages fetched, {fetched} MB"
        at = f", at {self.current}" if self.current else ""
        self.say(f"{what}{at}, {self.seconds()} s")


def run_pip(arguments: list[str], progress: Progress) -> int:
    """pip's exit code. What it prints goes to `progress`."""
    command = [sys.executable, "-I", "-u", "-m", "pip", "install", *arguments]
    # A temporary folder of ours: many systems keep /tmp in memory, and torch would fill it.
    environment = {**os.environ, "TMPDIR": str(progress.temporary)}
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        env=environment,
        encoding="utf-8",
        errors="replace",
    ) as pip:
        lines: queue.Queue[str | None] = queue.Queue()

        def read() -> None:
            assert pip.stdout is not None
            for line in pip.stdout:
                lines.put(line.rstrip())
            lines.put(None)

        threading.Thread(target=read, daemon=True).start()
        try:
            follow(lines, progress)
        except BaseException:
            pip.terminate()
            raise
        return pip.wait()


def follow(lines: "queue.Queue[str | None]", progress: Progress) -> None:
    """Take pip's lines until None comes."""
    while True:
        try:
            line = lines.get(timeout=1)
        except queue.Empty:
            progress.beat()
            continue
        if line is None:
            return
        progress.take(line)
        progress.beat()


def install(venv: Path, files: list[Path]) -> int:
    """Install all that the requirement files list; pip's exit code."""
    unfinished = venv / ".unfinished"
    with TemporaryDirectory(prefix=".pip-", dir=venv) as temporary:
        progress = Progress(locked(files), Path(temporary).absolute(), venv)
        # A lock is complete, so nothing is looked for beside it.
        arguments = ["--no-deps", "--require-hashes", "--no-input", "--progress-bar", "off"]
        arguments += ["--disable-pip-version-check", "--no-warn-script-location"]
        arguments += AGAINST_SETTINGS
        for file in files:
            arguments += ["--requirement", str(file)]
        say(f"installing {progress.total} packages of {', '.join(map(str, files))} into {venv}")
        unfinished.write_text(f"{os.getpid()}\n")
        try:
            code = run_pip(arguments, progress)
        except KeyboardInterrupt:
            code = 130
    if code and code != 130:
        progress.complain()
    if not code or not progress.unpacking:  # else some package may be there by half
        unfinished.unlink()
    if not code:
        made = f"{progress.total} packages, {megabytes(venv)} MB, {progress.seconds()} s"
        say(f"made {venv}: Python {sys.version.split()[0]}, {made}")
    return code


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    if {"-h", "--help"} & set(sys.argv[1:]):
        print(f"usage: installing.py ENVIRONMENT REQUIREMENTS…\n\n{__doc__}")
        sys.exit(0)
    signal.signal(signal.SIGTERM, interrupt)
    folder, *requirements = map(Path, sys.argv[1:])
    sys.exit(install(folder, requirements))
