"""python -m prepare SRC DST: labelled photos to verified RGB, split, listed, reported.

The photos may be in any mode and any mess. On several machines --step shard decodes a part of
them on each, and --step join makes the destination from the shards.
"""

import artifact.host.starting  # noqa: F401  # before all else: it takes Ctrl-C

# isort: split
import argparse
import errno
import re
import sys
from collections.abc import Iterable, Mapping
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from artifact.folders.photo_tree import PassedBy
from artifact.host.machine import cpu_count
from artifact.pages.project_index import refresh_above
from artifact.text.json_text import read_json
from artifact.text.names import escape_output, printable
from prepare.build import REPORT_FILE, empty_splits, prepare
from prepare.options import ALL, SHARD, STEPS, Options
from prepare.scan import PrepareError
from prepare.shards import write_shard
from prepare.sources import opened
from prepare.summary import Summary
from recipes.command_line import CommandLine

FAILED = 1
INTERRUPTED = 130  # as shells have it: 128 and SIGINT
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
LISTED = 200  # files that are named, each in a line
SHARES = (0.7, 0.1, 0.2)  # of train, validation and test


def main(arguments: list[str] | None = None) -> int:
    """Prepare. The exit code: 0 when the destination is complete, 130 when interrupted.

    1 when the photos or the disk do not allow it, 2 for a wrong option.
    """
    escape_output()
    options = _parse(arguments)
    try:
        with opened(options) as at_source:
            if options.step == SHARD:
                return _shard(at_source)
            summary = prepare(at_source)
    except PrepareError as error:
        return _fail(str(error))
    except KeyboardInterrupt:
        _fail("interrupted; run it again to complete the destination")
        return INTERRUPTED
    except BrokenProcessPool:
        return _fail("a worker was killed, most likely for lack of memory; give fewer --workers")
    except OSError as error:
        return _fail(_disk_reason(error, options))
    refresh_above(options.destination / REPORT_FILE)
    _print_summary(summary, options)
    return 0


def _shard(options: Options) -> int:
    converted = write_shard(options)
    _print_found(converted.found.said, converted.found.passed)
    _print_broken({source.path: reason for source, reason in converted.broken.items()})
    figures = f"photos={len(converted.new)} broken={len(converted.broken)}"
    print(f"prepare: {figures} shard={printable(options.destination)}", flush=True)
    return 0


def _disk_reason(error: OSError, options: Options) -> str:
    path = error.filename2 or error.filename or options.destination
    reason = f"{error.strerror or error}: '{path}'"
    if error.errno in DISK_FULL:
        return f"the disk is full: {reason}"
    return reason


def _print_broken(broken: Mapping[str, str]) -> None:
    for path, reason in broken.items():
        print(f"prepare: broken, left out: '{printable(path)}': {printable(reason)}")


def _print_summary(summary: Summary, options: Options) -> None:
    _print_found(summary.said, summary.passed)
    _print_broken(summary.broken)
    for sentence in summary.warnings:
        print(f"prepare: warning: {sentence}", file=sys.stderr)
    if summary.presplit:
        print("prepare: the source is split already; its split is kept, --split does not apply")
    empty = empty_splits(summary)
    if empty:
        print(f"prepare: no photos in {', '.join(empty)}")
    figures = " ".join(f"{name}={value}" for name, value in summary.counts().items())
    report = printable(options.destination / REPORT_FILE)
    print(f"prepare: {figures} report={report}", flush=True)


def _print_found(said: Iterable[str], passed: PassedBy) -> None:
    """What was guessed; one line on all files of other kinds, one on each that needs a look."""
    for sentence in said:
        print(f"prepare: {sentence}")
    if passed.kinds:
        print(f"prepare: passed by: {passed.sentence()}")
    reasons = sorted(passed.reasons().items())
    for path, reason in reasons[:LISTED]:
        print(f"prepare: left out: '{printable(path)}': {printable(reason)}")
    if len(reasons) > LISTED:
        print(f"prepare: left out: {len(reasons) - LISTED} more like these")


def _parse(arguments: list[str] | None) -> Options:
    parser = _parser()
    values = parser.parse_args(arguments)
    source = values.source.resolve()
    destination = values.destination.resolve()
    if source == destination or source in destination.parents or destination in source.parents:
        parser.error(f"SRC '{source}' and DST '{destination}' must not lie in each other")
    if values.s3_uri and not values.s3_uri.startswith("s3://"):
        parser.error(f"--s3-uri must start with s3://; found '{values.s3_uri}'")
    return Options(
        source=source,
        destination=destination,
        split=values.split,
        seed=values.seed,
        workers=values.workers,
        on_bad=values.on_bad,
        s3_uri=values.s3_uri,
        groups=values.groups,
        keep_split=values.keep_split,
        step=values.step,
        part=values.part,
        labels=values.labels and values.labels.resolve(),
    )


def _parser() -> argparse.ArgumentParser:
    parser = CommandLine(prog="prepare", description=__doc__)
    parser.add_argument(
        "source",
        type=Path,
        metavar="SRC",
        help="folder with a folder of photos for each class, or with train/, valid/ and test/ "
        "of such; or a zip or tar archive of it, or a manifest beside its photos",
    )
    parser.add_argument(
        "destination", type=Path, metavar="DST", help="folder to make or to bring up to date"
    )
    parser.add_argument(
        "--labels",
        type=Path,
        metavar="FILE",
        help="CSV or JSON lines with a photo and its labels in each row (default: folders, or a "
        "list beside the photos)",
    )
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
        help="prefix of each path in the manifests, such as s3://bucket/prefix",
    )
    _add_split(parser)
    _add_steps(parser)
    return parser


def _add_split(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--split",
        type=_shares,
        default=SHARES,
        help="shares of train, validation and test (default 0.7,0.1,0.2)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the split (default 0)")
    parser.add_argument(
        "--groups",
        type=_pattern,
        default="",
        metavar="COLUMN|REGEX",
        help="photos of one person, burst or video stay on one side: a column of the list of "
        "labels, or what their paths match, such as 'person(\\d+)'",
    )
    parser.add_argument(
        "--keep-split",
        type=Path,
        metavar="MANIFEST",
        help="a manifest.csv whose photos stay on their side (default: the destination's own)",
    )


def _add_steps(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--step",
        choices=STEPS,
        default=ALL,
        help="shard: decode only, DST is a shard; join: SRC is a folder of shards (default all)",
    )
    parser.add_argument(
        "--part",
        type=_part,
        default=(1, 1),
        metavar="I/N",
        help="of the photos that a shard takes: the first of four is 1/4 (default 1/1); or "
        "SageMaker's resourceconfig.json, which has the number of this host",
    )


def _shares(text: str) -> tuple[float, ...]:
    try:
        shares = tuple(float(part) for part in text.split(","))
    except ValueError:
        shares = ()
    if not _are_shares(shares):
        raise argparse.ArgumentTypeError(
            "must be three shares that add up to 1, train above 0, such as 0.7,0.1,0.2; "
            f"found '{text}'"
        )
    return shares


def _are_shares(shares: tuple[float, ...]) -> bool:
    if len(shares) != 3 or shares[0] == 0:
        return False
    if not all(0 <= share <= 1 for share in shares):
        return False
    return abs(sum(shares) - 1) <= 1e-6  # 0.7 + 0.1 + 0.2 is not quite 1


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1; found '{text}'")
    return int(text)


def _part(text: str) -> tuple[int, int]:
    if text.endswith(".json"):
        return _part_of_host(Path(text))
    number, _, parts = text.partition("/")
    if not (number.isdigit() and parts.isdigit() and 1 <= int(number) <= int(parts)):
        raise argparse.ArgumentTypeError(f"must be a part such as 1/4; found '{text}'")
    return int(number), int(parts)


def _part_of_host(path: Path) -> tuple[int, int]:
    """This host's part of a processing job: SageMaker's file names all hosts, and this one."""
    try:
        found = read_json(path.read_text(encoding="utf-8"))
        return found["hosts"].index(found["current_host"]) + 1, len(found["hosts"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise argparse.ArgumentTypeError(
            f"'{path}' is no resourceconfig.json of SageMaker: {error!r}"
        ) from error


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise argparse.ArgumentTypeError(
            f"must be a regular expression; found '{text}': {error}"
        ) from error
    return text


def _fail(reason: str) -> int:
    print(f"prepare: failed: {printable(reason)}", file=sys.stderr)
    return FAILED


if __name__ == "__main__":
    sys.exit(main())
