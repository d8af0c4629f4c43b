"""python -m bench.prepare_photos: time and memory of prepare with very many names and photos.

It lists empty files (hard links, so that a million is quick), and prepares small drawn photos of
three sizes of a set. In proportion means that both grow as the set does, and no faster.
"""

import argparse
import io
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from bench.list_photos import synthesise
from bench.sections import REPOSITORY

PER_CLASS = 100
SIDE = 32  # pixels
# Runs in a process of its own, whose memory is measured.
LIST = """
import json, sys, time
from pathlib import Path
from bench.memory import memory_mb
from prepare.scan import scan
before = memory_mb("VmRSS")
started = time.monotonic()
found = scan(Path(sys.argv[1]))
seconds = time.monotonic() - started
assert len(found.sources) == int(sys.argv[2])
print(json.dumps([seconds, memory_mb("VmHWM") - before]))
"""
PREPARE = """
import contextlib, json, sys, time
from bench.memory import memory_mb
from prepare.__main__ import main
before = memory_mb("VmRSS")
started = time.monotonic()
with contextlib.redirect_stdout(sys.stderr):
    code = main(sys.argv[1:])
assert code == 0
print(json.dumps([time.monotonic() - started, memory_mb("VmHWM") - before]))
"""


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench-prepare-photos", description=__doc__)
    parser.add_argument("--names", type=int, default=1_000_000)
    parser.add_argument("--photos", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, help="where to make them; default: a temporary one")
    options = parser.parse_args()
    print("| what | how many | seconds | MB | microseconds each | bytes each |")
    print("|---|---:|---:|---:|---:|---:|")
    for part in (4, 2, 1):
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            count = options.names // part
            synthesise(Path(folder), count)
            _row("names listed", count, _measured(LIST, folder, count))
    for part in (4, 2, 1):
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            count = options.photos // part
            draw(Path(folder) / "photos", count)
            found = _measured(PREPARE, f"{folder}/photos", f"{folder}/out")
            _row("photos prepared", count, found)
    return 0


def draw(folder: Path, count: int) -> None:
    """Make small photos, all different, in classes of PER_CLASS."""
    for number in range(count):
        place = folder / f"class {number // PER_CLASS}"
        place.mkdir(parents=True, exist_ok=True)
        samples = np.random.default_rng(number).integers(0, 256, (4, 4, 3), dtype=np.uint8)
        data = io.BytesIO()
        Image.fromarray(samples).resize((SIDE, SIDE)).save(data, "JPEG")
        (place / f"{number}.jpg").write_bytes(data.getvalue())


def _measured(program: str, *arguments: object) -> tuple[float, float]:
    """Seconds, and the peak of the memory of the process (not its workers), MiB."""
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        cwd=REPOSITORY,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    seconds, memory = json.loads(done.stdout)
    return seconds, memory


def _row(what: str, count: int, found: tuple[float, float]) -> None:
    seconds, memory = found
    each = f"{seconds / count * 1e6:.0f} | {memory * 2**20 / count:.0f}"
    print(f"| {what} | {count:,} | {seconds:.1f} | {memory:.0f} | {each} |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
