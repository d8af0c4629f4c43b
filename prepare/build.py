"""A preparation from the list of sources to the finished folder."""

import hashlib
import os
import shutil
import signal
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from artifact.model import write_atomically
from prepare.convert import Photo, convert
from prepare.manifests import manifests
from prepare.photo_report import render_report
from prepare.place import move_all, output_paths, remove_stale
from prepare.progress import progress
from prepare.scan import SPLITS, PrepareError, Source, scan
from prepare.split import assign
from prepare.state import STAGING_FOLDER, PreparationState, read_state
from prepare.summary import Summary, summarise


@dataclass(frozen=True)
class Options:
    """What a preparation is told. split: shares of train, validation and test; s3_uri: what manifests put before paths."""

    source: Path
    destination: Path
    split: tuple[float, ...] = (0.7, 0.1, 0.2)
    seed: int = 0
    workers: int = 1
    on_bad: str = "skip"
    s3_uri: str = ""

    def recorded(self) -> dict:
        """What decides the output, for prepare.json."""
        return {
            "split": list(self.split),
            "seed": self.seed,
            "on_bad": self.on_bad,
            "s3_uri": self.s3_uri,
        }


def prepare(options: Options) -> Summary:
    """Make destination hold the prepared photos, manifests and report. PrepareError or OSError when it cannot.

    Until every source is decoded the destination stays as it was, but for its staging folder; from then on
    prepare.json says `running` until all is in place.
    """
    sources, ignored = scan(options.source)
    earlier_state = read_state(options.destination)
    existed = options.destination.exists()
    staging = options.destination / STAGING_FOLDER
    shutil.rmtree(staging, ignore_errors=True)
    try:
        stamps = {source.path: _stamp(options.source / source.path) for source in sources}
        kept = _unchanged(options, sources, stamps, earlier_state) if earlier_state.complete else {}
        converted, broken = _convert_all(
            options, [source for source in sources if source not in kept], staging
        )
        if broken and options.on_bad == "fail":
            listed = "; ".join(
                f"'{source.path}': {reason}" for source, reason in sorted(broken.items())[:5]
            )
            raise PrepareError(
                f"{len(broken)} broken photos (--on-bad skip leaves them out): {listed}"
            )
        if not kept and not converted:
            raise PrepareError(
                f"none of the {len(sources)} files under '{options.source}' is a photo that can be read"
            )
    except BaseException:
        shutil.rmtree(staging if existed else options.destination, ignore_errors=True)
        raise
    return _finish(options, earlier_state, stamps, kept, converted, broken, ignored)


def _unchanged(
    options: Options,
    sources: Sequence[Source],
    stamps: dict[str, list[int]],
    earlier_state: PreparationState,
) -> dict[Source, Photo]:
    """Sources whose size and time are as recorded and whose output is there in its size: no need to decode them again."""
    kept = {}
    for source in sources:
        known = earlier_state.photos.get(source.path)
        if known and known["stamp"] == stamps[source.path]:
            output = options.destination / known["output"]
            if output.is_file() and output.stat().st_size == known["photo"]["bytes"]:
                kept[source] = Photo(
                    **{**known["photo"], "changes": tuple(known["photo"]["changes"])}
                )
    return kept


def _convert_all(
    options: Options, sources: Sequence[Source], staging: Path
) -> tuple[dict[Source, Photo], dict[Source, str]]:
    """Every source decoded and written to the staging folder, by as many processes as there are workers."""
    staging.mkdir(parents=True)
    photos, broken = {}, {}
    pool = ProcessPoolExecutor(options.workers, initializer=_end_with, initargs=(os.getpid(),))
    try:
        results = pool.map(
            convert,
            [options.source / source.path for source in sources],
            [_staged(staging, source) for source in sources],
            chunksize=8,
        )
        for source, result in zip(sources, progress(results, "converting", len(sources))):
            if isinstance(result, Photo):
                photos[source] = result
            else:
                broken[source] = result
    finally:
        pool.shutdown(
            cancel_futures=True
        )  # an interrupted run must not work through the rest first
    return {source: photos[source] for source in sources if source in photos}, broken


def _end_with(parent: int) -> None:
    """Let this worker end when its parent was killed; it would else wait for work for ever. Ctrl-C is the parent's affair."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _finish(
    options: Options,
    earlier_state: PreparationState,
    stamps: dict[str, list[int]],
    kept: dict[Source, Photo],
    converted: dict[Source, Photo],
    broken: dict[Source, str],
    ignored: list[str],
) -> Summary:
    folder, staging = options.destination, options.destination / STAGING_FOLDER
    photos = dict(sorted({**kept, **converted}.items()))
    splits = assign(
        {source: photo.pixels for source, photo in photos.items()}, options.split, options.seed
    )
    outputs = output_paths(splits)
    summary = summarise(options, photos, splits, outputs, broken, ignored)
    texts = manifests(photos, splits, outputs, summary.classes, options.s3_uri)
    earlier = earlier_state.outputs
    current = sorted([*outputs.values(), *texts, "report.html"])
    PreparationState(
        False, options.recorded(), {}, earlier_state.photos, sorted({*earlier, *current})
    ).write(folder)
    move_all(
        [
            (folder / earlier_state.photos[source.path]["output"], folder / outputs[source])
            for source in kept
        ]
        + [(_staged(staging, source), folder / outputs[source]) for source in converted],
        staging,
    )
    for name, data in [*texts.items(), ("report.html", render_report(summary, folder, outputs))]:
        if not (folder / name).is_file() or (folder / name).read_bytes() != data:
            write_atomically(folder / name, data, staging)
    remove_stale(folder, earlier, current)
    records = {
        source.path: {
            "stamp": stamps[source.path],
            "output": outputs[source],
            "photo": photo.as_dict(),
        }
        for source, photo in photos.items()
    }
    PreparationState(
        True, options.recorded(), summary.counts(), records, current, summary.broken, ignored
    ).write(folder)
    shutil.rmtree(staging)
    return summary


def _staged(staging: Path, source: Source) -> Path:
    return staging / hashlib.sha256(os.fsencode(source.path)).hexdigest()


def _stamp(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]


def empty_splits(summary: Summary) -> list[str]:
    """Splits that got no photo at all."""
    return [split for split in SPLITS if not summary.by_split[split]]
