"""python -m conformance --train IMAGE --serve IMAGE: whether images keep SageMaker's contract with containers, clause by clause.

The last line counts them; the exit code is 0 when none is broken, 1 when one is, 2 for options that cannot be used.
"""

import argparse
import signal
import sys
import time
from pathlib import Path

from conformance import catalog, results
from conformance.clauses import CLAUSES, KINDS
from conformance.image_clauses import AMIS
from conformance.inputs import read_job, read_known, read_sample
from conformance.limits import ContractLimits
from conformance.runner import Wanted, examine, workplace
from conformance.targets import Image, Program
from runtime import docker
from runtime.errors import RunError

USAGE, INTERRUPTED = 2, 130


def main(arguments: list[str] | None = None) -> int:
    """Examine what is asked for."""
    options = _parser().parse_args(arguments)
    started = time.monotonic()
    try:
        if options.list:
            return _list()
        with workplace() as work:
            wanted = _wanted(options, work)
            found = examine(
                wanted,
                ContractLimits(),
                work,
                lambda result: print(results.row(result), flush=True),
            )
        if options.json:
            options.json.write_text(results.as_json(found), encoding="utf-8")
        if options.junit:
            results.write_junit(found, options.junit)
    except (RunError, OSError) as error:
        print(f"conformance: {error}", file=sys.stderr)
        return USAGE
    except KeyboardInterrupt:
        print("conformance: interrupted; what ran has been ended", file=sys.stderr)
        return INTERRUPTED
    counts = results.counted(found)
    print(f"conformance: seconds={time.monotonic() - started:.0f}")
    print(
        "conformance: " + " ".join(f"{name}={count}" for name, count in counts.items()), flush=True
    )
    return 1 if counts["broken"] else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="conformance",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--train", metavar="IMAGE", help="an image to be started with `train`")
    parser.add_argument("--serve", metavar="IMAGE", help="an image to be started with `serve`")
    parser.add_argument(
        "--process",
        metavar="CMD",
        help="a command in the place of an image's entrypoint, without an engine; {verb}, {root}, {model}, {port} "
        "and {python} in it are filled in; without {verb} that comes last, as in docker run",
    )
    parser.add_argument(
        "--kinds",
        default="",
        help="of --process: training, serving or both with a comma between (default: both)",
    )
    parser.add_argument(
        "--job",
        type=Path,
        help="JSON: hyperparameters; long: those that make the job last; metrics: names and regexes; "
        "environment: variables; channels: names and folders",
    )
    parser.add_argument(
        "--model", type=Path, help="folder to be served (default: what the plain training leaves)"
    )
    parser.add_argument(
        "--sample", type=Path, help="file that /invocations is asked with (default: a drawn photo)"
    )
    parser.add_argument("--content-type", default="", metavar="T", help="of the sample")
    parser.add_argument(
        "--ami", default="", help=f"of the GPU hosts that the images are for: {', '.join(AMIS)}"
    )
    parser.add_argument("--sbom", type=Path, help="folder of the images' bills of materials")
    parser.add_argument("--only", default="", help="names of clauses, with commas between")
    parser.add_argument(
        "--known",
        type=Path,
        help="JSON: clauses that the images are known not to keep, by name, and why; they count as not applicable",
    )
    parser.add_argument("--json", type=Path, help="file to write the results to, as JSON")
    parser.add_argument("--junit", type=Path, help="file to write the results to, as JUnit's XML")
    parser.add_argument("--list", action="store_true", help="list the clauses and leave")
    return parser


def _wanted(options: argparse.Namespace, work: Path) -> Wanted:
    """RunError, in one sentence, for options that do not go together."""
    only = tuple(name.strip() for name in options.only.split(",") if name.strip())
    kinds = tuple(name.strip() for name in options.kinds.split(",") if name.strip()) or KINDS[:2]
    if unknown := [name for name in only if name not in CLAUSES]:
        raise RunError(f"--only names '{unknown[0]}', which is no clause; --list shows them")
    if unknown := [name for name in kinds if name not in KINDS[:2]]:
        raise RunError(f"--kinds must be training or serving, found '{unknown[0]}'")
    if options.ami not in ("", *AMIS):
        raise RunError(f"--ami must be one of {', '.join(AMIS)}, found '{options.ami}'")
    for name in ("model", "sbom"):
        if (folder := getattr(options, name)) is not None and not folder.is_dir():
            raise RunError(f"--{name} must be a folder, found '{folder}'")
    for name in ("json", "junit"):
        if (path := getattr(options, name)) is not None and (
            path.is_dir() or not path.absolute().parent.is_dir()
        ):
            raise RunError(f"--{name} must be a file in a folder that is there, found '{path}'")
    train, serve = _targets(options, kinds, work)
    job = read_job(options.job, work) if train else None
    sample = (
        read_sample(
            options.sample, options.content_type, options.model and options.model.absolute()
        )
        if serve
        else None
    )
    return Wanted(
        train, serve, job, sample, options.ami, options.sbom, only, read_known(options.known)
    )


def _targets(options: argparse.Namespace, kinds: tuple[str, ...], work: Path) -> tuple:
    """What trains and what serves, None for neither."""
    if options.process is not None:
        if options.train or options.serve:
            raise RunError("give either images, by --train and --serve, or a command, by --process")
        program = Program(options.process, work)
        return program if KINDS[0] in kinds else None, program if KINDS[1] in kinds else None
    if not (options.train or options.serve):
        raise RunError("nothing to look at: give --train IMAGE, --serve IMAGE, or --process CMD")
    if not docker.answers():
        raise RunError(
            "no Docker engine answers `docker info`; start one, or give a command by --process"
        )
    return Image(options.train, work) if options.train else None, Image(
        options.serve, work
    ) if options.serve else None


def _list() -> int:
    for kind in KINDS:
        for clause in catalog.of_kind(kind):
            print(
                f"{kind:9} {clause.name:38} {clause.requirement}\n{'':48} {clause.source}\n{'':48} Fix: {clause.fix}"
            )
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: what runs is ended first
    sys.exit(main())
