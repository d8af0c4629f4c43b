"""The numbers of a preparation, for the report and the last line."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prepare.convert import Photo
from prepare.scan import SPLITS, Source

if TYPE_CHECKING:
    from prepare.build import Options


@dataclass(frozen=True)
class Summary:
    """by_class: class to split to count. duplicates: groups of equal photos of one class; conflicts: of several classes.
    leaks: groups that the source folder's own split has on more than one side."""

    classes: tuple[str, ...]
    by_split: dict[str, int]
    by_class: dict[str, dict[str, int]]
    modes: Counter
    formats: Counter
    changes: Counter
    sizes: list[tuple[int, int]]
    duplicates: list[list[str]]
    conflicts: list[list[str]]
    leaks: list[list[str]]
    broken: dict[str, str]
    ignored: list[str]
    presplit: bool
    split: tuple[float, ...]
    seed: int

    @property
    def photos(self) -> int:
        return len(self.sizes)

    @property
    def copies(self) -> int:
        """Photos that are the same as another one."""
        return sum(len(group) - 1 for group in [*self.duplicates, *self.conflicts])

    def counts(self) -> dict[str, int]:
        """The figures of the last line."""
        return {
            "photos": self.photos,
            **self.by_split,
            "broken": len(self.broken),
            "duplicates": self.copies,
        }


def summarise(
    options: "Options",
    photos: Mapping[Source, Photo],
    splits: Mapping[Source, str],
    outputs: Mapping[Source, str],
    broken: Mapping[Source, str],
    ignored: list[str],
) -> Summary:
    """Count what was found and done."""
    classes = tuple(sorted({source.label for source in photos}))
    by_class = {name: dict.fromkeys(SPLITS, 0) for name in classes}
    groups: dict[str, list[Source]] = {}
    for source, photo in photos.items():
        by_class[source.label][splits[source]] += 1
        groups.setdefault(photo.pixels, []).append(source)
    repeated = [group for group in groups.values() if len(group) > 1]
    return Summary(
        classes,
        {split: sum(row[split] for row in by_class.values()) for split in SPLITS},
        by_class,
        Counter(photo.mode for photo in photos.values()),
        Counter(photo.format for photo in photos.values()),
        Counter(change for photo in photos.values() for change in photo.changes),
        [(photo.width, photo.height) for photo in photos.values()],
        [_paths(group) for group in repeated if len({source.label for source in group}) == 1],
        [_paths(group) for group in repeated if len({source.label for source in group}) > 1],
        [_paths(group) for group in repeated if len({splits[source] for source in group}) > 1],
        {source.path: reason for source, reason in sorted(broken.items())},
        ignored,
        any(source.split for source in photos),
        options.split,
        options.seed,
    )


def _paths(group: list[Source]) -> list[str]:
    return [source.path for source in sorted(group)]
