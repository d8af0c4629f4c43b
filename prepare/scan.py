"""Which files of a folder are photos of which class."""

from dataclasses import dataclass, field
from pathlib import Path

from artifact.folders.channels import CHANNEL_NAMES
from artifact.folders.class_listing import class_listing, pass_by_rest
from artifact.folders.class_names import ClassNameError, check_class_names
from artifact.folders.layout import Layout, LayoutError, layout_of
from artifact.folders.photo_tree import LOOSE, PassedBy

SPLITS = tuple(CHANNEL_NAMES)


class PrepareError(Exception):
    """Why the photos cannot be prepared: one sentence for the user."""


@dataclass(frozen=True, order=True, slots=True)
class Source:
    """A file that should be a photo.

    path: relative to the source folder. split: None where the folder does not say it. also: more
    labels of the same photo, and group: what it has in common with others, which a list may give.
    """

    path: str
    label: str
    split: str | None = None
    also: tuple[str, ...] = ()
    group: str = ""


@dataclass(frozen=True)
class Scan:
    """What a folder holds.

    sources: sorted. passed: all other files. said: sentences on what was guessed of the layout.
    """

    sources: list[Source]
    passed: PassedBy = field(default_factory=PassedBy)
    said: tuple[str, ...] = ()


def scan(folder: Path) -> Scan:
    """The photos below a folder.

    The folder is laid out as <class>/… or as {train,valid,test}/<class>/…. PrepareError without
    any photo, when the layout is ambiguous, for names of classes that look alike, and for a folder
    of a class that has lost all its photos; OSError for a folder that cannot be read.
    """
    if not folder.is_dir():
        what = "is not a folder" if folder.exists() else "does not exist"
        raise PrepareError(f"the source '{folder}' {what}")
    try:
        layout = layout_of(folder)
        sources, passed = _list(folder, layout)
        check_class_names((source.label for source in sources), f"the source '{folder}'")
    except (LayoutError, ClassNameError) as error:
        raise PrepareError(str(error)) from error
    if not sources:
        loose = passed.by_kind().get(LOOSE, 0)
        what = f"holds {loose} photos, but no folders of them" if loose else "holds no photos"
        raise PrepareError(
            f"the source '{folder}' {what}; expected a folder of photos for each class, or a list "
            "of labels (--labels)"
        )
    said = (layout.said,) if layout.said else ()
    return Scan(sorted(sources), passed, said)


def _list(folder: Path, layout: Layout) -> tuple[list[Source], PassedBy]:
    """The photos of each part, and all other files."""
    passed = PassedBy()
    sources: list[Source] = []
    for role, place in layout.parts.items():
        for listed in class_listing(place, folder, passed):
            sources += [Source(path, listed.name, role or None) for path, _ in listed.photos]
    pass_by_rest(folder, list(layout.parts.values()), passed)
    return sources, passed
