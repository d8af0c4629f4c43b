"""A preparation, from the list of sources to the finished folder."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from artifact.model import write_atomically
from prepare.convert import Photo
from prepare.converted import Converted, stamp
from prepare.earlier import earlier_places
from prepare.groups import group_keys, group_names, group_warnings
from prepare.manifests import manifests
from prepare.near_copies import NearCopies, near_copies
from prepare.options import JOIN, Options
from prepare.photo_report import render_report
from prepare.place import link_all, more_paths, move_all, output_paths, remove_stale
from prepare.scan import SPLITS, PrepareError, Source
from prepare.shards import read_shards
from prepare.signature import SIGNATURES_FILE, read_signatures, signatures_file
from prepare.sources import find_photos
from prepare.split import assign
from prepare.state import STAGING_FOLDER, PhotoRecord, PreparationState, Stamp, read_state
from prepare.summary import Summary, summarise
from prepare.trainable import check_trainable, warnings
from prepare.workers import convert_all, staged

REPORT_FILE = "report.html"
COPIES_FILE = "copies.json"
LISTED_BROKEN = 5  # broken photos that an error sentence names


def prepare(options: Options) -> Summary:
    """Make destination hold the prepared photos, manifests and report.

    Until every source is decoded the destination stays as it was, but for its staging folder; from
    then on prepare.json says `running` until all is in place. PrepareError or OSError on failure.
    """
    earlier = read_state(options.destination)
    existed = options.destination.exists()
    staging = options.destination / STAGING_FOLDER
    shutil.rmtree(staging, ignore_errors=True)
    try:
        places = earlier_places(options, earlier)
        if options.step == JOIN:
            converted = read_shards(options.source, staging)
        else:
            converted = _convert_changed(options, earlier, staging)
        check(options, converted)
        photos = converted.photos()
        keys = group_keys(options.groups, photos)
        near = near_copies(photos)
        groups = group_names(photos, near.pairs, keys)
        splits = assign(groups, options.split, options.seed, places.of(photos))
        check_trainable(converted, splits)
    except BaseException:
        shutil.rmtree(staging if existed else options.destination, ignore_errors=True)
        raise
    remarks = [*warnings(converted, splits), *group_warnings(keys, splits)]
    summary = _finish(options, earlier, converted, splits, near, remarks)
    shutil.rmtree(staging)
    return summary


def empty_splits(summary: Summary) -> list[str]:
    """Splits that got no photo at all."""
    return [split for split in SPLITS if not summary.by_split[split]]


def _convert_changed(options: Options, earlier: PreparationState, staging: Path) -> Converted:
    """Decode the sources that are new or changed since the earlier run."""
    found = find_photos(options)
    sources = found.sources
    stamps = {source.path: stamp(options.source / source.path) for source in sources}
    kept: dict[Source, Photo] = {}
    if earlier.complete:
        kept = _unchanged(options, sources, stamps, earlier)
    changed = [source for source in sources if source not in kept]
    new, broken = convert_all(options, changed, staging)
    return Converted(stamps, kept, new, broken, found)


def _unchanged(
    options: Options,
    sources: Sequence[Source],
    stamps: dict[str, Stamp],
    earlier: PreparationState,
) -> dict[Source, Photo]:
    """Sources with the recorded size and time, whose output is there in its size.

    They need not be decoded again.
    """
    signatures = _signatures(options.destination, earlier)
    kept = {}
    for source in sources:
        known = earlier.photos.get(source.path)
        signature = signatures.get(source.path)
        if known is None or signature is None or known["stamp"] != stamps[source.path]:
            continue
        output = options.destination / known["output"]
        if output.is_file() and output.stat().st_size == known["photo"]["bytes"]:
            kept[source] = Photo.from_dict(known["photo"], signature)
    return kept


def _signatures(folder: Path, earlier: PreparationState) -> dict[str, bytes]:
    """The signature of each photo of the earlier run, by its source; none where they are lost."""
    try:
        rows = read_signatures(folder / SIGNATURES_FILE)
    except (OSError, ValueError):
        return {}
    if len(rows) != len(earlier.photos):
        return {}
    return {path: row.tobytes() for path, row in zip(earlier.photos, rows, strict=True)}


def check(options: Options, converted: Converted) -> None:
    """PrepareError when broken photos must end the run, or when no photo is left."""
    broken = {source.path: reason for source, reason in converted.broken.items()}
    broken |= converted.found.passed.unreadable
    if broken and options.on_bad == "fail":
        first = sorted(broken.items())[:LISTED_BROKEN]
        listed = "; ".join(f"'{path}': {reason}" for path, reason in first)
        raise PrepareError(f"{len(broken)} broken photos (--on-bad skip leaves them out): {listed}")
    if not converted.kept and not converted.new:
        raise PrepareError(
            f"none of the {len(converted.found.sources)} files under '{options.source}' "
            "is a photo that can be read"
        )


def _finish(
    options: Options,
    earlier: PreparationState,
    converted: Converted,
    splits: Mapping[Source, str],
    near: NearCopies,
    remarks: Sequence[str],
) -> Summary:
    """Move each photo to its place, and write the lists, the report and the state."""
    folder = options.destination
    staging = folder / STAGING_FOLDER
    photos = converted.photos()
    outputs = output_paths(splits)
    more = more_paths(splits, outputs)
    summary = summarise(options, photos, splits, converted.broken, converted.found, remarks, near)
    files = _lists(photos, summary)
    files |= manifests(photos, splits, outputs, summary.classes, options.s3_uri)
    current = sorted([*outputs.values(), *more, *files, REPORT_FILE])
    # Names every file that may be there from now on, so that a run after a kill can remove them.
    PreparationState(
        options=options.recorded(),
        photos=earlier.photos,
        outputs=sorted({*earlier.outputs, *current}),
    ).write(folder)
    move_all(_moves(folder, earlier, converted, outputs), staging)
    link_all(folder, more)
    files[REPORT_FILE] = render_report(summary, folder, outputs, photos, options.source)
    for name, data in files.items():
        _write_changed(folder / name, data, staging)
    remove_stale(folder, earlier.outputs, current)
    PreparationState(
        complete=True,
        options=options.recorded(),
        counts=summary.counts(),
        photos=_records(converted, outputs),
        outputs=current,
        broken=summary.broken,
        ignored=summary.ignored,
    ).write(folder)
    return summary


def _lists(photos: Mapping[Source, Photo], summary: Summary) -> dict[str, bytes]:
    """What is known of copies, by the files' names."""
    return {
        SIGNATURES_FILE: signatures_file(photo.signature for photo in photos.values()),
        COPIES_FILE: summary.repeated.as_json(),
    }


def _moves(
    folder: Path, earlier: PreparationState, converted: Converted, outputs: dict[Source, str]
) -> list[tuple[Path, Path]]:
    """From where to where each photo goes: kept ones may change their split or their name."""
    moves = []
    for source in converted.kept:
        moves.append((folder / earlier.photos[source.path]["output"], folder / outputs[source]))
    for source in converted.new:
        moves.append((staged(folder / STAGING_FOLDER, source), folder / outputs[source]))
    return moves


def _write_changed(path: Path, data: bytes, staging: Path) -> None:
    """Write the file, but keep it with its time where it holds the same bytes already."""
    if not path.is_file() or path.read_bytes() != data:
        write_atomically(path, data, staging)


def _records(converted: Converted, outputs: dict[Source, str]) -> dict[str, PhotoRecord]:
    return {
        source.path: {
            "stamp": converted.stamps[source.path],
            "output": outputs[source],
            "photo": photo.as_dict(),
        }
        for source, photo in converted.photos().items()
    }
