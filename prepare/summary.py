"""The numbers of a preparation, for the report and the last line."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from artifact.passed_by import PassedBy
from prepare.convert import Photo
from prepare.options import Options
from prepare.scan import SPLITS, Scan, Source


@dataclass(frozen=True)
class Summary:
    """What was found and done.

    by_class: class to split to count. sizes: width and height of each photo, in pixels.
    duplicates: groups of equal photos of one class; conflicts: of several classes.
    leaks: groups that the source folder's own split has on more than one side.
    passed: all files that are no photos; ignored: the paths of some of them. said: what was guessed
    of the source's layout. warnings: sentences that a user must see first.
    """

    classes: tuple[str, ...]
    by_split: dict[str, int]
    by_class: dict[str, dict[str, int]]
    modes: Counter[str]
    formats: Counter[str]
    changes: Counter[str]
    sizes: list[tuple[int, int]]
    duplicates: list[list[str]]
    conflicts: list[list[str]]
    leaks: list[list[str]]
    broken: dict[str, str]
    passed: PassedBy
    said: tuple[str, ...]
    warnings: tuple[str, ...]
    presplit: bool
    split: tuple[float, ...]
    seed: int

    @property
    def photos(self) -> int:
        """The number of good photos."""
        return len(self.sizes)

    @property
    def ignored(self) -> list[str]:
        """Paths of files that are no photos, as many as are kept."""
        return sorted([*self.passed.paths, *self.passed.reasons()])

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
    options: Options,
    photos: Mapping[Source, Photo],
    splits: Mapping[Source, str],
    broken: Mapping[Source, str],
    found: Scan,
    warnings: Sequence[str] = (),
) -> Summary:
    """Count what was found and done."""
    by_class = _by_class(splits)
    by_split = Counter(splits.values())
    changes: Counter[str] = Counter()
    for photo in photos.values():
        changes.update(photo.changes)
    repeated = _repeated(photos)
    duplicates = [group for group in repeated if len(_labels(group)) == 1]
    conflicts = [group for group in repeated if len(_labels(group)) > 1]
    leaks = [group for group in repeated if len(_sides(group, splits)) > 1]
    return Summary(
        classes=tuple(by_class),
        by_split={split: by_split[split] for split in SPLITS},
        by_class=by_class,
        modes=Counter(photo.mode for photo in photos.values()),
        formats=Counter(photo.format for photo in photos.values()),
        changes=changes,
        sizes=[(photo.width, photo.height) for photo in photos.values()],
        duplicates=[_paths(group) for group in duplicates],
        conflicts=[_paths(group) for group in conflicts],
        leaks=[_paths(group) for group in leaks],
        broken={source.path: reason for source, reason in sorted(broken.items())},
        passed=found.passed,
        said=found.said,
        warnings=tuple(warnings),
        presplit=any(source.split for source in photos),
        split=options.split,
        seed=options.seed,
    )


def _by_class(splits: Mapping[Source, str]) -> dict[str, dict[str, int]]:
    """Class to split to count, the classes in the order of their labels."""
    classes = sorted({label for source in splits for label in (source.label, *source.also)})
    by_class = {name: dict.fromkeys(SPLITS, 0) for name in classes}
    for source, split in splits.items():
        for label in (source.label, *source.also):
            by_class[label][split] += 1
    return by_class


def _repeated(photos: Mapping[Source, Photo]) -> list[list[Source]]:
    """Groups of sources with the same pixels."""
    groups: dict[str, list[Source]] = {}
    for source, photo in photos.items():
        groups.setdefault(photo.pixels, []).append(source)
    return [group for group in groups.values() if len(group) > 1]


def _labels(group: list[Source]) -> set[str]:
    return {source.label for source in group}


def _sides(group: list[Source], splits: Mapping[Source, str]) -> set[str]:
    return {splits[source] for source in group}


def _paths(group: list[Source]) -> list[str]:
    return [source.path for source in sorted(group)]
