"""prepare.json: what a run was told, what it wrote, and whether it came to its end. Only a complete one is trusted."""

import json
from dataclasses import dataclass, field
from pathlib import Path

from artifact.model import write_atomically
from prepare.scan import PrepareError

STATE_FILE = "prepare.json"
STAGING_FOLDER = ".staging"
VERSION = 1


@dataclass
class PreparationState:
    """photos: source path to what became of it (with the source's size and mtime); outputs: every file that prepare wrote;
    broken: source path to reason."""

    complete: bool = False
    options: dict = field(default_factory=dict)
    counts: dict = field(default_factory=dict)
    photos: dict[str, dict] = field(default_factory=dict)
    outputs: list[str] = field(default_factory=list)
    broken: dict[str, str] = field(default_factory=dict)
    ignored: list[str] = field(default_factory=list)

    def write(self, folder: Path) -> None:
        """Replace the folder's prepare.json in one step, by way of its staging folder."""
        values = {
            "version": VERSION,
            "state": "complete" if self.complete else "running",
            "options": self.options,
            "counts": self.counts,
            "broken": self.broken,
            "ignored": self.ignored,
            "outputs": self.outputs,
            "photos": self.photos,
        }
        write_atomically(
            folder / STATE_FILE,
            (json.dumps(values, indent=1) + "\n").encode(),
            folder / STAGING_FOLDER,
        )


def read_state(folder: Path) -> PreparationState:
    """The earlier_state of an earlier run; an empty one for a new folder. PrepareError when the folder holds something else."""
    path = folder / STATE_FILE
    if not path.exists():
        foreign = (
            sorted(entry.name for entry in folder.iterdir() if entry.name != STAGING_FOLDER)
            if folder.is_dir()
            else []
        )
        if foreign:
            raise PrepareError(
                f"the destination '{folder}' holds '{foreign[0]}', which prepare did not write; give a new or empty folder"
            )
        return PreparationState()
    try:
        values = json.loads(path.read_text())
        if values["version"] != VERSION:
            raise ValueError(f"version {values['version']}")
        return PreparationState(
            values["state"] == "complete",
            values["options"],
            values["counts"],
            values["photos"],
            values["outputs"],
        )
    except (ValueError, KeyError, TypeError) as error:
        raise PrepareError(
            f"'{path}' is not a file that this prepare wrote ({error}); give a new or empty folder"
        ) from error
