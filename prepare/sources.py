"""What SRC is: a folder, an archive, or a list of photos; and where its labels come from."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from artifact.owned_folder import discard_leftovers, owned_folder, release
from artifact.unpack import ArchiveBounds, extract, is_archive
from prepare.label_lists import LIST_SUFFIXES
from prepare.labelled import lists_beside, refuse_other_labels, scan_lists
from prepare.options import Options
from prepare.scan import PrepareError, Scan, scan

GIB = 1 << 30
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
    if source.suffix.lower() in LIST_SUFFIXES:
        yield replace(options, source=source.parent, labels=source)
        return
    if not is_archive(source):
        raise PrepareError(
            f"the source '{source}' is a file, and neither a zip or tar archive of photos "
            f"nor a list of them ({', '.join(LIST_SUFFIXES)})"
        )
    parent = options.destination.parent
    parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{options.destination.name}.source-"
    discard_leftovers(parent, prefix)
    folder = owned_folder(parent, prefix)
    try:
        _unpack(source, folder / "photos")
        yield replace(options, source=folder / "photos")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        release(folder)


def find_photos(options: Options) -> Scan:
    """The photos of the source folder, with labels of its folders or of a list.

    PrepareError as `scan` and `scan_lists` raise it.
    """
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
    return scan_lists(source, lists, groups=options.groups) if lists else found


def _unpack(archive: Path, folder: Path) -> None:
    """Unpack an archive of photos; its files get the archive's time, so that a run knows them."""
    try:
        extract(archive, folder, strict=False, bounds=PHOTO_BOUNDS, zips=True)
    except ValueError as error:
        raise PrepareError(f"'{archive}' cannot be unpacked ({error})") from error
    changed = archive.stat().st_mtime_ns
    for base, _, names in os.walk(folder):
        for name in names:
            os.utime(os.path.join(base, name), ns=(changed, changed))
