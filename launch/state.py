"""What was started for a recipe: out/launch/NAME.json, so that another command, or the same after Ctrl-C, finds it again."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

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
    """One thing on AWS. kind: one of KINDS. started: ISO 8601. facts: what later commands want to know of it."""

    kind: str
    name: str
    started: str
    facts: dict = field(default_factory=dict)


class State:
    """The entries of one recipe, oldest first; each change is on disk before it returns."""

    def __init__(self, path: Path, recipe: str):
        self.path, self.recipe = Path(path), recipe
        self.entries: list[Entry] = []
        try:
            document = json.loads(self.path.read_text(encoding="utf-8"))
            if document["format_version"] != FORMAT_VERSION:
                raise LaunchError(
                    f"'{path}' has format_version {document['format_version']}; this launcher knows {FORMAT_VERSION}"
                )
            self.entries = [Entry(**entry) for entry in document["entries"]]
        except FileNotFoundError:
            pass
        except (ValueError, KeyError, TypeError) as error:
            raise LaunchError(
                f"'{path}' is not what this launcher wrote ({error!r}); move it away"
            ) from error

    def add(self, kind: str, name: str, started: str, **facts: object) -> Entry:
        """Note a thing, in place of one of the same kind and name. Noted before it is asked for, so that nothing is lost."""
        entry = Entry(kind, name, started, facts)
        self.entries = [one for one in self.entries if (one.kind, one.name) != (kind, name)] + [
            entry
        ]
        self._write()
        return entry

    def remove(self, kind: str, name: str) -> None:
        self.entries = [one for one in self.entries if (one.kind, one.name) != (kind, name)]
        self._write()

    def all(self, *kinds: str) -> list[Entry]:
        return [entry for entry in self.entries if entry.kind in kinds]

    def latest(self, *kinds: str) -> Entry | None:
        return next(reversed(self.all(*kinds)), None)

    def _write(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        document = {
            "format_version": FORMAT_VERSION,
            "recipe": self.recipe,
            "entries": [asdict(entry) for entry in self.entries],
        }
        write_atomically(self.path, json.dumps(document, indent=1).encode() + b"\n")
