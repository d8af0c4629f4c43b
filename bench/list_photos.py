"""How long a job with very many photos takes to start, and what its lists take of memory: `python bench/list_photos.py`.

Synthesises empty photos (hard links to a few files, so that a million is quick) in classes of 1000, lists them as a training
job does in a process of its own, and prints seconds and the growth of its memory. Knows nothing of pixels.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
LINKS = 30_000  # names for one file; ext4 allows 65,000

MEASURE = """
import sys, time
from pathlib import Path
import torch
from train.data.channels import read_channels
from train.learning.objective import padded
from train.learning.optimization import class_weights

def memory():
    status = Path("/proc/self/status").read_text().splitlines()
    return [int(line.split()[1]) / 1024 for line in status if line.startswith(("VmRSS", "VmHWM"))][::-1]

padded([(0,), (1,)], 2)  # first use loads code
before, started = memory(), time.monotonic()
channels = read_channels({"train": Path(sys.argv[1])}, (0.7, 0.1, 0.2), 0)
listed, seconds = memory(), time.monotonic() - started
labels = padded(channels.train.labels, len(channels.classes))
weights = class_weights("balanced", channels.train.labels, len(channels.classes))
key = channels.train.paths.fingerprint()
after = memory()
print(f"{seconds:.2f} {listed[0] - before[0]:.1f} {after[0] - before[0]:.1f} {after[1] - before[1]:.1f} {time.monotonic() - started:.2f}")
"""


def synthesise(folder: Path, count: int, per_class: int = 1000) -> None:
    """So many empty photos in classes of so many, names like those of ImageNet."""
    files = 0
    for number in range(0, count, per_class):
        inside = folder / f"n{number:08}"
        inside.mkdir(parents=True)
        for index in range(min(per_class, count - number)):
            if files % LINKS == 0:
                original = folder / f"n{number:08}" / f"n{number:08}_{index}.JPEG"
                original.touch()
            else:
                os.link(original, inside / f"n{number:08}_{index}.JPEG")
            files += 1


def measure(folder: Path) -> dict[str, float]:
    """In a fresh process: seconds to list, MB held after that, MB held and at the peak with labels, weights and key."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(folder)],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        check=True,
        capture_output=True,
        text=True,
    )
    return dict(
        zip(
            ("seconds", "listed_mb", "held_mb", "peak_mb", "all_seconds"),
            map(float, done.stdout.split()),
        )
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--photos", type=int, default=1_000_000)
    parser.add_argument(
        "--folder", type=Path, help="where to synthesise them; default: a temporary folder"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        started = time.monotonic()
        synthesise(Path(folder), arguments.photos)
        print(
            f"synthesised {arguments.photos:,} empty photos in {time.monotonic() - started:.1f} s in {folder}",
            flush=True,
        )
        figures = measure(Path(folder))
        print(
            f"listed and split in {figures['seconds']:.1f} s; memory grew by {figures['listed_mb']:.0f} MB, with labels, class weights and the "
            f"store's key by {figures['held_mb']:.0f} MB ({figures['held_mb'] * 2**20 / arguments.photos:.0f} bytes a photo), at the peak by "
            f"{figures['peak_mb']:.0f} MB; all of it {figures['all_seconds']:.1f} s"
        )


if __name__ == "__main__":
    main()
