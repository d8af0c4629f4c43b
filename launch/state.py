"""The list of things started for a recipe: out/launch/NAME.json.

Another command, or the same one after Ctrl-C, finds them there again.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from artifact.json_text import read_json
from artifact.model import write_atomically
from launch.errors import LaunchError

FORMAT_VERSION = 1
KINDS = (
    "training",
    "tuning",
    "transform",
    "model",
    "config",
    "endpoint",
    "alarm",
    "scaling",
    "api",
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
    """The entries of one recipe, oldest first; each change is on disk before it returns."""

    def __init__(self, path: Path, recipe: str):
        self.path = Path(path)
        self.recipe = recipe
        self.entries = read_entries(self.path)

    def add(self, kind: str, name: str, started: str, **facts: object) -> Entry:
        """Note a thing; an entry of the same kind and name is replaced.

        Call it before the request to AWS, so that an interruption loses nothing.
        """
        entry = Entry(kind, name, started, facts)
        self.entries = [*self._without(kind, name), entry]
        self._write()
        return entry

    def recall(self, entries: list[Entry]) -> None:
        """Note things that were found again, each in its place by time."""
        self.entries = sorted([*entries, *self.entries], key=lambda entry: entry.started)
        self._write()

    def remove(self, kind: str, name: str) -> None:
        self.entries = self._without(kind, name)
        self._write()

    def all(self, *kinds: str) -> list[Entry]:
        return [entry for entry in self.entries if entry.kind in kinds]

    def latest(self, *kinds: str) -> Entry | None:
        return next(reversed(self.all(*kinds)), None)

    def _without(self, kind: str, name: str) -> list[Entry]:
        return [entry for entry in self.entries if (entry.kind, entry.name) != (kind, name)]

    def _write(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        document = {
            "format_version": FORMAT_VERSION,
            "recipe": self.recipe,
            "entries": [asdict(entry) for entry in self.entries],
        }
        # An interruption leaves the old file or the new one, never a part.
        write_atomically(self.path, json.dumps(document, indent=1).encode() + b"\n")


def read_entries(path: Path) -> list[Entry]:
    """The entries of a file; none without the file. LaunchError for another program's."""
    try:
        document = read_json(path.read_text(encoding="utf-8"))
        version = document["format_version"]
        if version != FORMAT_VERSION:
            raise LaunchError(
                f"'{path}' has format_version {version}; this launcher knows {FORMAT_VERSION}"
            )
        return [Entry(**entry) for entry in document["entries"]]
    except FileNotFoundError:
        return []
    except (ValueError, KeyError, TypeError) as error:
        raise LaunchError(
            f"'{path}' is not a file of this launcher ({error!r}); move it away"
        ) from error
