"""Processes that a bench times: a job's tree under /opt/ml's layout, and a Python process from its start to its end."""

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Finished:
    """A process that ended well: what it printed, its seconds, and the most memory it held, in bytes."""

    output: str
    seconds: float
    peak: int


def make_job(root: Path, data: Path, hyperparameters: dict, weights: Path | None = None) -> Path:
    """A fresh job's tree on these photos, laid out as under /opt/ml."""
    shutil.rmtree(root, ignore_errors=True)
    (root / "input" / "config").mkdir(parents=True)
    (root / "input" / "data").mkdir()
    for channel in sorted(path for path in data.iterdir() if path.is_dir()):
        (root / "input" / "data" / channel.name).symlink_to(channel)
    if weights:
        (root / "input" / "data" / "start").mkdir()
        (root / "input" / "data" / "start" / weights.name).symlink_to(weights)
    texts = {name: str(value) for name, value in hyperparameters.items()}
    (root / "input" / "config" / "hyperparameters.json").write_text(json.dumps(texts))
    return root


def run(name: str, *arguments: object, cache: Path | None = None) -> Finished:
    """A Python process from its start to its end. RuntimeError when it fails."""
    print(f"bench: {name} …", flush=True)
    environment = os.environ | {"PYTHONUNBUFFERED": "1"} | ({"SLIPWAY_CACHE": str(cache)} if cache else {})
    started = time.perf_counter()
    process = subprocess.Popen([sys.executable, *map(str, arguments)], cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, text=True)
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{name} ended with code {process.returncode}: {output[-500:]}")
    print(f"bench: {name}: {seconds:.1f} s", flush=True)
    return Finished(output, seconds, usage.ru_maxrss * 1024)
