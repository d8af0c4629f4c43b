"""The photos below a folder: the one listing of preparation and training.

It reads names and status, and the first bytes of a file whose name does not say what it is.
"""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from artifact.file_kinds import (
    NO_PHOTOS,
    NO_SUFFIX,
    PHOTO_SUFFIXES,
    kind_of_file,
    kind_of_folder,
    suffix_of,
)
from artifact.passed_by import PassedBy
from artifact.photo_files import NOT_REGULAR, begins_as_photo

LOOSE = "photos outside of the folders of classes"
LONGEST_SUFFIX = 12  # a longer one is part of a sentence, not a suffix
ANNEX = ".git/annex/objects/"
Found = tuple[str, os.stat_result]  # path relative to the folder, "/" between its parts


@dataclass(frozen=True)
class _Folder:
    """A folder to list. links: the real paths of the links that led here."""

    path: str
    prefix: str
    links: tuple[str, ...] = ()


def photos_below(
    folder: Path, passed: PassedBy, prefix: str = "", top: str = ""
) -> Iterator[Found]:
    """Path and status of each photo in a folder and the folders below it, in no order.

    prefix: put before each path. top: the real path of the folder that is listed as a whole, into
    which no link may lead back; by default the folder itself. `passed` receives all other files.
    Links are followed. OSError for a folder or a file that cannot be read.
    """
    top = top or os.path.realpath(folder)
    waiting = [_Folder(str(folder), prefix)]
    while waiting:
        current = waiting.pop()
        with os.scandir(current.path) as entries:
            for entry in entries:
                path = current.prefix + entry.name
                if is_folder(entry):
                    below = _below(entry, path, current, top, passed)
                    if below:
                        waiting.append(below)
                    continue
                status = _photo_status(entry, path, passed)
                if status:
                    yield path, status


def pass_by_file(entry: "os.DirEntry[str]", path: str, passed: PassedBy) -> None:
    """Count a file that lies where no class is, a photo, too."""
    status = _photo_status(entry, path, passed)
    if status:
        passed.add(path, LOOSE, suffix_of(entry.name) or NO_SUFFIX)


def is_folder(entry: "os.DirEntry[str]") -> bool:
    """Whether it is a folder or a link to one; a link in a circle is none."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def leads_back(path: str, top: str, links: tuple[str, ...] = ()) -> str:
    """Why a link to a folder is not followed: its photos are listed already; "" to follow it."""
    target = os.path.realpath(path)
    here = os.path.realpath(os.path.dirname(path))
    if any(_contains(target, place) for place in (here, *links)):
        return f"it is a link to a folder above it ('{target}')"
    if _contains(top, target) and not _is_hidden(target, top):
        return f"it is a link to '{os.path.relpath(target, top)}', whose photos are listed there"
    return ""


def _below(
    entry: "os.DirEntry[str]", path: str, current: _Folder, top: str, passed: PassedBy
) -> _Folder | None:
    kind = kind_of_folder(entry.name)
    if kind:
        passed.add(f"{path}/", kind, entry.name)
        return None
    links = current.links
    if entry.is_symlink():
        reason = leads_back(entry.path, top, links)
        if reason:
            passed.links[path] = reason
            return None
        links = (*links, os.path.realpath(entry.path))
    return _Folder(entry.path, f"{path}/", links)


def _contains(folder: str, path: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _is_hidden(path: str, top: str) -> bool:
    """Whether the listing of `top` does not come to a folder: tools keep photos in hidden ones."""
    return any(kind_of_folder(part) for part in os.path.relpath(path, top).split("/"))


def _photo_status(entry: "os.DirEntry[str]", path: str, passed: PassedBy) -> os.stat_result | None:
    """The status of a photo; None for another file, which is then counted."""
    suffix = suffix_of(entry.name)
    is_photo = suffix in PHOTO_SUFFIXES and not entry.name.startswith(".")
    if not is_photo:
        kind = kind_of_file(entry.name, suffix)
        if kind:
            passed.add(path, kind, suffix or entry.name)
            return None
    try:
        status = entry.stat()
    except OSError as error:
        if not entry.is_symlink():
            raise
        passed.unreadable[path] = _dangling(entry.path, error)
        return None
    if not stat.S_ISREG(status.st_mode):
        passed.unreadable[path] = NOT_REGULAR
        return None
    if not is_photo and not _begins_as_photo(entry.path, status.st_size):
        shown = suffix if len(suffix) <= LONGEST_SUFFIX else ""
        passed.add(path, NO_PHOTOS, shown or NO_SUFFIX)
        return None
    return status


def _dangling(path: str, error: OSError) -> str:
    target = os.readlink(path)
    if ANNEX in target:
        return "it is a link of git-annex to a photo that is not here; `git annex get` fetches it"
    if isinstance(error, FileNotFoundError):
        return f"it is a link to nothing ('{target}')"
    return f"it is a link that cannot be followed ({error.strerror})"


def _begins_as_photo(path: str, size: int) -> bool:
    """Whether the first bytes are a photo's. Empty and unreadable files are for the decoder."""
    try:
        return not size or begins_as_photo(Path(path))
    except OSError:
        return True
