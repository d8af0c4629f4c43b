"""How a folder of photos is laid out: classes, or parts of a split; the one rule for all programs.

Folders of classes may lie a level or more deeper, alone in their folder, as archives unpack.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from artifact.folders.channels import CHANNEL_NAMES, ROLE_OF, role_in
from artifact.folders.file_kinds import PHOTO_SUFFIXES, kind_of_folder, suffix_of
from artifact.folders.photo_tree import PassedBy, is_folder, photos_below
from artifact.text.names import printable

LEVELS = 4  # that folders of classes may lie deeper
NAMED = 5  # classes in a sentence
BELOW = 20  # folders of a class that are looked at
# Parts of published sets whose photos have no classes.
WITHOUT_LABELS = re.compile(r"pred|unlabel|infer|submission", re.IGNORECASE)


class LayoutError(ValueError):
    """A folder that could mean several things: one sentence for a user."""


@dataclass(frozen=True)
class Layout:
    """Where the folders of classes are.

    parts: role, or "" where the folder is not split, to the folder that holds folders of classes.
    said: a sentence on what was guessed, "" for nothing.
    """

    parts: dict[str, Path]
    said: str = ""

    @property
    def split(self) -> bool:
        """Whether the folder says which photos are for training, validation and testing."""
        return "" not in self.parts


def layout_of(folder: Path) -> Layout:
    """The layout of a folder. LayoutError for one with two meanings, OSError when unreadable."""
    for place in wrappers(folder):
        roles = _split(place)
        if roles:
            said = _said(folder, place, "train, validation and test lie")
            return with_depth(Layout(unwrapped(roles), said))
    classes = _classes_in(folder)
    return with_depth(Layout({"": classes}, _said(folder, classes, "the classes are the folders")))


def class_folders(folder: Path) -> "list[os.DirEntry[str]]":
    """The folders right below a folder, but for those of systems, by name."""
    with os.scandir(folder) as entries:
        found = [entry for entry in entries if is_folder(entry) and not kind_of_folder(entry.name)]
    return sorted(found, key=lambda entry: entry.name)


def with_depth(layout: Layout) -> Layout:
    """The layout, with a sentence on classes whose photos lie in folders of their own.

    LayoutError where these folders are parts of a split.
    """
    deep: list[str] = []
    for place in layout.parts.values():
        for path, below in _deep_classes(place).items():
            _refuse_parts(path, below)
            if path.name not in deep:
                deep.append(path.name)
    if not deep:
        return layout
    names = ", ".join(f"'{printable(name)}'" for name in deep[:NAMED])
    more = f" and {len(deep) - NAMED} more" if len(deep) > NAMED else ""
    said = f"the photos of all folders in {names}{more} are of one class each, named so"
    return Layout(layout.parts, f"{layout.said}; {said}" if layout.said else said)


def _deep_classes(place: Path) -> dict[Path, list[str]]:
    """The classes that hold folders of photos and no photos beside them, with these folders.

    Classes with one such folder each are left out: archives unpack so.
    """
    deep: dict[Path, list[str]] = {}
    level = False
    for entry in class_folders(place):
        folder = Path(entry.path)
        if _has_loose_photos(folder):
            level = True
            continue
        below = _with_photos(folder, most=BELOW)
        if below:
            deep[folder] = below
    return {folder: below for folder, below in deep.items() if level or len(below) > 1}


def _refuse_parts(folder: Path, below: list[str]) -> None:
    """LayoutError where the folders in a class are train/ and other parts of a split."""
    roles = _roles_of(below)
    if "train" in roles.values() and len(set(roles.values())) > 1:
        parts = " and ".join(sorted(roles, key=lambda name: roles[name] != "train"))
        raise LayoutError(
            f"the class '{folder.name}' holds parts of a split ({parts}); the parts stand outside "
            f"and the classes in them, such as '{parts.partition(' ')[0]}/{folder.name}'"
        )


def _said(folder: Path, place: Path, what: str) -> str:
    if place == folder:
        return ""
    return f"{what} in '{printable(place.relative_to(folder))}'"


def wrappers(folder: Path) -> Iterator[Path]:
    """The folder, and each folder that is alone in the one before it."""
    place = folder
    for _ in range(LEVELS):
        yield place
        only = _only_folder(place)
        if only is None:
            return
        place = only


def _classes_in(folder: Path) -> Path:
    """The first folder on this way that holds several classes; the folder itself where none."""
    for place in wrappers(folder):
        if len(_with_photos(place, most=2)) > 1:
            return place
    return folder


def _only_folder(place: Path) -> Path | None:
    """The one folder with photos, if photos lie deeper than right in it; None for several."""
    if _has_loose_photos(place):
        return None
    names = _with_photos(place, most=2)
    if len(names) != 1 or _has_loose_photos(place / names[0]):
        return None
    return place / names[0]


def _with_photos(place: Path, most: int) -> list[str]:
    """Names of folders that hold photos, or held some; texts and annotations do not count."""
    found: list[str] = []
    for entry in class_folders(place):
        if _holds_photos(Path(entry.path)):
            found.append(entry.name)
        if len(found) == most:
            break
    return found


def _holds_photos(folder: Path) -> bool:
    passed = PassedBy()
    for _ in photos_below(folder, passed):
        return True
    return passed.lost_photos()


def _has_loose_photos(folder: Path) -> bool:
    with os.scandir(folder) as entries:
        return any(
            suffix_of(entry.name) in PHOTO_SUFFIXES and not entry.name.startswith(".")
            for entry in entries
            if not is_folder(entry)
        )


def _split(folder: Path) -> dict[str, Path]:
    """Role to folder where a folder holds train/ and other parts rather than classes; else {}."""
    names = [entry.name for entry in class_folders(folder)]
    role_of = _roles_of(names)
    roles = set(role_of.values())
    foreign = [name for name in names if name not in role_of and _is_foreign(folder / name)]
    if "train" not in roles:
        _refuse_without_train(folder, role_of, foreign)
        return {}
    # beside train/ alone, other folders are classes, one of which is called "train"
    if foreign and len(roles) == 1:
        return {}
    if foreign:
        raise LayoutError(
            f"'{folder}' holds parts of a split ({', '.join(role_of)}) beside '{foreign[0]}'; "
            "give a folder of classes, or one of train, validation and test alone"
        )
    found: dict[str, Path] = {}
    for role in CHANNEL_NAMES:
        own = [name for name in names if role_of.get(name) == role]
        if len(own) > 1:
            raise LayoutError(f"'{folder}' holds {' and '.join(own)}, which both mean {role}")
        if own:
            found[role] = folder / own[0]
    return found


def _refuse_without_train(folder: Path, role_of: dict[str, str], foreign: list[str]) -> None:
    """LayoutError for validation/ beside test/ and nothing else: they are no classes."""
    if len(set(role_of.values())) > 1 and not foreign:
        raise LayoutError(
            f"'{folder}' holds parts of a split ({', '.join(role_of)}) and no train; give the "
            "folder that holds train, too, or rename them if they are classes"
        )


def _roles_of(names: list[str]) -> dict[str, str]:
    """Folder to role, of those that are parts of a split."""
    loosely = {name: role for name in names if (role := role_in(name))}
    if "train" in loosely.values() and len(set(loosely.values())) > 1:
        return loosely
    return {name: ROLE_OF[name.lower()] for name in names if name.lower() in ROLE_OF}


def _is_foreign(folder: Path) -> bool:
    """Whether a folder beside parts of a split holds photos that could be those of a class."""
    return not WITHOUT_LABELS.search(folder.name) and _holds_photos(folder)


def unwrapped(roles: dict[str, Path]) -> dict[str, Path]:
    """Each part's folder of classes, where all parts have it deeper: train/Images/<class>."""
    deeper = {role: _classes_in(folder) for role, folder in roles.items()}
    if all(deeper[role] != folder for role, folder in roles.items()):
        return deeper
    return roles
