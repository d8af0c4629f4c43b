"""The steps of the end-to-end run: each is a command as users type it, or a few boto3 calls."""

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

PATIENCE_S = 300  # for one condition, on a machine with other work
LOOK_S = 0.3  # between two looks
Patterns = tuple[str, ...]  # regular expressions that must be found in a command's output


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

    def run(self, what: str, *words: str, see: Patterns = ()) -> str:
        """Run a command; its output, in which each pattern of `see` must be found.

        StepFailed with the output otherwise.
        """
        shown = " ".join(words).replace(sys.executable, "python")
        shown = shown.replace(f"{REPOSITORY}/", "")
        with self.step(what, shown):
            done = subprocess.run(
                words,
                cwd=REPOSITORY,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
            printed = done.stdout
            missing = [pattern for pattern in see if not re.search(pattern, printed)]
            fault = ""
            if done.returncode:
                fault = f"ended with code {done.returncode}"
            elif missing:
                fault = f"did not say '{missing[0]}'"
            if fault:
                raise StepFailed(f"{printed}\nstep {self.count}, {what}, {fault}: {shown}")
        return done.stdout

    def python(self, what: str, module: str, *words: str, see: Patterns = ()) -> str:
        """A module of this checkout."""
        return self.run(what, sys.executable, "-m", module, *words, see=see)

    def launch(self, command: str, *words: str, see: Patterns = (), what: str = "") -> str:
        """A command of the launcher's on the recipe."""
        given = (command, str(self.recipe), *words)
        options = ("--out", str(self.out), "--poll", "0.5")  # s; the launcher's own is for AWS
        return self.python(what or command, "launch", *given, *options, see=see)


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
    """Raise StepFailed, with the values seen, unless a condition holds."""
    if not condition:
        raise StepFailed(f"{what}: {json.dumps(seen, default=str, indent=1)}")


def group_of(pattern: str, text: str) -> str:
    """The first group of a pattern that must be in the text. StepFailed when it is not."""
    found = re.search(pattern, text)
    if found is None:
        raise StepFailed(f"the output does not have '{pattern}': {text}")
    return found[1]
