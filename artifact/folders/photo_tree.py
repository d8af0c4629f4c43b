"""The photos below a folder, and what is passed by: the one listing of preparation and training.

It reads names and status, and the first bytes of a file whose name does not say what it is. What is
no photo is counted by kind, and named where it needs a look.
"""

import os
import stat
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from artifact.folders.file_kinds import (
    BESIDE_PHOTOS,
    HIDDEN_FOLDERS,
    NO_PHOTOS,
    NO_SUFFIX,
    PHOTO_SUFFIXES,
    SYSTEM_FOLDERS,
    kind_of_file,
    kind_of_folder,
    suffix_of,
)
from artifact.photos.files import NOT_REGULAR, begins_as_photo
from artifact.text.names import printable
from artifact.text.numbers import counted

KEPT_PATHS = 1000  # names for a report; the counts go on
FOLDER_KINDS = (SYSTEM_FOLDERS, HIDDEN_FOLDERS)
LISTED_SUFFIXES = 8  # of a sentence
LOOSE = "photos outside of the folders of classes"
LONGEST_SUFFIX = 12  # a longer one is part of a sentence, not a suffix
ANNEX = ".git/annex/objects/"
Found = tuple[str, os.stat_result]  # path relative to the folder, "/" between its parts


@dataclass
class PassedBy:
    """Files and folders that are no photos, in bounded memory but for `unreadable`.

    kinds: (kind, suffix or name) to count. paths: the first KEPT_PATHS of them, as they came.
    unreadable: photos by their names that cannot be read, such as a link to nothing: path to
    reason. links: folders that are not followed: path to reason.
    """

    kinds: Counter[tuple[str, str]] = field(default_factory=Counter)
    paths: list[str] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)

    def add(self, path: str, kind: str, word: str) -> None:
        """Count one. word: its suffix, or a folder's name."""
        self.kinds[kind, word] += 1
        if len(self.paths) < KEPT_PATHS:
            self.paths.append(path)

    def update(self, other: "PassedBy") -> None:
        """Take over what another listing passed by."""
        self.kinds.update(other.kinds)
        self.paths += other.paths[: KEPT_PATHS - len(self.paths)]
        self.unreadable.update(other.unreadable)
        self.links.update(other.links)

    def __bool__(self) -> bool:
        return bool(self.kinds or self.unreadable or self.links)

    @property
    def count(self) -> int:
        """Files and folders in all."""
        return self.kinds.total() + len(self.unreadable) + len(self.links)

    def lost_photos(self) -> bool:
        """Whether a folder without a photo once had some, rather than texts alone."""
        if self.unreadable:
            return True
        return any(kind not in BESIDE_PHOTOS for kind, _ in self.kinds)

    def by_kind(self) -> dict[str, int]:
        """Kind to count, the most frequent first."""
        counted: Counter[str] = Counter()
        for (kind, _), count in self.kinds.items():
            counted[kind] += count
        return dict(counted.most_common())

    def sentence(self) -> str:
        """Such as `12 files of other kinds (.mov): videos`; "" for nothing."""
        folders = {word for kind, word in self.kinds if kind in FOLDER_KINDS}
        words = {word for kind, word in self.kinds if kind not in FOLDER_KINDS}
        by_kind = self.by_kind()
        in_folders = sum(by_kind.pop(kind, 0) for kind in FOLDER_KINDS)
        parts = []
        if by_kind:
            kinds = ", ".join(f"{kind} {count}" for kind, count in by_kind.items())
            if len(by_kind) == 1:
                kinds = next(iter(by_kind))
            files = counted(sum(by_kind.values()), "file")
            parts.append(f"{files} of other kinds ({_listed(words)}): {kinds}")
        if in_folders:
            parts.append(f"{counted(in_folders, 'folder')} of systems ({_listed(folders)})")
        return "; ".join(parts)

    def reasons(self) -> Mapping[str, str]:
        """Path to reason of all that is named line by line."""
        return {**self.unreadable, **self.links}


def _listed(words: set[str]) -> str:
    named = [printable(word) for word in sorted(words)]
    more = ["…"] if len(named) > LISTED_SUFFIXES else []
    return ", ".join(named[:LISTED_SUFFIXES] + more)


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
