"""Which files of a folder are photos of which class. Reads names only."""

import os
from dataclasses import dataclass
from pathlib import Path

from artifact.channels import CHANNEL_NAMES, ROLE_OF

SPLITS = tuple(CHANNEL_NAMES)
# what people's folders hold beside photos; anything else is tried, for photos come without an extension too
IGNORED_NAMES = {"thumbs.db", "desktop.ini", "prepare.json"}
IGNORED_SUFFIXES = {
    ".txt",
    ".md",
    ".csv",
    ".json",
    ".jsonl",
    ".tsv",
    ".xml",
    ".yaml",
    ".yml",
    ".html",
    ".py",
    ".ipynb",
    ".zip",
    ".gz",
    ".tar",
    ".pdf",
    ".doc",
    ".docx",
    ".lst",
    ".rec",
    ".log",
    ".ini",
    ".sh",
}


class PrepareError(Exception):
    """Why the photos cannot be prepared: one sentence for the user."""


@dataclass(frozen=True, order=True)
class Source:
    """A file that should be a photo. path is relative to the source folder; split is given where the folder says it."""

    path: str
    label: str
    split: str | None = None


def scan(folder: Path) -> tuple[list[Source], list[str]]:
    """The photos below a folder, sorted, and the other files that were passed by.

    Either folder/<class>/… or folder/{train,valid,test}/<class>/…. PrepareError when there is no photo, or when it
    cannot be told which of the two it is; OSError for a folder that cannot be read.
    """
    if not folder.is_dir():
        raise PrepareError(f"the source '{folder}' is not a folder")
    presplit = _is_split(folder)
    sources, ignored = [], []
    for path in _files(folder):
        parts = path.split("/")
        depth = 3 if presplit else 2
        if _passed_by(parts) or len(parts) < depth:
            ignored.append(path)
        else:
            split = ROLE_OF[parts[0].lower()] if presplit else None
            sources.append(Source(path, parts[depth - 2], split))
    if not sources:
        raise PrepareError(
            f"the source '{folder}' holds no photos; expected a folder of photos for each class"
        )
    return sorted(sources), sorted(ignored)


def _is_split(folder: Path) -> bool:
    """Whether the folder holds train/ and other parts rather than classes."""
    inside = sorted(
        entry.name
        for entry in os.scandir(folder)
        if entry.is_dir() and not _passed_by([entry.name])
    )
    roles = {ROLE_OF.get(name.lower()) for name in inside}
    if "train" not in roles:
        return False
    foreign = [name for name in inside if name.lower() not in ROLE_OF]
    if foreign and len(roles) > 2:
        raise PrepareError(
            f"'{folder}' holds parts of a split ({', '.join(name for name in inside if name not in foreign)}) beside "
            f"'{foreign[0]}'; give a folder of classes, or one of train, validation and test alone"
        )
    return not foreign


def _files(folder: Path) -> list[str]:
    def fail(error: OSError) -> None:
        raise error  # a folder that cannot be read must not drop out in silence

    return [
        os.path.relpath(os.path.join(base, name), folder)
        for base, _, names in os.walk(folder, onerror=fail, followlinks=True)
        for name in names
    ]


def _passed_by(parts: list[str]) -> bool:
    name = parts[-1].lower()
    return (
        any(part.startswith(".") for part in parts)
        or name in IGNORED_NAMES
        or os.path.splitext(name)[1] in IGNORED_SUFFIXES
        or "__MACOSX" in parts
    )
