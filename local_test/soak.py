"""python -m local_test.soak: load, hostile bodies, a killed worker and SIGTERM on a container.

The serving container has 1 GiB of memory. Every answer is compared with the one that the same
photo got alone. Each failure has a line; the last line sums up.
"""

import artifact.host.starting  # noqa: F401  # before all else: it takes Ctrl-C

# isort: split
import argparse
import sys
from pathlib import Path

from local_test.hostile import hostile_bodies
from local_test.soak_ends import killed_worker, sigterm
from local_test.soak_load import all_hostile, mixed, references, steady_load
from local_test.soak_verdict import Verdict
from recipes.command_line import CommandLine, interrupted
from runtime.errors import RunError
from runtime.load import Request
from runtime.watched import MEMORY_BYTES, serving_container

GOOD_SUFFIXES = {".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png"}
MOST_PHOTOS = 200  # each of them is asked for alone first


def main() -> int:
    parser = CommandLine(prog="soak", description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="folder of an artifact")
    parser.add_argument(
        "--photos", type=Path, required=True, help="folder of good photos, searched through"
    )
    parser.add_argument(
        "--hostile",
        type=Path,
        action="append",
        default=[],
        help="folder of more hostile files, searched through; may be repeated",
    )
    parser.add_argument("--image", default="slipway-serve")
    parser.add_argument(
        "--requests", type=int, default=20_000, help="of the load from 64 connections"
    )
    parser.add_argument("--minutes", type=float, default=10, help="of mixed traffic")
    parser.add_argument(
        "--untimed",
        action="store_true",
        help="report times and growth, but do not fail on them: for a machine with other work",
    )
    options = parser.parse_args()
    try:
        return soak(options)
    except (RunError, OSError) as error:
        print(f"soak: failed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return interrupted("soak")


def soak(options: argparse.Namespace) -> int:
    """All parts, one after the other; 0 when nothing failed."""
    verdict = Verdict(timed=not options.untimed)
    hostile = hostile_bodies()
    for folder in options.hostile:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                name = str(path.relative_to(folder))
                hostile[name] = path.read_bytes()
    with serving_container(options.image, options.model) as server:
        good = references(server, good_photos(options.photos))
        all_hostile(server, hostile, verdict)
        steady_load(server, good, options.requests, verdict)
        mixed(server, good, hostile, options.minutes * 60, verdict)
        killed_worker(server, good, verdict)
        peak = server.peak_bytes()
        verdict.numbers["peak_mb"] = round(peak / 1e6)
        used = f"the container used {peak / 2**20:.0f} MiB"
        verdict.expect(peak <= MEMORY_BYTES, used)
        sigterm(server, good, verdict)
    numbers = " ".join(f"{name}={value}" for name, value in verdict.numbers.items())
    print(f"soak: {numbers} failures={len(verdict.failures)}", flush=True)
    return int(len(verdict.failures) > 0)


def good_photos(folder: Path) -> list[Request]:
    """Up to 200 photos from all over a folder. RunError when it holds none."""
    found = sorted(folder.rglob("*"))
    paths = [path for path in found if path.suffix.lower() in GOOD_SUFFIXES]
    if not paths:
        raise RunError(f"'{folder}' holds no photos ({', '.join(GOOD_SUFFIXES)})")
    step = max(1, len(paths) // MOST_PHOTOS)
    requests = []
    for path in paths[::step][:MOST_PHOTOS]:
        content_type = GOOD_SUFFIXES[path.suffix.lower()]
        requests.append(Request(str(path), path.read_bytes(), content_type))
    return requests


if __name__ == "__main__":
    sys.exit(main())
