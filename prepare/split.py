"""Who goes into train, validation and test: by class, duplicates together, the same on every machine."""

import hashlib
from collections.abc import Mapping, Sequence

from prepare.scan import SPLITS, Source

SMALLEST_FIRST = (
    "train",
    "test",
    "validation",
)  # who gets a photo first where a class has too few for all


def assign(pixels: Mapping[Source, str], shares: Sequence[float], seed: int) -> dict[Source, str]:
    """The split of each source. pixels: the hash of its decoded pixels; shares: of train, validation and test, sum 1.

    Photos with the same pixels stay together. Where the source folder gives a split, that is kept.
    """
    first_label: dict[str, str] = {}
    for source in sorted(pixels):
        first_label.setdefault(pixels[source], source.label)
    split_of: dict[str, str] = {}
    for label in sorted(set(first_label.values())):
        groups = sorted(
            (group for group, owner in first_label.items() if owner == label),
            key=lambda group: hashlib.sha256(f"{seed}/{group}".encode()).digest(),
        )
        start = 0
        for split, count in counts(len(groups), shares).items():
            split_of |= dict.fromkeys(groups[start : start + count], split)
            start += count
    return {source: source.split or split_of[group] for source, group in pixels.items()}


def counts(total: int, shares: Sequence[float]) -> dict[str, int]:
    """How many of `total` each split gets: its share, at least one where there are enough; they add up to total."""
    wanted = dict(zip(SPLITS, shares))
    parts = [split for split in SMALLEST_FIRST if wanted[split] > 0]
    if total <= len(parts):
        return {split: int(split in parts[:total]) for split in SPLITS}
    result = {split: max(int(split in parts), int(total * wanted[split])) for split in SPLITS}
    while sum(result.values()) != total:
        step = 1 if sum(result.values()) < total else -1
        able = [split for split in parts if result[split] + step >= 1]
        furthest = max(able, key=lambda split: step * (total * wanted[split] - result[split]))
        result[furthest] += step
    return result
