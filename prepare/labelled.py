"""Photos whose classes a list has, rather than folders: images/ and labels.csv, and manifests."""

import itertools
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from artifact.folders.channels import ROLE_OF
from artifact.folders.class_names import ClassNameError, check_class_names
from artifact.folders.file_kinds import NO_SUFFIX, suffix_of
from artifact.folders.layout import class_folders, wrappers
from artifact.folders.photo_tree import PassedBy, photos_below
from artifact.text.names import printable
from prepare.label_columns import SAMPLED, Columns, guess
from prepare.label_lists import (
    LIST_SUFFIXES,
    OTHER_SUFFIXES,
    ListError,
    NumberedRow,
    Row,
    as_text,
    rows_of,
)
from prepare.photo_names import PhotoNames
from prepare.row_labels import labels_in
from prepare.scan import PrepareError, Scan, Source

LISTED_FOLDERS = 3  # train/, validation/ and test/ of photos with a list in each
UNLISTED = "photos that the list does not name"
SUBMISSION = "submission"  # of Kaggle: an example of an answer, with made-up labels


@dataclass
class _Labelled:
    """Photos with their labels so far. split: None where the list does not say it."""

    labels: dict[str, list[str]] = field(default_factory=dict)
    split: dict[str, str] = field(default_factory=dict)
    group: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)  # line to reason


@dataclass(frozen=True)
class _Place:
    """A list's folder, relative to that of the photos, and the part of the split it is for."""

    folder: str
    role: str | None


def scan_lists(
    folder: Path, lists: Sequence[Path], destination: Path | None = None, groups: str = ""
) -> Scan:
    """The photos below a folder that lists name, with the lists' labels.

    destination: the photos there are not the folder's. groups: the name of a column, if the lists
    have it, whose values say which photos belong together. PrepareError for a list whose columns
    cannot be guessed, and without any photo; a row that fails is in the scan's `unreadable`.
    """
    passed, paths = _photos(folder, destination)
    photos = PhotoNames(paths)
    found = _Labelled()
    said = []
    # train.csv alone names all that has a label: nothing is held out by it
    is_split = len({_role(path) for path in lists}) > 1
    for path in lists:
        columns = _columns(path, photos, groups)
        said.append(f"the columns of '{path.name}': {columns.words()}")
        place = _Place(_relative(path.parent, folder), _role(path) if is_split else None)
        for number, row in rows_of(path, photos.__contains__):
            _take(found, f"{path.name}, line {number}", row, columns, photos, place)
    if not found.labels:
        why = next(iter(found.failed.items()), ("", "it has no rows"))
        raise PrepareError(f"no photo has a label in '{lists[0]}' ({': '.join(filter(None, why))})")
    _check_names(found, lists[0])
    _count(found, paths, passed, said)
    sources = []
    for photo, (label, *also) in found.labels.items():
        group = found.group.get(photo, "")
        sources.append(Source(photo, label, found.split.get(photo), tuple(also), group))
    return Scan(sorted(sources), passed, tuple(said))


def lists_beside(folder: Path, destination: Path | None = None) -> list[Path]:
    """The lists in a folder that label the photos below it: one, or one for each part of a split.

    [] where none does. PrepareError where several could.
    """
    candidates = _candidates(folder)
    if not candidates:
        return []
    photos = PhotoNames(_photos(folder, destination)[1])
    fitting = [path for path in candidates if isinstance(_guess(path, photos), Columns)]
    parts = [path for path in fitting if _role(path)]
    if len(parts) > 1 and len({_role(path) for path in parts}) == len(parts):
        return parts
    fitting = [path for path in fitting if SUBMISSION not in path.stem.lower()] or fitting
    named = [path for path in fitting if path.stem.lower() in ("labels", "annotations")]
    if len(named) == 1:
        return named
    if len(fitting) > 1:
        listed = ", ".join(path.name for path in fitting)
        raise PrepareError(f"several lists could hold the labels ({listed}); give one by --labels")
    return fitting


def refuse_unread_lists(folder: Path, found: Scan) -> None:
    """PrepareError where all photos are of one class, and a list beside them is of no use."""
    candidates = _candidates(folder)
    classes = {source.label for source in found.sources}
    if not candidates or len(classes) != 1:
        return
    path = candidates[0]
    why = _guess(path, PhotoNames(source.path for source in found.sources))
    if isinstance(why, str):
        raise PrepareError(
            f"there is one class only by the folders ('{printable(*classes)}'), and the list "
            f"'{path.name}' gives no others: {why}"
        )


def refuse_other_labels(folder: Path, found: Scan) -> None:
    """PrepareError where a list says labels beside folders that say others: part_1/ and part_2/.

    found: the photos with their folders as classes.
    """
    try:
        lists = lists_beside(folder)
        listed = scan_lists(folder, lists) if lists else Scan([])
    except PrepareError:
        return  # nobody asked for these lists
    by_folder = {source.path: source.label for source in found.sources}
    for source in listed.sources:
        own = by_folder.get(source.path, source.label)
        if own not in (source.label, *source.also) and lists[0].stem.lower() not in ROLE_OF:
            raise PrepareError(
                f"'{source.path}' is of class '{own}' by its folder, and of class "
                f"'{source.label}' in '{lists[0].name}'; give --labels '{lists[0]}' to take the "
                "list, or move the list away to take the folders"
            )


def _candidates(folder: Path) -> list[Path]:
    """Lists in the folder, or else in the one folder in it; or else right beside the photos."""
    places = list(wrappers(folder))
    inner = [Path(entry.path) for entry in class_folders(places[-1])]
    levels = [*([place] for place in places), inner[:LISTED_FOLDERS]]
    for suffixes in (LIST_SUFFIXES, OTHER_SUFFIXES):
        for level in levels:
            files = chain.from_iterable(sorted(place.iterdir()) for place in level)
            found = [path for path in files if path.suffix.lower() in suffixes]
            found = [path for path in found if path.is_file() and not path.name.startswith(".")]
            if found:
                return found
    return []


def _photos(folder: Path, destination: Path | None) -> tuple[PassedBy, list[str]]:
    """What is passed by below a folder, and the paths of its photos."""
    passed = PassedBy()
    own = ""
    if destination and destination.is_relative_to(folder):
        own = f"{destination.relative_to(folder)}/"
    found = photos_below(folder, passed)
    return passed, [path for path, _ in found if not own or not path.startswith(own)]


def _relative(place: Path, folder: Path) -> str:
    relative = os.path.relpath(place, folder)
    return "" if relative == "." else relative


def _role(path: Path) -> str | None:
    """The part of a split whose list it is: train.csv, or train/metadata.csv."""
    return ROLE_OF.get(path.stem.lower()) or ROLE_OF.get(path.parent.name.lower())


def _guess(path: Path, photos: PhotoNames, groups: str = "") -> Columns | str:
    rows: Iterator[NumberedRow] = rows_of(path, photos.__contains__)
    try:
        head = [row for _, row in itertools.islice(rows, SAMPLED)]
    except PrepareError as error:
        return str(error)
    return guess([row for row in head if not isinstance(row, ListError)], photos, groups)


def _columns(path: Path, photos: PhotoNames, groups: str) -> Columns:
    found = _guess(path, photos, groups)
    if isinstance(found, str):
        raise PrepareError(f"the labels cannot be read from '{path}': {found}")
    return found


def _take(
    found: _Labelled,
    line: str,
    row: Row | ListError,
    columns: Columns,
    photos: PhotoNames,
    place: "_Place",
) -> None:
    """Put one row's labels to its photo, or its reason to those that failed."""
    if isinstance(row, ListError):
        found.failed[line] = row.reason
        return
    text = as_text(row.get(columns.photo, ""))
    fitting = photos.find(text, place.folder)
    if len(fitting) != 1:
        what = "is not there" if not fitting else f"could be {len(fitting)} files"
        found.failed[line] = f"its photo '{text}' {what}"
        return
    labels = labels_in(row, columns)
    if isinstance(labels, ListError):
        found.failed[line] = labels.reason
        return
    own = found.labels.setdefault(fitting[0], [])
    own += [label for label in labels if label not in own]
    split = place.role or ROLE_OF.get(_cell(row, columns.split).lower())
    if split:
        found.split[fitting[0]] = split
    group = _cell(row, columns.groups).strip()
    if group:
        found.group.setdefault(fitting[0], group)


def _cell(row: Row, column: str) -> str:
    """The text in a column; "" where the list has no such column, whose name is "" then."""
    return as_text(row.get(column, "")) if column else ""


def _check_names(found: _Labelled, path: Path) -> None:
    try:
        check_class_names(chain.from_iterable(found.labels.values()), f"the list '{path}'")
    except ClassNameError as error:
        raise PrepareError(str(error)) from error


def _count(found: _Labelled, paths: list[str], passed: PassedBy, said: list[str]) -> None:
    """Count the photos without a row, and tell of those with several labels."""
    for path in paths:
        if path not in found.labels:
            passed.add(path, UNLISTED, suffix_of(path) or NO_SUFFIX)
    passed.unreadable.update(found.failed)
    several = {photo: labels for photo, labels in found.labels.items() if len(labels) > 1}
    if several:
        photo, labels = min(several.items())
        said.append(
            f"{len(several)} of {len(found.labels)} photos have several labels, such as "
            f"'{printable(photo)}' ({printable(', '.join(labels))}); train with multi_label=1, "
            "or mend the list where a photo has one"
        )
