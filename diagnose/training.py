"""A training that is run to be diagnosed: `python -m train` in a process of its own, watched.

Its hyperparameters come from a file, such as tune's best.json.
"""

import json
import signal
import subprocess
import sys
from pathlib import Path

from artifact.text.json_text import read_json
from diagnose.findings import DiagnoseError

REPOSITORY = Path(__file__).resolve().parent.parent
WATCHED = {"debug": "true", "profile": "true"}
OWN_LINES = "diagnose: "  # the training evaluates the rules, too, and prints their answers


def train_watched(root: Path, hyperparameters: Path, data: Path) -> Path:
    """Train under `root`, laid out as SageMaker lays out /opt/ml; the training's output folder.

    It trains with the file's hyperparameters, with debug and profile on. data: a prepared folder,
    with a folder for each channel. DiagnoseError for a folder that is not empty, a file without
    hyperparameters, missing photos, or a training that fails.
    """
    texts = _hyperparameters(hyperparameters)
    channels = _folders(data)
    if not channels:
        raise DiagnoseError(
            f"'{data}' holds no prepared photos; "
            "name a folder that `python -m prepare` wrote with --data"
        )
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise DiagnoseError(f"'{root}' is there already; name a new folder for the training")
    config = root / "input" / "config"
    config.mkdir(parents=True)
    (root / "input" / "data").mkdir()
    for channel in channels:
        (root / "input" / "data" / channel.name).symlink_to(channel.absolute())
    text = json.dumps(texts | WATCHED, indent=2) + "\n"
    (config / "hyperparameters.json").write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "train", "--root", str(root.absolute())]
    _run(command, root / "output" / "failure")
    return root / "output"


def _folders(parent: Path) -> list[Path]:
    if not parent.is_dir():
        return []
    return sorted(path for path in parent.iterdir() if path.is_dir())


def _hyperparameters(file: Path) -> dict[str, str]:
    try:
        texts = read_json(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DiagnoseError(f"'{file}' is not readable JSON ({error})") from error
    if not isinstance(texts, dict):
        raise DiagnoseError(
            f"'{file}' holds a {type(texts).__name__}; expected an object of names and values"
        )
    return {name: text for name, text in texts.items() if name.replace("-", "_") not in WATCHED}


def _run(command: list[str], failure: Path) -> None:
    """Run it and pass its output on, without the answers of its rules: ours follow."""
    process = subprocess.Popen(
        command,
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,  # Ctrl-C reaches it as our SIGTERM, once
    )
    assert process.stdout is not None  # a pipe was asked for
    try:
        for line in process.stdout:
            if not line.startswith(OWN_LINES):
                print(line, end="", flush=True)
        code = process.wait()
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait()
        process.stdout.close()
    if code:
        raise DiagnoseError(f"the training failed: {_reason(failure, code)}")


def _reason(failure: Path, code: int) -> str:
    if failure.is_file():
        return failure.read_text(encoding="utf-8", errors="replace").strip()
    return f"it ended with code {code}"
