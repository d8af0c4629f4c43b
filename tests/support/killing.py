"""python tests/support/killing.py: kills training jobs with SIGKILL, and runs them to their ends.

Each line of stdin is `ROOT KILLS SEED`: a job's tree, the number of kills, their seed. Each is
answered with the exit code of the last run and where the kills hit, as JSON. Torch is loaded once;
each run is a process forked from here before anything was computed, so that a kill costs no more
than the work that it undoes.
"""

import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import onnx  # noqa: F401 (loaded once for all runs)
import openvino  # noqa: F401 (as above)
import tensorboardX  # noqa: F401 (as above)

import train.run  # noqa: F401 (as above)
from train.__main__ import main

LONGEST_S = 120


def kill_while(pid: int, seen: Callable[[], bool], longest_s: float) -> bool:
    """Kill a process once `seen` is true, or at this age; False when it ended before that."""
    started = time.monotonic()
    while time.monotonic() - started < longest_s and not seen():
        if os.waitpid(pid, os.WNOHANG)[0]:
            return False
        # Short: a file is half written only for an instant.
        time.sleep(0.0003)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return True


def start(root: Path) -> int:
    pid = os.fork()
    if pid == 0:
        with (root / "log").open("a") as log:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
            # _exit: a copy of this process must not run its exit handlers.
            os._exit(main(["--root", str(root)]))
    return pid


def torn(folder: Path) -> Callable[[], bool]:
    """Whether something is being written in a folder."""
    # The writer renames such a file to its true name once it is whole.
    return lambda: any(folder.glob(".*.slipway-tmp"))


def run(root: Path, kills: int, seed: int) -> dict[str, object]:
    """Run one job with its kills: the last exit code, and what was there after each kill."""
    chance = random.Random(seed)
    hits: list[dict[str, object]] = []
    moments = [
        torn(root / "checkpoints"),
        torn(root / "model"),
        torn(root / "output" / "data"),
        # Half of the kills look for no file being written: they come at any time.
        *[lambda: False] * 3,
    ]
    longest = 3.0
    for number in range(kills):
        kind = number % len(moments)
        # A kill that waits for a file gets all the time it needs.
        lives = LONGEST_S if kind < 3 else chance.uniform(0.05, longest)
        begun = time.monotonic()
        if kill_while(start(root), moments[kind], lives):
            left: list[str] = []
            for folder in ("checkpoints", "model", "output/data"):
                left += [str(path.relative_to(root)) for path in (root / folder).glob("*")]
            hits.append({"after_s": round(time.monotonic() - begun, 2), "left": sorted(left)})
    pid = start(root)
    return {"code": os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), "hits": hits}


if __name__ == "__main__":
    for line in sys.stdin:
        # From the right: a root's path may hold spaces.
        root, kills, seed = line.rstrip("\n").rsplit(" ", 2)
        print(json.dumps(run(Path(root), int(kills), int(seed))), flush=True)
