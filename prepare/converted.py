"""What became of each source, before anything in the destination has changed."""

from dataclasses import dataclass
from pathlib import Path

from prepare.convert import Photo
from prepare.scan import Scan, Source
from prepare.state import Stamp


@dataclass(frozen=True)
class Converted:
    """The sources' photos and reasons."""

    stamps: dict[str, Stamp]  # of each source path
    kept: dict[Source, Photo]  # the output of the earlier run is still right
    new: dict[Source, Photo]  # written to the staging folder
    broken: dict[Source, str]  # the reason, a sentence
    found: Scan  # all sources, and what was passed by

    def photos(self) -> dict[Source, Photo]:
        """All good photos, in the order of their paths."""
        return dict(sorted({**self.kept, **self.new}.items()))


def stamp(path: Path) -> Stamp:
    """Size and time of a file: while they stay, its photo is the same."""
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]
