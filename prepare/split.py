"""Which photos go into train, validation and test.

Class by class, photos of one group together, the same on every machine. Photos that have a place
keep it, and new ones fill the shares. Shares hold within one group.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from prepare.scan import SPLITS, Source

# the order in which splits get their first photo, where a class has too few for all
SMALLEST_FIRST = ("train", "test", "validation")

Counts = dict[str, int]  # of photos, by split


@dataclass
class _Group:
    """Photos that stay together. place: in the order of groups. by_class: photos without a split.

    split: where it goes, once that is known.
    """

    place: bytes
    by_class: Counter[str] = field(default_factory=Counter)
    split: str = ""


def assign(
    groups: Mapping[Source, str],
    shares: Sequence[float],
    seed: int,
    placed: Mapping[Source, str] | None = None,
) -> dict[Source, str]:
    """The split of each source.

    groups: the name of the group that each source belongs to. Names come from the photos' pixels,
    so that the order is the same whatever the files are called. shares: of train, validation and
    test, sum 1. placed: photos that keep their split. A split that the source folder gives is kept,
    too.
    """
    fixed = dict(placed or {})
    fixed |= {source: source.split for source in groups if source.split}
    totals = Counter(source.label for source in groups)
    wanted = {label: counts(total, shares) for label, total in totals.items()}
    missing = _missing(wanted, fixed)
    found = _free_groups(groups, seed, fixed)
    for group in found.values():
        if group.split:
            _take(group, missing)
    free = [group for group in found.values() if not group.split and group.by_class]
    splits = [split for split in SMALLEST_FIRST if shares[SPLITS.index(split)] > 0]
    _spread([group for group in free if len(group.by_class) > 1], splits, missing)
    for label, own in _by_class(group for group in free if len(group.by_class) == 1).items():
        _fill(own, missing[label])
    return {source: fixed.get(source) or found[name].split for source, name in groups.items()}


def counts(total: int, shares: Sequence[float]) -> Counts:
    """How many of `total` photos each split gets; the counts add up to total.

    A split gets its share, rounded, and at least one photo where there are enough.
    """
    wanted = {split: total * share for split, share in zip(SPLITS, shares, strict=True)}
    parts = [split for split in SMALLEST_FIRST if wanted[split] > 0]
    if total <= len(parts):
        return {split: int(split in parts[:total]) for split in SPLITS}
    result = {split: int(wanted[split]) for split in SPLITS}
    for split in parts:
        result[split] = max(1, result[split])
    while sum(result.values()) != total:
        step = 1 if sum(result.values()) < total else -1
        able = [split for split in parts if result[split] + step >= 1]
        # the split whose count lies furthest from its share, on the side of the step
        distances = {split: step * (wanted[split] - result[split]) for split in able}
        furthest = max(able, key=lambda split: distances[split])
        result[furthest] += step
    return result


def _missing(wanted: dict[str, Counts], fixed: Mapping[Source, str]) -> dict[str, Counts]:
    """Class to split to the photos that it lacks; below 0 where it has too many already."""
    missing = {label: dict(row) for label, row in wanted.items()}
    for source, split in fixed.items():
        missing[source.label][split] -= 1
    return missing


def _free_groups(
    groups: Mapping[Source, str], seed: int, fixed: Mapping[Source, str]
) -> dict[str, _Group]:
    """The groups by name. One with a photo that has a split gets that split.

    Where its photos are on several sides already, new ones join those that are trained on: train
    first.
    """
    found: dict[str, _Group] = {}
    for source, name in groups.items():
        group = found.setdefault(name, _Group(_place(name, seed)))
        split = fixed.get(source)
        if split is None:
            group.by_class[source.label] += 1
        elif not group.split or SPLITS.index(split) < SPLITS.index(group.split):
            group.split = split
    return found


def _take(group: _Group, missing: dict[str, Counts]) -> None:
    for label, photos in group.by_class.items():
        missing[label][group.split] -= photos


def _spread(groups: list[_Group], splits: list[str], missing: dict[str, Counts]) -> None:
    """Give each group of several classes to the one of the splits that lacks most of its photos.

    The largest goes first: the small ones even out what it leaves.
    """

    def lack(group: _Group, split: str) -> int:
        return sum(min(photos, missing[label][split]) for label, photos in group.by_class.items())

    for group in sorted(groups, key=lambda group: (-group.by_class.total(), group.place)):
        group.split = max(splits, key=lambda split: lack(group, split))
        _take(group, missing)


def _by_class(groups: Iterable[_Group]) -> dict[str, list[_Group]]:
    """Groups of one class each, by that class."""
    by_class: dict[str, list[_Group]] = {}
    for group in groups:
        (label,) = group.by_class
        by_class.setdefault(label, []).append(group)
    return by_class


def _fill(groups: list[_Group], missing: Counts) -> None:
    """Deal the groups of a class out to the splits that lack photos, in the groups' order.

    The splits' quotas stand side by side on a line, and so do the groups. A group goes to the split
    in whose quota its middle lies: each quota holds within one group.
    """
    groups.sort(key=lambda group: group.place)
    quotas = _quotas(sum(group.by_class.total() for group in groups), missing)
    start = 0
    for group in groups:
        photos = group.by_class.total()
        group.split = _at(start + photos / 2, quotas)
        start += photos
    _give_each_one(groups, quotas)


def _quotas(photos: int, missing: Counts) -> Counts:
    """How many of the new photos each split gets, so that all come nearest to their shares."""
    lacks = {split: max(0, count) for split, count in missing.items()}
    while sum(lacks.values()) > photos:
        # what lies over its share elsewhere is missing here: the largest lack gives way
        lacks[max(SPLITS, key=lambda split: lacks[split])] -= 1
    return lacks


def _at(middle: float, quotas: Counts) -> str:
    """The split in whose quota a point of the line lies."""
    end = 0
    for split in SPLITS:
        end += quotas[split]
        if middle < end:
            return split
    raise AssertionError(f"{middle} lies beyond {end}, the end of the quotas")


def _give_each_one(groups: list[_Group], quotas: Counts) -> None:
    """Let no split with a quota go without photos because large groups lie across it."""
    for split in SPLITS:
        used = Counter(group.split for group in groups)
        if quotas[split] == 0 or used[split]:
            continue
        able = [group for group in groups if used[group.split] > 1]
        if able:
            min(able, key=lambda group: group.by_class.total()).split = split


def _place(name: str, seed: int) -> bytes:
    """Where a group stands in its class's order: by chance, but the same on every machine."""
    return hashlib.sha256(f"{seed}/{name}".encode()).digest()
