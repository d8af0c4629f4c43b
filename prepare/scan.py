"""Which files of a folder are photos of which class. Reads names only."""

import os
from dataclasses import dataclass
from pathlib import Path

from artifact.channels import CHANNEL_NAMES, ROLE_OF

SPLITS = tuple(CHANNEL_NAMES)
# Files that people's folders hold beside photos. All others are tried: photos come without an
# extension, too.
IGNORED_NAMES = {"thumbs.db", "desktop.ini", "prepare.json"}
IGNORED_SUFFIXES = {
    *(".txt", ".md", ".html", ".pdf", ".doc", ".docx", ".log"),
    *(".csv", ".json", ".jsonl", ".tsv", ".xml", ".yaml", ".yml", ".ini", ".lst", ".rec"),
    *(".py", ".ipynb", ".sh", ".zip", ".gz", ".tar"),
}
MAC_ARCHIVE_FOLDER = "__MACOSX"  # macOS puts copies of all names there, which are not photos


class PrepareError(Exception):
    """Why the photos cannot be prepared: one sentence for the user."""


@dataclass(frozen=True, order=True)
class Source:
    """A file that should be a photo.

    path: relative to the source folder. split: None where the folder does not say it.
    """

    path: str
    label: str
    split: str | None = None


def scan(folder: Path) -> tuple[list[Source], list[str]]:
    """The photos below a folder, sorted, and the paths of the other files.

    The folder is laid out as <class>/… or as {train,valid,test}/<class>/…. PrepareError without
    any photo, or when the layout is ambiguous; OSError for a folder that cannot be read.
    """
    if not folder.is_dir():
        raise PrepareError(f"the source '{folder}' is not a folder")
    presplit = _is_split(folder)
    depth = 3 if presplit else 2  # parts of the shortest path: [split,] class, file
    sources = []
    ignored = []
    for path in _files(folder):
        parts = path.split("/")
        if _is_ignored(parts) or len(parts) < depth:
            ignored.append(path)
            continue
        split = ROLE_OF[parts[0].lower()] if presplit else None
        sources.append(Source(path, label=parts[depth - 2], split=split))
    if not sources:
        raise PrepareError(
            f"the source '{folder}' holds no photos; expected a folder of photos for each class"
        )
    return sorted(sources), sorted(ignored)


def _is_split(folder: Path) -> bool:
    """Whether the folder holds train/ and other parts rather than classes."""
    folders = [entry.name for entry in os.scandir(folder) if entry.is_dir()]
    inside = sorted(name for name in folders if not _is_ignored([name]))
    roles = {ROLE_OF.get(name.lower()) for name in inside}
    if "train" not in roles:
        return False
    parts = [name for name in inside if name.lower() in ROLE_OF]
    foreign = [name for name in inside if name.lower() not in ROLE_OF]
    # beside train/ alone, other folders are classes, one of which is called "train"
    if foreign and len(roles) > 2:
        raise PrepareError(
            f"'{folder}' holds parts of a split ({', '.join(parts)}) beside '{foreign[0]}'; "
            "give a folder of classes, or one of train, validation and test alone"
        )
    return not foreign


def _files(folder: Path) -> list[str]:
    """Paths of all files below the folder, relative to it."""

    def fail(error: OSError) -> None:
        raise error  # os.walk would leave out a folder that cannot be read, in silence

    paths = []
    for base, _, names in os.walk(folder, onerror=fail, followlinks=True):
        paths += [os.path.relpath(os.path.join(base, name), folder) for name in names]
    return paths


def _is_ignored(parts: list[str]) -> bool:
    """Whether a path, given as its parts, is not a photo by its name or place."""
    name = parts[-1].lower()
    if any(part.startswith(".") for part in parts) or MAC_ARCHIVE_FOLDER in parts:
        return True
    return name in IGNORED_NAMES or os.path.splitext(name)[1] in IGNORED_SUFFIXES
