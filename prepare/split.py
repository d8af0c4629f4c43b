"""Which photos go into train, validation and test.

Class by class, equal photos together, the same on every machine.
"""

import hashlib
from collections.abc import Mapping, Sequence

from prepare.scan import SPLITS, Source

# the order in which splits get their first photo, where a class has too few for all
SMALLEST_FIRST = ("train", "test", "validation")


def assign(pixels: Mapping[Source, str], shares: Sequence[float], seed: int) -> dict[Source, str]:
    """The split of each source.

    pixels: the hash of each source's decoded pixels. shares: of train, validation and test, sum 1.
    Photos with the same pixels stay together. A split that the source folder gives is kept.
    """
    split_of: dict[str, str] = {}  # by hash
    for hashes in _hashes_by_label(pixels).values():
        hashes.sort(key=lambda group: _place(group, seed))
        start = 0
        for split, count in counts(len(hashes), shares).items():
            split_of |= dict.fromkeys(hashes[start : start + count], split)
            start += count
    return {source: source.split or split_of[group] for source, group in pixels.items()}


def counts(total: int, shares: Sequence[float]) -> dict[str, int]:
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


def _hashes_by_label(pixels: Mapping[Source, str]) -> dict[str, list[str]]:
    """Each hash once, under the label of its first source: a photo of two classes counts once."""
    label_of: dict[str, str] = {}
    for source in sorted(pixels):
        label_of.setdefault(pixels[source], source.label)
    by_label: dict[str, list[str]] = {}
    for group, label in label_of.items():
        by_label.setdefault(label, []).append(group)
    return by_label


def _place(group: str, seed: int) -> bytes:
    """Where a photo stands in its class's order: by chance, but the same on every machine."""
    return hashlib.sha256(f"{seed}/{group}".encode()).digest()
