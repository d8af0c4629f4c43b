"""The list of things started for a recipe: out/launch/NAME.json.

Another command, or the same one after Ctrl-C, finds them there again.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from artifact.model import write_atomically
from artifact.text.json_text import read_json
from launch.errors import LaunchError

FORMAT_VERSION = 1
LOCK_S = 30  # a change takes milliseconds
KINDS = (
    "training",
    "tuning",
    "transform",
    "processing",
    "model",
    "config",
    "endpoint",
    "alarm",
    "scaling",
    "api",
    "package",
)


@dataclass(frozen=True)
class Entry:
    """One thing on AWS. kind: one of KINDS. started: ISO 8601. facts: notes for later commands."""

    kind: str
    name: str
    started: str
    # JSON values; each kind has its own.
    facts: dict[str, Any] = field(default_factory=dict)


class State:
    """The entries of one recipe, oldest first; each change is on disk before it returns.

    Other commands change the same file: what is read is what the file holds now, and a change
    locks it, reads it again, and touches one entry.
    """

    def __init__(self, path: Path, recipe: str):
        self.path = Path(path)
        self.recipe = recipe
        # An unreadable file is found before anything is started.
        self._read()

    @property
    def entries(self) -> list[Entry]:
        return self._read()

    def add(self, kind: str, name: str, started: str, **facts: object) -> Entry:
        """Note a thing; an entry of the same kind and name is replaced.

        Call it before the request to AWS, so that an interruption loses nothing.
        """
        entry = Entry(kind, name, started, facts)
        with self._changing() as entries:
            entries[:] = [*without(entries, kind, name), entry]
        return entry

    def recall(self, found: list[Entry]) -> None:
        """Note things that were found again, each in its place by time; noted ones stay."""
        with self._changing() as entries:
            known = {(entry.kind, entry.name) for entry in entries}
            new = [entry for entry in found if (entry.kind, entry.name) not in known]
            entries[:] = sorted([*new, *entries], key=lambda entry: entry.started)

    def remove(self, kind: str, name: str) -> None:
        with self._changing() as entries:
            entries[:] = without(entries, kind, name)

    def all(self, *kinds: str) -> list[Entry]:
        return [entry for entry in self.entries if entry.kind in kinds]

    def others(self) -> list[tuple[str, list[Entry]]]:
        """Recipe and entries of the other notes in this folder; those that are unreadable lack."""
        found = []
        for path in sorted(self.path.parent.glob("*.json")):
            if path == self.path:
                continue
            with suppress(LaunchError, OSError):
                found.append(read_notes(path))
        return found

    def latest(self, *kinds: str) -> Entry | None:
        return next(reversed(self.all(*kinds)), None)

    @contextmanager
    def _changing(self) -> Iterator[list[Entry]]:
        """The file's entries now, to change in place; no other command changes them meanwhile.

        LaunchError where another command keeps the file for LOCK_S.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # The lock has a file of its own, because the notes' file is replaced.
        lock = FileLock(f"{self.path}.lock", timeout=LOCK_S)
        try:
            lock.acquire()
        except Timeout as error:
            raise LaunchError(
                f"another command has kept '{self.path}' for {LOCK_S} s; end it, then try again"
            ) from error
        try:
            entries = self._read()
            yield entries
            self._write(entries)
        finally:
            lock.release()

    def _read(self) -> list[Entry]:
        """The file's entries. LaunchError for those of a recipe whose name only looks like ours."""
        recipe, entries = read_notes(self.path)
        if recipe not in ("", self.recipe):
            raise LaunchError(
                f"'{self.path}' has the notes of the recipe '{recipe}', and this one is "
                f"'{self.recipe}': on AWS both would have the same names; rename one of them"
            )
        return entries

    def _write(self, entries: list[Entry]) -> None:
        document = {
            "format_version": FORMAT_VERSION,
            "recipe": self.recipe,
            "entries": [asdict(entry) for entry in entries],
        }
        # An interruption leaves the old file or the new one, never a part.
        write_atomically(self.path, json.dumps(document, indent=1).encode() + b"\n")


def without(entries: list[Entry], kind: str, name: str) -> list[Entry]:
    return [entry for entry in entries if (entry.kind, entry.name) != (kind, name)]


def read_notes(path: Path) -> tuple[str, list[Entry]]:
    """The recipe's name and the entries of a file; neither without the file.

    LaunchError for another program's file.
    """
    try:
        document = read_json(path.read_text(encoding="utf-8"))
        version = document["format_version"]
        if version != FORMAT_VERSION:
            raise LaunchError(
                f"'{path}' has format_version {version}; this launcher knows {FORMAT_VERSION}: "
                "use the version of Slipway that wrote it"
            )
        entries = [Entry(**entry) for entry in document["entries"]]
        if not all(is_sound(entry) for entry in entries):
            raise ValueError("an entry's values are of other types")
        return str(document.get("recipe", "")), entries
    except FileNotFoundError:
        return "", []
    except (ValueError, KeyError, TypeError) as error:
        raise LaunchError(
            f"'{path}' is not a file of this launcher ({error!r}); move it away"
        ) from error


def is_sound(entry: Entry) -> bool:
    words = (entry.kind, entry.name, entry.started)
    return all(isinstance(word, str) for word in words) and isinstance(entry.facts, dict)
