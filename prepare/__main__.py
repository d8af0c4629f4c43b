"""python -m prepare SRC DST: a folder of labelled photos, in any mode and any mess, to verified RGB, split, listed, reported."""

import argparse
import errno
import sys
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from artifact.machine import cpu_count
from prepare.build import Options, empty_splits, prepare
from prepare.scan import PrepareError

FAILED = 1
INTERRUPTED = 130  # as shells have it: 128 and SIGINT


def main(arguments: list[str] | None = None) -> int:
    """Prepare; 0 when the destination is complete, 1 when the photos or the disk do not allow it, 2 for a wrong option, 130 when interrupted."""
    options = _parse(arguments)
    try:
        summary = prepare(options)
    except PrepareError as error:
        return _fail(str(error))
    except KeyboardInterrupt:
        _fail("interrupted; run it again to complete the destination")
        return INTERRUPTED
    except BrokenProcessPool:
        return _fail("a worker was killed, most likely for lack of memory; give fewer --workers")
    except OSError as error:
        full = "the disk is full: " if error.errno in (errno.ENOSPC, errno.EDQUOT) else ""
        return _fail(
            f"{full}{error.strerror or error}: '{error.filename2 or error.filename or options.destination}'"
        )
    for path, reason in summary.broken.items():
        print(f"prepare: broken, left out: '{path}': {reason}")
    if len(summary.classes) == 1:
        print(
            f"prepare: warning: there is one class only ('{summary.classes[0]}'); a classifier needs two",
            file=sys.stderr,
        )
    if summary.presplit:
        print("prepare: the source is split already; its split is kept, --split does not apply")
    if empty := empty_splits(summary):
        print(f"prepare: no photos in {', '.join(empty)}")
    figures = " ".join(f"{name}={value}" for name, value in summary.counts().items())
    print(f"prepare: {figures} report={options.destination / 'report.html'}", flush=True)
    return 0


def _parse(arguments: list[str] | None) -> Options:
    parser = argparse.ArgumentParser(prog="prepare", description=__doc__)
    parser.add_argument(
        "source",
        type=Path,
        metavar="SRC",
        help="folder with a folder of photos for each class, or with train/, valid/ and test/ of such",
    )
    parser.add_argument(
        "destination", type=Path, metavar="DST", help="folder to make or to bring up to date"
    )
    parser.add_argument(
        "--split",
        type=_shares,
        default=(0.7, 0.1, 0.2),
        help="shares of train, validation and test (default 0.7,0.1,0.2)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the split (default 0)")
    parser.add_argument(
        "--workers",
        type=_positive,
        default=cpu_count(),
        help="processes that decode (default: the cores)",
    )
    parser.add_argument(
        "--on-bad",
        choices=("skip", "fail"),
        default="skip",
        help="leave broken photos out and list them, or end",
    )
    parser.add_argument(
        "--s3-uri",
        default="",
        help="what the manifests put before each path, such as s3://bucket/prefix",
    )
    values = parser.parse_args(arguments)
    source, destination = values.source.resolve(), values.destination.resolve()
    if source == destination or source in destination.parents or destination in source.parents:
        parser.error(f"SRC '{source}' and DST '{destination}' must not lie in each other")
    if values.s3_uri and not values.s3_uri.startswith("s3://"):
        parser.error(f"--s3-uri must start with s3://; found '{values.s3_uri}'")
    return Options(
        source, destination, values.split, values.seed, values.workers, values.on_bad, values.s3_uri
    )


def _shares(text: str) -> tuple[float, ...]:
    try:
        shares = tuple(float(part) for part in text.split(","))
    except ValueError:
        shares = ()
    if (
        len(shares) != 3
        or not all(0 <= share <= 1 for share in shares)
        or abs(sum(shares) - 1) > 1e-6
        or shares[0] == 0
    ):
        raise argparse.ArgumentTypeError(
            f"must be three shares that add up to 1, train above 0, such as 0.7,0.1,0.2; found '{text}'"
        )
    return shares


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1; found '{text}'")
    return int(text)


def _fail(reason: str) -> int:
    print(f"prepare: failed: {reason}", file=sys.stderr)
    return FAILED


if __name__ == "__main__":
    sys.exit(main())
