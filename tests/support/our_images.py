"""Our own images under the conformance suite, as the command runs it."""

import json
import subprocess
import sys
from pathlib import Path

from tests.support.jobs import REPOSITORY

SERVING_IMAGES = ("serve", "serve-mms", "serve-mms-torch")
IDLE = "stays_loaded_when_idle"


def conformance(folder: Path, *arguments: str) -> list[dict]:
    """The results of the whole command, one object for each clause."""
    path = folder / "results.json"
    done = subprocess.run(
        [sys.executable, "-m", "conformance", *arguments, f"--json={path}"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return json.loads(path.read_text())["clauses"]


def seen(rows: list[dict], outcome: str) -> dict[str, str]:
    """What was seen of the clauses with this outcome, by name."""
    return {row["clause"]: row["seen"] for row in rows if row["outcome"] == outcome}
