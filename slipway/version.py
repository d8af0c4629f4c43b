"""The version with its commit, as `slipway --version` prints it."""

import subprocess
import tomllib

from runtime.processes import REPOSITORY


def version() -> str:
    """Such as `0.1.0 (c5e3475c048b)`; `-dirty` after the commit says that files are changed."""
    return f"{_release()} ({_commit()})"


def _release() -> str:
    text = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    release: str = tomllib.loads(text)["project"]["version"]
    return release


def _commit() -> str:
    """The checkout's commit; `unknown commit` where git cannot say it."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    except OSError:  # no git here
        return "unknown commit"
    return done.stdout.strip() or "unknown commit"
