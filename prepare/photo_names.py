"""Finds the photo that a list means: by a path, an S3 URI, a name without its suffix."""

import os
import re
from collections.abc import Iterable
from urllib.parse import unquote

from artifact.folders.file_kinds import PHOTO_SUFFIXES, suffix_of


class PhotoNames:
    """The paths of the photos of a folder, by what a list may call them."""

    def __init__(self, paths: Iterable[str]):
        self._by_name: dict[str, str | list[str]] = {}
        self._by_stem: dict[str, str | list[str]] = {}
        for path in paths:
            name = os.path.basename(path).casefold()
            _add(self._by_name, name, path)
            _add(self._by_stem, _stem(name), path)

    def __contains__(self, text: str) -> bool:
        return bool(self.find(text))

    def find(self, text: str, beside: str = "") -> list[str]:
        """The photos that a text may mean: those whose paths have most of its end in common.

        A name without a suffix, or with one that no photo here has, means a photo of any suffix.
        Case counts between names that differ in it alone. beside: the folder of the list, which
        tells photos of one name apart.
        """
        parts = _parts(text)
        if not parts:
            return []
        parts = [*filter(None, beside.split("/")), *parts]
        name = parts[-1].casefold()
        found = self._by_name.get(name)
        if found is None:
            is_named = suffix_of(name) in PHOTO_SUFFIXES
            found = self._by_stem.get(_stem(name) if is_named else name)
            parts[-1] = ""  # the suffix is not known: any fits
        if found is None:
            return []
        if isinstance(found, str):
            return [found]
        same_case = [path for path in found if os.path.basename(path) == parts[-1]]
        scores = {path: _equal_end(parts, path.split("/")) for path in same_case or found}
        best = max(scores.values())
        return [path for path, score in scores.items() if score == best]


def _parts(text: str) -> list[str]:
    """Folders and name of a path; of an address without its query."""
    if "://" in text and not text.startswith("s3:"):
        text = unquote(re.split(r"[?#]", text, maxsplit=1)[0])
    return [part for part in text.replace("\\", "/").split("/") if part not in ("", ".")]


def _stem(name: str) -> str:
    suffix = suffix_of(name)
    return name[: len(name) - len(suffix)]


def _add(index: dict[str, str | list[str]], name: str, path: str) -> None:
    there = index.get(name)
    if there is None:  # most names are there once: no list for each of a million
        index[name] = path
    elif isinstance(there, str):
        index[name] = [there, path]
    else:
        there.append(path)


def _equal_end(wanted: list[str], parts: list[str]) -> int:
    """How many folders above the name are equal, from the name upwards."""
    count = 0
    for one, other in zip(reversed(wanted[:-1]), reversed(parts[:-1]), strict=False):
        if one != other:
            break
        count += 1
    return count
