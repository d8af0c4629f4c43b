"""What SRC is: a folder, an archive, or a list of photos; and where its labels come from."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from artifact.archives.owned_folder import discard_leftovers, owned_folder, release
from artifact.archives.unpack import ArchiveBounds, extract_photos, is_archive
from artifact.folders.file_kinds import PHOTO_SUFFIXES, suffix_of
from prepare.label_lists import LIST_SUFFIXES, OTHER_SUFFIXES
from prepare.labelled import (
    lists_beside,
    refuse_other_labels,
    refuse_unread_lists,
    scan_lists,
)
from prepare.options import Options
from prepare.scan import PrepareError, Scan, scan

GIB = 1 << 30
OTHER_ARCHIVES = {
    b"(\xb5/\xfd": "compressed by Zstandard",
    b"7z\xbc\xaf'\x1c": "a 7-Zip archive",
    b"Rar!\x1a\x07": "a RAR archive",
}
PHOTO_BOUNDS = ArchiveBounds(members=2_000_000, levels=32, size=2048 * GIB)


@contextlib.contextmanager
def opened(options: Options) -> Iterator[Options]:
    """The options with a folder as source, for as long as it is there.

    An archive is unpacked beside the destination. A list becomes `labels`, beside its photos.
    PrepareError for an archive that cannot be unpacked, and for a file of another kind.
    """
    source = options.source
    if not source.is_file():
        yield options
        return
    if source.suffix.lower() in (*LIST_SUFFIXES, *OTHER_SUFFIXES):
        yield replace(options, source=source.parent, labels=source)
        return
    _check_archive(source)
    parent = options.destination.parent
    parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{options.destination.name}.source-"
    discard_leftovers(parent, prefix)
    folder = owned_folder(parent, prefix)
    try:
        left_out = _unpack(source, folder / "photos")
        yield replace(options, source=folder / "photos", left_out=left_out)
    except PrepareError as error:
        inner = next((path.name for path in folder.rglob("*") if _is_inner(path)), "")
        more = f"; it holds an archive ('{inner}'), which is to be unpacked first" if inner else ""
        unpacked = str(error).replace(str(folder / "photos"), str(source))
        raise PrepareError(f"{unpacked}{more}") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        release(folder)


def _is_inner(path: Path) -> bool:
    return path.is_file() and is_archive(path)


def find_photos(options: Options) -> Scan:
    """The photos of the source folder, with labels of its folders or of a list.

    PrepareError as `scan` and `scan_lists` raise it.
    """
    found = _find_photos(options)
    for path, reason in options.left_out.items():
        is_photo = suffix_of(path) in PHOTO_SUFFIXES
        named = found.passed.unreadable if is_photo else found.passed.links
        named[path] = reason
    return found


def _find_photos(options: Options) -> Scan:
    source = options.source
    if options.labels:
        return scan_lists(source, [options.labels], options.destination, options.groups)
    try:
        found = scan(source)
    except PrepareError:
        lists = lists_beside(source) if source.is_dir() else []
        if not lists:
            raise
        return scan_lists(source, lists, groups=options.groups)
    if len({photo.label for photo in found.sources}) > 1:
        refuse_other_labels(source, found)
        return found
    lists = lists_beside(source)
    if lists:
        return scan_lists(source, lists, groups=options.groups)
    refuse_unread_lists(source, found)
    return found


def _check_archive(source: Path) -> None:
    """PrepareError for a file that is no archive, and for one of a kind that is not read."""
    with source.open("rb") as file:
        start = file.read(16)
    for mark, name in OTHER_ARCHIVES.items():
        if start.startswith(mark):
            raise PrepareError(f"'{source}' is {name}; unpack it, and give the folder")
    if not is_archive(source):
        raise PrepareError(
            f"the source '{source}' is a file, and neither a zip or tar archive of photos "
            f"nor a list of them ({', '.join(LIST_SUFFIXES)})"
        )


def _unpack(archive: Path, folder: Path) -> dict[str, str]:
    """Unpack an archive of photos; its files get the archive's time, so that a run knows them.

    The result: what is left out of it, with reasons.
    """
    try:
        left_out = extract_photos(archive, folder, PHOTO_BOUNDS)
    except ValueError as error:
        raise PrepareError(f"'{archive}' cannot be unpacked ({error})") from error
    changed = archive.stat().st_mtime_ns
    for base, _, names in os.walk(folder):
        for name in names:
            os.utime(os.path.join(base, name), ns=(changed, changed))
    return left_out
