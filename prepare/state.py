"""prepare.json: the options of a run, the files it wrote, and whether it came to its end.

Only a complete run is trusted.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypedDict

from artifact.model import write_atomically
from artifact.text.json_text import MOST_IN_LISTS, read_json
from prepare.convert import PhotoDict
from prepare.scan import PrepareError

STATE_FILE = "prepare.json"
STAGING_FOLDER = ".staging"
VERSION = 1

Stamp = list[int]  # size in bytes, mtime in ns; a list, as JSON gives it back


class PhotoRecord(TypedDict):
    """What became of one source. output: path relative to the destination."""

    stamp: Stamp
    output: str
    photo: PhotoDict


@dataclass
class PreparationState:
    """What prepare.json holds.

    photos and broken are by source path. outputs: every file that prepare wrote.
    """

    complete: bool = False
    options: dict[str, object] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    photos: dict[str, PhotoRecord] = field(default_factory=dict)
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
        }
        head = json.dumps(values, indent=1).removesuffix("\n}")
        # a line for each: json.dumps would hold ten times the text of 100,000 photos
        lines = [f"  {json.dumps(path)}: {json.dumps(own)}" for path, own in self.photos.items()]
        text = f'{head},\n "photos": {{\n' + ",\n".join(lines) + "\n }\n}\n"
        write_atomically(folder / STATE_FILE, text.encode(), folder / STAGING_FOLDER)


def read_state(folder: Path) -> PreparationState:
    """The state that an earlier run left; an empty one for a new folder.

    PrepareError when the folder holds files of another origin.
    """
    path = folder / STATE_FILE
    if not path.exists():
        _refuse_foreign(folder)
        return PreparationState()
    try:
        values = read_json(path.read_text(), MOST_IN_LISTS)
        if values["version"] != VERSION:
            raise ValueError(f"version {values['version']}")
        return PreparationState(
            complete=values["state"] == "complete",
            options=values["options"],
            counts=values["counts"],
            photos=values["photos"],
            outputs=values["outputs"],
        )
    except (ValueError, KeyError, TypeError) as error:
        raise PrepareError(
            f"'{path}' is not a file that this prepare wrote ({error}); give a new or empty folder"
        ) from error


def _refuse_foreign(folder: Path) -> None:
    """PrepareError when a folder without prepare.json holds any file: it would be overwritten."""
    if not folder.is_dir():
        return
    names = sorted(entry.name for entry in folder.iterdir())
    foreign = [name for name in names if name != STAGING_FOLDER]
    if foreign:
        raise PrepareError(
            f"the destination '{folder}' holds '{foreign[0]}', which prepare did not write; "
            "give a new or empty folder"
        )
