"""A preparation, from the list of sources to the finished folder."""

import hashlib
import multiprocessing
import os
import shutil
import signal
import threading
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from artifact.model import write_atomically
from prepare.convert import Photo, convert
from prepare.manifests import manifests
from prepare.options import Options
from prepare.photo_report import render_report
from prepare.place import move_all, output_paths, remove_stale
from prepare.progress import progress
from prepare.scan import SPLITS, PrepareError, Scan, Source, scan
from prepare.split import assign
from prepare.state import STAGING_FOLDER, PhotoRecord, PreparationState, Stamp, read_state
from prepare.summary import Summary, summarise

REPORT_FILE = "report.html"
LISTED_BROKEN = 5  # broken photos that an error sentence names
CHUNK = 8  # photos per task of a worker: fewer messages between processes


@dataclass(frozen=True)
class Converted:
    """What became of each source, before anything in the destination has changed."""

    stamps: dict[str, Stamp]  # of each source path
    kept: dict[Source, Photo]  # the output of the earlier run is still right
    new: dict[Source, Photo]  # written to the staging folder
    broken: dict[Source, str]  # the reason, a sentence

    def photos(self) -> dict[Source, Photo]:
        """All good photos, in the order of their paths."""
        return dict(sorted({**self.kept, **self.new}.items()))


def prepare(options: Options) -> Summary:
    """Make destination hold the prepared photos, manifests and report.

    Until every source is decoded the destination stays as it was, but for its staging folder; from
    then on prepare.json says `running` until all is in place. PrepareError or OSError on failure.
    """
    found = scan(options.source)
    sources = found.sources
    earlier = read_state(options.destination)
    existed = options.destination.exists()
    staging = options.destination / STAGING_FOLDER
    shutil.rmtree(staging, ignore_errors=True)
    try:
        converted = _convert_changed(options, sources, earlier, staging)
        _check(options, found, converted)
    except BaseException:
        shutil.rmtree(staging if existed else options.destination, ignore_errors=True)
        raise
    return _finish(options, earlier, converted, found)


def empty_splits(summary: Summary) -> list[str]:
    """Splits that got no photo at all."""
    return [split for split in SPLITS if not summary.by_split[split]]


def _convert_changed(
    options: Options, sources: Sequence[Source], earlier: PreparationState, staging: Path
) -> Converted:
    """Decode the sources that are new or changed since the earlier run."""
    stamps = {source.path: _stamp(options.source / source.path) for source in sources}
    kept: dict[Source, Photo] = {}
    if earlier.complete:
        kept = _unchanged(options, sources, stamps, earlier)
    changed = [source for source in sources if source not in kept]
    new, broken = _convert_all(options, changed, staging)
    return Converted(stamps, kept, new, broken)


def _unchanged(
    options: Options,
    sources: Sequence[Source],
    stamps: dict[str, Stamp],
    earlier: PreparationState,
) -> dict[Source, Photo]:
    """Sources with the recorded size and time, whose output is there in its size.

    They need not be decoded again.
    """
    kept = {}
    for source in sources:
        known = earlier.photos.get(source.path)
        if known is None or known["stamp"] != stamps[source.path]:
            continue
        output = options.destination / known["output"]
        if output.is_file() and output.stat().st_size == known["photo"]["bytes"]:
            kept[source] = Photo.from_dict(known["photo"])
    return kept


def _convert_all(
    options: Options, sources: Sequence[Source], staging: Path
) -> tuple[dict[Source, Photo], dict[Source, str]]:
    """Decode every source into the staging folder, in `workers` processes: photos, and reasons."""
    staging.mkdir(parents=True)
    photos: dict[Source, Photo] = {}
    broken: dict[Source, str] = {}
    pool = ProcessPoolExecutor(options.workers, initializer=_exit_with_parent)
    try:
        results = pool.map(
            convert,
            [options.source / source.path for source in sources],
            [_staged(staging, source) for source in sources],
            chunksize=CHUNK,
        )
        shown = progress(results, "converting", len(sources))
        for source, result in zip(sources, shown, strict=True):
            if isinstance(result, Photo):
                photos[source] = result
            else:
                broken[source] = result
    finally:
        # an interrupted run must not work through the rest first
        pool.shutdown(cancel_futures=True)
    return photos, broken


def _exit_with_parent() -> None:
    """Let this worker end when its parent was killed: else it would wait for work for ever.

    The parent is asked for, not os.getppid(): that is the fork server's since Python 3.14.
    """
    parent = multiprocessing.parent_process()
    assert parent is not None, "the pool runs it in a worker"
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C for all

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _check(options: Options, found: Scan, converted: Converted) -> None:
    """PrepareError when broken photos must end the run, or when no photo is left."""
    broken = {source.path: reason for source, reason in converted.broken.items()}
    broken |= found.passed.unreadable
    if broken and options.on_bad == "fail":
        first = sorted(broken.items())[:LISTED_BROKEN]
        listed = "; ".join(f"'{path}': {reason}" for path, reason in first)
        raise PrepareError(f"{len(broken)} broken photos (--on-bad skip leaves them out): {listed}")
    if not converted.kept and not converted.new:
        raise PrepareError(
            f"none of the {len(found.sources)} files under '{options.source}' "
            "is a photo that can be read"
        )


def _finish(
    options: Options, earlier: PreparationState, converted: Converted, found: Scan
) -> Summary:
    """Split the photos, move each to its place, and write the lists, the report and the state."""
    folder = options.destination
    staging = folder / STAGING_FOLDER
    photos = converted.photos()
    pixels = {source: photo.pixels for source, photo in photos.items()}
    splits = assign(pixels, options.split, options.seed)
    outputs = output_paths(splits)
    summary = summarise(options, photos, splits, converted.broken, found)
    files = manifests(photos, splits, outputs, summary.classes, options.s3_uri)
    current = sorted([*outputs.values(), *files, REPORT_FILE])
    # Names every file that may be there from now on, so that a run after a kill can remove them.
    PreparationState(
        options=options.recorded(),
        photos=earlier.photos,
        outputs=sorted({*earlier.outputs, *current}),
    ).write(folder)
    move_all(_moves(folder, earlier, converted, outputs), staging)
    files[REPORT_FILE] = render_report(summary, folder, outputs)
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
    shutil.rmtree(staging)
    return summary


def _moves(
    folder: Path, earlier: PreparationState, converted: Converted, outputs: dict[Source, str]
) -> list[tuple[Path, Path]]:
    """From where to where each photo goes: kept ones may change their split or their name."""
    moves = []
    for source in converted.kept:
        moves.append((folder / earlier.photos[source.path]["output"], folder / outputs[source]))
    for source in converted.new:
        moves.append((_staged(folder / STAGING_FOLDER, source), folder / outputs[source]))
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


def _staged(staging: Path, source: Source) -> Path:
    return staging / hashlib.sha256(os.fsencode(source.path)).hexdigest()


def _stamp(path: Path) -> Stamp:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]
