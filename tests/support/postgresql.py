"""A PostgreSQL server of Debian's packages for a test, in a folder and on a port of its own."""

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runtime.ports import free_port

PASSWORD = "a-pass/word"
WRITTEN = "a-pass%2Fword"  # as a URL has it
START_S = 60.0
# The server refuses to run as root, where Debian's package has made a user for it.
AS_OTHER_USER = ("runuser", "-u", "postgres", "--")


def programs() -> Path | None:
    """The folder of initdb and pg_ctl; None where PostgreSQL is not installed."""
    found = shutil.which("initdb")
    if found:
        return Path(found).parent
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    return folders[-1] if folders else None


class Server:
    """A server under way: `url` has its password."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.url = f"postgresql+psycopg://searcher:{WRITTEN}@127.0.0.1:{port}/postgres"
        self._options = f"-p {port} -h 127.0.0.1 -k {folder}"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self._control("start", "-w", "-o", self._options, "-l", str(self.folder / "log"))

    def stop(self) -> None:
        """End it at once, as a machine that goes down."""
        self._control("stop", "-w", "-m", "immediate")

    def _control(self, *words: str) -> None:
        run("pg_ctl", "-D", str(self.folder / "data"), "-t", str(int(START_S)), *words)


def run(program: str, *words: str) -> None:
    """Run one of PostgreSQL's programs, as a user that it takes."""
    folder = programs()
    assert folder is not None
    command = [str(folder / program), *words]
    if os.geteuid() == 0:
        command = [*AS_OTHER_USER, *command]
    # its server inherits neither a pipe, which would never end, nor a folder it may not read
    subprocess.run(command, check=True, cwd="/", stdout=subprocess.DEVNULL, timeout=2 * START_S)


@contextmanager
def server() -> Iterator[Server]:
    """A fresh server that knows one user, who needs a password."""
    folder = Path(tempfile.mkdtemp(prefix="slipway-postgresql-"))
    secret = folder / "password"
    secret.write_text(PASSWORD + "\n")
    if os.geteuid() == 0:
        owner = pwd.getpwnam("postgres")
        for path in (folder, secret):
            os.chown(path, owner.pw_uid, owner.pw_gid)
    made = Server(folder, free_port())
    try:
        ways = ("-A", "scram-sha-256", "-U", "searcher", f"--pwfile={secret}")
        run("initdb", "-D", str(folder / "data"), "--no-sync", *ways)
        made.start()
        yield made
        made.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def wait_for(condition, limit_s: float = 240.0) -> None:
    """Return once the condition holds. AssertionError when it never does."""
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)
