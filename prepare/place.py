"""Where each photo goes in the destination, and how it gets there, one rename at a time."""

import hashlib
import os
import shutil
import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import Path

from artifact.text.names import is_text
from prepare.scan import Source

LONGEST_NAME = 240  # bytes; file systems take 255
HASH_DIGITS = 8
HALF_PAIRS = 0xDC00  # Python's letter for a byte that is not UTF-8, less the byte
LONGEST_STEM = LONGEST_NAME - 14  # bytes: leaves room for a dash, a hash and the suffix


def output_paths(splits: Mapping[Source, str]) -> dict[Source, str]:
    """split/class/name.jpg for each source.

    Names that would collide, in upper or lower case, get a hash of the source's path.
    """
    taken: set[tuple[str, str]] = set()  # label, name in lower case: macOS ignores case
    paths = {}
    for source in sorted(splits):
        stem = _as_text(os.path.splitext(os.path.basename(source.path))[0])
        short_hash = hashlib.sha256(os.fsencode(source.path)).hexdigest()[:HASH_DIGITS]
        if len(stem.encode()) > LONGEST_STEM:
            stem = f"{_cut(stem)}-{short_hash}"
        name = f"{stem}.jpg"
        if (source.label, name.casefold()) in taken:
            name = f"{stem}-{short_hash}.jpg"
        taken.add((source.label, name.casefold()))
        paths[source] = f"{splits[source]}/{source.label}/{name}"
    return paths


def more_paths(splits: Mapping[Source, str], outputs: Mapping[Source, str]) -> dict[str, str]:
    """A path in each further class of a photo, to the photo's own path in its first class."""
    paths = {}
    for source in sorted(splits):
        stem, suffix = os.path.splitext(os.path.basename(outputs[source]))
        short_hash = hashlib.sha256(os.fsencode(source.path)).hexdigest()[:HASH_DIGITS]
        if not stem.endswith(short_hash):
            stem = f"{stem}-{short_hash}"
        for label in source.also:
            paths[f"{splits[source]}/{label}/{stem}{suffix}"] = outputs[source]
    return paths


def link_all(folder: Path, paths: Mapping[str, str]) -> None:
    """Put each photo that is in its place at its further paths, too, on the same blocks of disk."""
    for path, original in paths.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        try:
            os.link(folder / original, target)
        except OSError:  # a disk without links
            shutil.copyfile(folder / original, target)


def _as_text(stem: str) -> str:
    """A name that UTF-8 can hold, as S3 asks for: other bytes are written as in a URL."""
    return "".join(
        f"%{ord(letter) - HALF_PAIRS:02X}" if not is_text(letter) else letter for letter in stem
    )


def _cut(stem: str) -> str:
    """The start of a name in at most LONGEST_STEM bytes, cut between two characters."""
    # an incomplete character at the end is what "ignore" leaves out
    whole = stem.encode()[:LONGEST_STEM].decode("utf-8", "ignore")
    if unicodedata.combining(stem[len(whole)]):  # its letter would lose an accent
        whole = whole.rstrip("".join(filter(unicodedata.combining, whole)))[:-1]
    return whole.rstrip()


def move_all(moves: Iterable[tuple[Path, Path]], parking: Path) -> None:
    """Rename each file to its place.

    Files that trade places wait in the folder `parking`, on the same disk.
    """
    pending = [(source, target) for source, target in moves if source != target]
    sources = {source for source, _ in pending}
    parked: list[tuple[Path, Path]] = []
    for source, target in pending:
        target.parent.mkdir(parents=True, exist_ok=True)
        if target in sources and target.exists():
            aside = parking / f"moving-{len(parked)}"
            os.replace(source, aside)
            parked.append((aside, target))
        else:
            os.replace(source, target)
    for aside, target in parked:
        os.replace(aside, target)


def remove_stale(folder: Path, earlier: Iterable[str], current: Iterable[str]) -> None:
    """Delete the files of an earlier run that no longer belong, and folders left empty."""
    for name in set(earlier) - set(current):
        path = folder / name
        path.unlink(missing_ok=True)
        for parent in path.parents:
            if parent == folder or not parent.is_dir() or any(parent.iterdir()):
                break
            parent.rmdir()
