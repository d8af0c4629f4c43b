"""Which files of a folder are photos of which class. Reads names only."""

import os
from dataclasses import dataclass
from pathlib import Path

SPLITS = ("train", "validation", "test")
SPLIT_NAMES = {"train": "train", "training": "train", "validation": "validation", "valid": "validation", "val": "validation", "test": "test"}
# what people's folders hold beside photos; anything else is tried, for photos come without an extension too
IGNORED_NAMES = {"thumbs.db", "desktop.ini", "prepare.json"}
IGNORED_SUFFIXES = {".txt", ".md", ".csv", ".json", ".jsonl", ".tsv", ".xml", ".yaml", ".yml", ".html", ".py", ".ipynb", ".zip", ".gz", ".tar",
                    ".pdf", ".doc", ".docx", ".lst", ".rec", ".log", ".ini", ".sh"}


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

    Either folder/<class>/… or folder/{train,valid,test}/<class>/…. PrepareError when there is no photo.
    """
    if not folder.is_dir():
        raise PrepareError(f"the source '{folder}' is not a folder")
    inside = [entry.name for entry in os.scandir(folder) if entry.is_dir() and not entry.name.startswith(".")]
    presplit = "train" in {SPLIT_NAMES.get(name.lower()) for name in inside} and all(name.lower() in SPLIT_NAMES for name in inside)
    sources, ignored = [], []
    for path in _files(folder):
        parts = path.split("/")
        depth = 3 if presplit else 2
        if _passed_by(parts) or len(parts) < depth:
            ignored.append(path)
        else:
            split = SPLIT_NAMES[parts[0].lower()] if presplit else None
            sources.append(Source(path, parts[depth - 2], split))
    if not sources:
        raise PrepareError(f"the source '{folder}' holds no photos; expected a folder of photos for each class")
    return sorted(sources), sorted(ignored)


def _files(folder: Path) -> list[str]:
    return [os.path.relpath(os.path.join(base, name), folder) for base, _, names in os.walk(folder, followlinks=True) for name in names]


def _passed_by(parts: list[str]) -> bool:
    name = parts[-1].lower()
    return (any(part.startswith(".") for part in parts) or name in IGNORED_NAMES or os.path.splitext(name)[1] in IGNORED_SUFFIXES
            or "__MACOSX" in parts)
