"""What a listing of photos passed by: counted by kind, and named where it needs a look."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from artifact.file_kinds import BESIDE_PHOTOS, HIDDEN_FOLDERS, SYSTEM_FOLDERS
from artifact.names import printable
from artifact.page_text import counted

KEPT_PATHS = 1000  # names for a report; the counts go on
FOLDER_KINDS = (SYSTEM_FOLDERS, HIDDEN_FOLDERS)
LISTED_SUFFIXES = 8  # of a sentence


@dataclass
class PassedBy:
    """Files and folders that are no photos, in bounded memory but for `unreadable`.

    kinds: (kind, suffix or name) to count. paths: the first KEPT_PATHS of them, as they came.
    unreadable: photos by their names that cannot be read, such as a link to nothing: path to
    reason. links: folders that are not followed: path to reason.
    """

    kinds: Counter[tuple[str, str]] = field(default_factory=Counter)
    paths: list[str] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)

    def add(self, path: str, kind: str, word: str) -> None:
        """Count one. word: its suffix, or a folder's name."""
        self.kinds[kind, word] += 1
        if len(self.paths) < KEPT_PATHS:
            self.paths.append(path)

    def update(self, other: "PassedBy") -> None:
        """Take over what another listing passed by."""
        self.kinds.update(other.kinds)
        self.paths += other.paths[: KEPT_PATHS - len(self.paths)]
        self.unreadable.update(other.unreadable)
        self.links.update(other.links)

    def __bool__(self) -> bool:
        return bool(self.kinds or self.unreadable or self.links)

    @property
    def count(self) -> int:
        """Files and folders in all."""
        return self.kinds.total() + len(self.unreadable) + len(self.links)

    def lost_photos(self) -> bool:
        """Whether a folder without a photo once had some, rather than texts alone."""
        if self.unreadable:
            return True
        return any(kind not in BESIDE_PHOTOS for kind, _ in self.kinds)

    def by_kind(self) -> dict[str, int]:
        """Kind to count, the most frequent first."""
        counted: Counter[str] = Counter()
        for (kind, _), count in self.kinds.items():
            counted[kind] += count
        return dict(counted.most_common())

    def sentence(self) -> str:
        """Such as `12 files of other kinds (.mov): videos`; "" for nothing."""
        folders = {word for kind, word in self.kinds if kind in FOLDER_KINDS}
        words = {word for kind, word in self.kinds if kind not in FOLDER_KINDS}
        by_kind = self.by_kind()
        in_folders = sum(by_kind.pop(kind, 0) for kind in FOLDER_KINDS)
        parts = []
        if by_kind:
            kinds = ", ".join(f"{kind} {count}" for kind, count in by_kind.items())
            if len(by_kind) == 1:
                kinds = next(iter(by_kind))
            files = counted(sum(by_kind.values()), "file")
            parts.append(f"{files} of other kinds ({_listed(words)}): {kinds}")
        if in_folders:
            parts.append(f"{counted(in_folders, 'folder')} of systems ({_listed(folders)})")
        return "; ".join(parts)

    def reasons(self) -> Mapping[str, str]:
        """Path to reason of all that is named line by line."""
        return {**self.unreadable, **self.links}


def _listed(words: set[str]) -> str:
    named = [printable(word) for word in sorted(words)]
    more = ["…"] if len(named) > LISTED_SUFFIXES else []
    return ", ".join(named[:LISTED_SUFFIXES] + more)
