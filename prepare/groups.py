"""Which photos belong together: equal ones, near copies, and those of one person, burst or video.

A group stays on one side of the split.
"""

import re
from collections.abc import Iterable, Mapping

from artifact.text.names import printable
from artifact.text.numbers import counted
from prepare.convert import Photo
from prepare.scan import PrepareError, Source


class Union:
    """Sets of items that are joined pair by pair (a disjoint-set forest)."""

    def __init__(self) -> None:
        self._parent: dict[object, object] = {}

    def root(self, item: object) -> object:
        """The item that stands for the set which this one is in."""
        root = item
        while (parent := self._parent.get(root, root)) != root:
            root = parent
        while item != root:  # the next search is short
            following = self._parent.get(item, item)
            self._parent[item] = root
            item = following
        return root

    def join(self, one: object, other: object) -> None:
        """Put the sets of both into one."""
        self._parent[self.root(one)] = self.root(other)


def group_names(
    photos: Mapping[Source, Photo],
    near: Iterable[tuple[Source, Source]],
    keys: Mapping[Source, str],
) -> dict[Source, str]:
    """The group of each source, named by the least hash of its photos' pixels.

    near: pairs of near copies. keys: of sources that belong together, such as a person's name.
    """
    union = Union()
    for source, photo in photos.items():
        union.join(source, ("pixels", photo.pixels))
    for source, key in keys.items():
        union.join(source, ("key", key))
    for one, other in near:
        union.join(one, other)
    root_of = {source: union.root(source) for source in photos}
    names: dict[object, str] = {}
    for source, root in root_of.items():
        pixels = photos[source].pixels
        names[root] = min(pixels, names.get(root, pixels))
    return {source: names[root] for source, root in root_of.items()}


def group_keys(pattern: str, sources: Iterable[Source]) -> dict[Source, str]:
    """The key of each source that has one: its group in a list, or what its path has.

    pattern: a regular expression, searched for in a path. The key is what its groups match, or all
    that it matches where it has none; an empty one is none. PrepareError for one that no path has.
    """
    sources = list(sources)
    listed = {source: source.group for source in sources if source.group}
    if listed or not pattern:
        return listed
    compiled = re.compile(pattern)
    keys = {}
    for source in sources:
        match = compiled.search(source.path)
        if match is None:
            continue
        parts = match.groups() or (match[0],)
        if any(parts):
            keys[source] = "\0".join(part or "" for part in parts)
    if not keys:
        raise PrepareError(
            f"--groups: no photo's path has '{pattern}', and no list of labels has a column of "
            "this name (--labels)"
        )
    return keys


def group_warnings(keys: Mapping[Source, str], splits: Mapping[Source, str]) -> list[str]:
    """Sentences on groups that do not do what they are for. keys: of group_keys."""
    if not keys:
        return []
    found = []
    sides: dict[str, set[str]] = {}
    for source, key in keys.items():
        sides.setdefault(key, set()).add(splits[source])
    torn = sorted(source.path for source, key in keys.items() if len(sides[key]) > 1)
    if torn:
        count = sum(len(own) > 1 for own in sides.values())
        found.append(
            f"{counted(count, 'group')} of --groups on several sides, such as that of "
            f"'{printable(torn[0])}': photos that had a side already keep it; prepare into a new "
            "folder without --keep-split, or move them in the source's own split"
        )
    if len(keys) < len(splits):
        found.append(
            f"{len(splits) - len(keys)} of {len(splits)} photos have no group by --groups; each of "
            "them is dealt out by itself"
        )
    elif len(sides) == 1:
        found.append(
            f"--groups puts all {len(splits)} photos into one group, which stays on one side; "
            "parentheses in the pattern take the part that tells groups apart"
        )
    return found
