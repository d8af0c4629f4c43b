"""The version with its commit, as `slipway --version` prints it."""

import tomllib

from artifact.host.checkout import commit
from runtime.processes import REPOSITORY


def version() -> str:
    """Such as `0.1.0 (c5e3475c048b)`; `-dirty` after the commit says that files are changed."""
    return f"{_release()} ({commit() or 'unknown commit'})"


def _release() -> str:
    text = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    release: str = tomllib.loads(text)["project"]["version"]
    return release
