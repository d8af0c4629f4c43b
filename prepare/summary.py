"""The numbers of a preparation, for the report and the last line."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from artifact.folders.photo_tree import PassedBy
from prepare.convert import Photo
from prepare.near_copies import NearCopies
from prepare.options import Options
from prepare.repeated import Repeated, repeated
from prepare.scan import SPLITS, Scan, Source


@dataclass(frozen=True)
class Summary:
    """What was found and done.

    by_class: class to split to count. sizes: width and height of each photo, in pixels.
    repeated: groups of equal photos and of near copies.
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
    repeated: Repeated
    copies: int  # photos that are equal to another one
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
    near: NearCopies | None = None,
) -> Summary:
    """Count what was found and done."""
    by_class = _by_class(splits)
    by_split = Counter(splits.values())
    changes: Counter[str] = Counter()
    for photo in photos.values():
        changes.update(photo.changes)
    presplit = any(source.split for source in photos)
    groups = repeated(photos, splits, near or NearCopies())
    return Summary(
        classes=tuple(by_class),
        by_split={split: by_split[split] for split in SPLITS},
        by_class=by_class,
        modes=Counter(photo.mode for photo in photos.values()),
        formats=Counter(photo.format for photo in photos.values()),
        changes=changes,
        sizes=[(photo.width, photo.height) for photo in photos.values()],
        repeated=groups,
        copies=len(photos) - len({photo.pixels for photo in photos.values()}),
        broken={source.path: reason for source, reason in sorted(broken.items())},
        passed=found.passed,
        said=(*found.said, *groups.said()),
        warnings=(*warnings, *groups.warnings(presplit)),
        presplit=presplit,
        split=options.split,
        seed=options.seed,
    )


def _by_class(splits: Mapping[Source, str]) -> dict[str, dict[str, int]]:
    """Class to split to count, the classes in the order of their labels."""
    by_class: dict[str, dict[str, int]] = {}
    for source, split in splits.items():
        for label in (source.label, *source.also):
            counts = by_class.setdefault(label, dict.fromkeys(SPLITS, 0))
            counts[split] += 1
    return dict(sorted(by_class.items()))
