"""python -m bench.list_photos: how long a job with very many photos takes to start, and its memory.

It makes empty photos (hard links to a few files, so that a million is quick) in classes of about
1,281, as ImageNet has them. Processes of one host list them as a training does: once for all. Then
they share out two epochs. It knows nothing of pixels.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from bench.listing_job import EPOCHS, order
from bench.sections import REPOSITORY
from runtime.ports import free_port
from train.distributed.context import DistributedContext

LINKS = 30_000  # names for one file; ext4 allows 65,000
IMAGENET = 1_281_167
CLASSES = 1000
PER_CLASS = 1000
RESUMED_AT = 0.4  # of an epoch's steps

Figures = dict[str, float]


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench-list-photos", description=__doc__)
    parser.add_argument("--photos", type=int, default=IMAGENET)
    parser.add_argument("--classes", type=int, default=CLASSES)
    parser.add_argument("--processes", type=int, default=8, help="of one host (default: 8)")
    parser.add_argument(
        "--folder", type=Path, help="where to make them; default: a temporary folder"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        photos = Path(folder) / "photos"
        started = time.monotonic()
        synthesise(photos, options.photos, options.classes)
        seconds = time.monotonic() - started
        made = f"{options.photos:,} empty photos in {options.classes:,} classes"
        print(f"made {made} in {seconds:.1f} s in {folder}", flush=True)
        found = measure(photos, options.processes)
        shared = check_epochs(Path(folder), found)
    print("\n".join(table(found, options.photos) + shared))
    return 0


def synthesise(folder: Path, count: int, classes: int = 0) -> None:
    """Make empty photos in equal classes, with names like those of ImageNet.

    classes: 0 for one per PER_CLASS photos.
    """
    original = folder
    names = [f"n{number:08}" for number in range(classes or -(-count // PER_CLASS))]
    for name in names:
        (folder / name).mkdir(parents=True)
    for number in range(count):
        name = names[number % len(names)]
        path = folder / name / f"{name}_{number}.JPEG"
        if number % LINKS == 0:
            original = path
            original.touch()
        else:
            os.link(original, path)


def measure(folder: Path, processes: int) -> list[Figures]:
    """What each of the processes of one host finds, as bench/listing_job.py prints it."""
    port = str(free_port())
    running = []
    for rank in range(processes):
        numbers = [str(rank), str(processes), port]
        command = [sys.executable, "-m", "bench.listing_job", str(folder), *numbers]
        running.append(subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True))
    printed = [process.communicate()[0] for process in running]
    if any(process.returncode for process in running):
        raise SystemExit("list_photos: a process failed")
    return [json.loads(lines.splitlines()[-1]) for lines in printed]


def check_epochs(folder: Path, found: list[Figures]) -> list[str]:
    """Rows on how the processes shared out each epoch's photos. SystemExit where one is wrong."""
    size = len(found)
    count = int(found[0]["photos"])
    rows = []
    epochs = []
    for epoch in EPOCHS:
        taken = [np.load(folder / f"epoch-{epoch}-{rank}.npy") for rank in range(size)]
        times = np.bincount(np.concatenate(taken), minlength=count)
        lost = int((times == 0).sum())
        doubled = int((times > 1).sum())
        fewest = min(map(len, taken))
        largest = max(map(len, taken))
        rows.append(
            f"| epoch {epoch}: photos lost, doubled; of a process | {lost}, {doubled}; "
            f"{fewest:,} to {largest:,} |"
        )
        if lost or doubled:
            raise SystemExit(rows[-1])
        epochs.append(taken)
    alike = float((epochs[0][0][:1000] == epochs[1][0][:1000]).mean())
    rows.append(f"| photos in the same place in both epochs | {alike:.2%} |")
    rows.append(f"| the same photos after a restart in mid-epoch | {_resumed(epochs, count)} |")
    return rows


def _resumed(epochs: list[list[np.ndarray]], count: int) -> str:
    """Whether a process that starts again would take the same photos for the rest of an epoch."""
    size = len(epochs[0])
    batches = order(count, EPOCHS[-1], size)
    begin = int(len(batches) * RESUMED_AT)
    for rank, taken in enumerate(epochs[-1]):
        context = DistributedContext(rank, size, hosts=(0,) * size)
        rest = np.concatenate([context.share(batch, 1) for batch in batches[begin:]])
        if not np.array_equal(rest, taken[-len(rest) :]):
            return "no"
    return f"yes, from step {begin:,} of {len(batches):,}"


def table(found: list[Figures], photos: int) -> list[str]:
    """The rows on time and memory: the worst of the processes."""

    def worst(name: str) -> float:
        return max(figures[name] for figures in found)

    lists = round(sum(figures["lists"] for figures in found))
    each = worst("held_mb") * 2**20 / photos
    return [
        f"| {photos:,} photos, {len(found)} processes of one host | |",
        "|---|---:|",
        f"| times that the photos were listed | {lists} |",
        f"| s until every process has the index | {worst('seconds'):.1f} |",
        f"| s, with labels, class weights and the store's key | {worst('all_seconds'):.1f} |",
        f"| MB more in a process, with what it shares | {worst('held_mb'):.0f} "
        f"({each:.0f} bytes per photo) |",
        f"| MB more in a process of its own | {worst('own_mb'):.0f} |",
        f"| MB more at the peak | {worst('peak_mb'):.0f} |",
    ]


if __name__ == "__main__":
    sys.exit(main())
