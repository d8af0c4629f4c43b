"""An environment that was not made: a test is skipped only where no index of packages answers."""

import subprocess
import sys

import pytest

ASKED = "pip"  # any package that every index has


def index_answers() -> bool:
    """Whether pip's own settings lead to an index that knows a package."""
    command = [sys.executable, "-m", "pip", "index", "versions", ASKED]
    command += ["--disable-pip-version-check", "--no-input", "--retries", "1", "--timeout", "15"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def not_made(what: str, output: str) -> None:
    """Skip where the index is out of reach; else fail, with the end of what was printed."""
    said = output.strip()[-600:]
    if index_answers():
        pytest.fail(f"the environment of {what} was not made: {said}")
    pytest.skip(f"the packages of {what} cannot be fetched, for no index answers: {said}")
