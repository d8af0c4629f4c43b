"""Photos that are there more than once: equal ones, near copies, and where they contradict."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass

from artifact.text.numbers import counted
from prepare.convert import Photo
from prepare.groups import Union
from prepare.near_copies import NearCopies, NearPair
from prepare.scan import Source

CHAIN = 6  # near copies from which on a group is called a chain

Groups = list[list[str]]  # paths of sources


@dataclass(frozen=True)
class Repeated:
    """Groups of photos.

    duplicates: equal photos of one class. near: near copies of one class, with their equal photos.
    conflicts: equal photos or near copies of several classes. leaks: those on several sides of the
    split. cut: pairs of near copies that were not joined, since their groups were too large.
    """

    duplicates: Groups
    near: Groups
    conflicts: Groups
    leaks: Groups
    cut: Groups

    def as_json(self) -> bytes:
        """All groups as a file for programs."""
        text = json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n"
        return text.encode("utf-8", "surrogateescape")

    def warnings(self, presplit: bool) -> list[str]:
        """Sentences on what a user must see first."""
        sentences = []
        if self.leaks:
            whose = "the source's own split" if presplit else "the split that is kept"
            lie = "lies" if len(self.leaks) == 1 else "lie"
            sentences.append(
                f"{whose} leaks: {counted(len(self.leaks), 'photo')} "
                f"{lie} on several sides as equal or near copies, such as "
                + " and ".join(f"'{path}'" for path in self.leaks[0][:2])
            )
        if self.conflicts:
            count = counted(len(self.conflicts), "photo")
            sentences.append(
                f"{count} in several classes, as equal or near copies, such as "
                + " and ".join(f"'{path}'" for path in self.conflicts[0][:2])
                + "; take those out of the wrong class"
            )
        if self.cut:
            sentences.append(
                f"a chain of near copies was too long for one group and was cut in "
                f"{counted(len(self.cut), 'place')}, such as between "
                + " and ".join(f"'{path}'" for path in self.cut[0])
                + "; give --groups to keep its photos on one side"
            )
        return sentences

    def said(self) -> list[str]:
        """Sentences on near copies that are where they should be."""
        if not self.near:
            return []
        photos = sum(len(group) for group in self.near)
        sentences = [
            f"{counted(len(self.near), 'group')} of near copies, {photos} photos in all; "
            "each group is on one side, and the report shows them"
        ]
        longest = max(self.near, key=len)
        if len(longest) >= CHAIN:
            sentences.append(
                f"the longest is a chain of {len(longest)} photos from '{longest[0]}' on, such as "
                "the frames of one video"
            )
        return sentences


def repeated(
    photos: Mapping[Source, Photo], splits: Mapping[Source, str], near: NearCopies
) -> Repeated:
    """The groups among the photos. splits: the side of each."""
    equal = _joined(photos, [])
    together = _joined(photos, near.pairs)
    pixels = {source: photo.pixels for source, photo in photos.items()}
    alike = [group for group in together if _differs(group, pixels)]
    conflicts = [group for group in together if _contradicts(group)]
    leaks = [group for group in together if _differs(group, splits)]
    return Repeated(
        duplicates=_paths(group for group in equal if not _contradicts(group)),
        near=_paths(group for group in alike if not _contradicts(group)),
        conflicts=_paths(conflicts),
        leaks=_paths(leaks),
        cut=[[one.path, other.path] for one, other in near.cut],
    )


def _joined(photos: Mapping[Source, Photo], pairs: Iterable[NearPair]) -> list[list[Source]]:
    """Groups of more than one photo, of equal pixels or joined by a pair."""
    union = Union()
    for source, photo in photos.items():
        union.join(source, photo.pixels)
    for one, other in pairs:
        union.join(one, other)
    groups: dict[object, list[Source]] = {}
    for source in photos:
        groups.setdefault(union.root(source), []).append(source)
    return [group for group in groups.values() if len(group) > 1]


def _differs(group: list[Source], values: Mapping[Source, object]) -> bool:
    """Whether the photos of a group have more than one of these values."""
    return len({values[source] for source in group}) > 1


def _contradicts(group: list[Source]) -> bool:
    """Whether the photos have no label in common."""
    labels = [{source.label, *source.also} for source in group]
    return not set.intersection(*labels)


def _paths(groups: Iterable[list[Source]]) -> Groups:
    found: Groups = []
    for group in groups:
        found.append([source.path for source in sorted(group)])
    return found
