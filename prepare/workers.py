"""Photos decoded in several processes, which end with the one that started them."""

import hashlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from prepare.convert import Photo, convert
from prepare.options import Options
from prepare.progress import progress
from prepare.scan import Source

CHUNK = 8  # photos per task of a worker: fewer messages between processes


def convert_all(
    options: Options, sources: Sequence[Source], folder: Path
) -> tuple[dict[Source, Photo], dict[Source, str]]:
    """Decode every source into the folder, in `workers` processes: photos, and reasons."""
    folder.mkdir(parents=True, exist_ok=True)
    photos: dict[Source, Photo] = {}
    broken: dict[Source, str] = {}
    pool = ProcessPoolExecutor(options.workers, initializer=_exit_with_parent)
    try:
        results = pool.map(
            convert,
            [options.source / source.path for source in sources],
            [staged(folder, source) for source in sources],
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


def staged(folder: Path, source: Source) -> Path:
    """Where a source's photo lies until its place in the destination is known."""
    return folder / hashlib.sha256(os.fsencode(source.path)).hexdigest()


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
