"""An environment of its own for each SageMaker SDK: .venv-clients-v2 and -v3 of the checkout.

.venv-clients-trackers has an MLflow server, its client, and TensorBoard.
"""

import fcntl
import subprocess
import sys
from pathlib import Path

from tests.support.jobs import REPOSITORY

FOLDER = Path(__file__).parent
# smdebug comes without its dependencies: its own pins are of 2023.
FURTHER = {"v2": [REPOSITORY / "docker/requirements-smdebug.txt"]}


class NotMade(Exception):
    """An environment could not be made; the text is what pip has printed."""


def python_of(client: str) -> Path:
    """The Python with a client's locked packages, installed if need be.

    client: v2, v3 or trackers.
    """
    locks = [FOLDER / f"requirements-{client}.txt", *FURTHER.get(client, [])]
    text = "".join(lock.read_text(encoding="utf-8") for lock in locks)
    venv = REPOSITORY / f".venv-clients-{client}"
    venv.mkdir(exist_ok=True)
    with open(venv.with_suffix(".lock"), "w") as lock:  # one test process makes it
        fcntl.flock(lock, fcntl.LOCK_EX)
        made = venv / ".made"
        if not made.exists() or made.read_text(encoding="utf-8") != text:
            _make(venv, locks)
            made.write_text(text, encoding="utf-8")
    return venv / "bin" / "python"


def _make(venv: Path, locks: list[Path]) -> None:
    python = str(venv / "bin" / "python")
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(venv)], check=True)
    command = [python, "-I", str(REPOSITORY / "slipway/installing.py"), str(venv)]
    done = subprocess.run(
        [*command, *map(str, locks)], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise NotMade(done.stdout + done.stderr)
