"""The steps of the end-to-end run: each is a command of a user's, or a few calls of boto3."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from botocore.exceptions import ClientError

from runtime.processes import REPOSITORY

PATIENCE_S = 300
LOOK_S = 0.3


class StepFailed(RuntimeError):
    """A step that did not do what it must; the text has its output."""


class Steps:
    """Runs and counts steps: one line for each, with its seconds. out: where all is written."""

    def __init__(self, recipe: Path, out: Path) -> None:
        self.recipe = recipe
        self.out = out
        self.count = 0

    @contextmanager
    def step(self, what: str, details: str = "") -> Iterator[None]:
        """A step that this program does itself, by boto3."""
        self.count += 1
        began = time.monotonic()
        yield
        seconds = time.monotonic() - began
        print(f"e2e: {self.count:2} {what:10} {seconds:6.1f} s  {details}", flush=True)

    def run(self, what: str, *words: str, see: tuple[str, ...] = ()) -> str:
        """Run a command; its output, in which each pattern of `see` must be found.

        StepFailed with the output otherwise.
        """
        shown = " ".join("python" if word == sys.executable else word for word in words)
        with self.step(what, shown.replace(f"{REPOSITORY}/", "")):
            done = subprocess.run(
                words,
                cwd=REPOSITORY,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
            missing = [pattern for pattern in see if not re.search(pattern, done.stdout)]
            fault = ""
            if done.returncode:
                fault = f"ended with code {done.returncode}"
            elif missing:
                fault = f"did not say '{missing[0]}'"
            if fault:
                raise StepFailed(f"{done.stdout}\nstep {self.count}, {what}, {fault}: {shown}")
        return done.stdout

    def python(self, what: str, module: str, *words: str, see: tuple[str, ...] = ()) -> str:
        """A module of this checkout."""
        return self.run(what, sys.executable, "-m", module, *words, see=see)

    def launch(self, command: str, *words: str, see: tuple[str, ...] = (), what: str = "") -> str:
        """A command of the launcher's on the recipe."""
        given = (command, str(self.recipe), *words, "--out", str(self.out), "--poll", "0.5")
        return self.python(what or command, "launch", *given, see=see)


def until(condition: Callable[[], object], otherwise: str) -> None:
    """Wait for a condition; a refusal of AWS counts as not yet. StepFailed after PATIENCE_S."""
    deadline = time.monotonic() + PATIENCE_S
    refusal = ""
    while time.monotonic() < deadline:
        try:
            if condition():
                return
        except ClientError as error:
            refusal = str(error)
        time.sleep(LOOK_S)
    raise StepFailed(f"{otherwise} within {PATIENCE_S} s {refusal}".strip())


def must(condition: object, what: str, seen: object) -> None:
    """StepFailed with what was seen, where a condition does not hold."""
    if not condition:
        raise StepFailed(f"{what}: {json.dumps(seen, default=str, indent=1)}")


def group_of(pattern: str, text: str) -> str:
    """The first group of a pattern that must be in the text. StepFailed when it is not."""
    found = re.search(pattern, text)
    if found is None:
        raise StepFailed(f"the output does not have '{pattern}': {text}")
    return found[1]
