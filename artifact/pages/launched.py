"""What `launch` has noted in a project's results: endpoints, jobs, and the page on AWS."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from artifact.text.json_text import read_json

NOTES = "launch/*.json"  # below the results, one file for each recipe
KINDS = {  # of a note, with what people call it; the endpoints first
    "endpoint": "endpoint",
    "api": "the page",
    "training": "training job",
    "tuning": "tuning job",
    "processing": "processing job",
    "transform": "transform job",
}


@dataclass(frozen=True)
class Launched:
    """One thing on AWS. kind: of KINDS. started: ISO 8601. link: of the notes, below the results.

    model: where an endpoint's model comes from; "" where that is not noted.
    """

    name: str
    kind: str
    started: str
    recipe: str
    link: str
    model: str = ""

    @property
    def words(self) -> str:
        """What people call its kind."""
        return KINDS[self.kind]

    def made(self, folder: str) -> bool:
        """Whether it is the job of that name, or an endpoint with that job's model."""
        return folder == self.name or f"/{folder}/" in self.model


def launched(out: Path) -> list[Launched]:
    """All that is noted below `out`, the endpoints first, the latest of each kind first."""
    found: list[Launched] = []
    for path in out.glob(NOTES):
        try:
            document = read_json(path.read_text(encoding="utf-8"))
            found += _in(document, path.relative_to(out).as_posix())
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue  # of another form, such as the images' URIs
    found.sort(key=lambda one: one.started, reverse=True)
    return sorted(found, key=lambda one: [*KINDS].index(one.kind))


def _in(document: dict[str, Any], link: str) -> list[Launched]:
    entries = document["entries"]
    models = {
        entry["name"]: str(entry["facts"].get("data", ""))
        for entry in entries
        if entry["kind"] == "model"
    }
    return [
        Launched(
            str(entry["name"]),
            str(entry["kind"]),
            str(entry["started"]),
            str(document["recipe"]),
            link,
            models.get(entry["facts"].get("config", ""), ""),
        )
        for entry in entries
        if entry["kind"] in KINDS
    ]
