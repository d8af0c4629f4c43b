"""The options of `python -m conformance`, and what they ask for."""

import argparse
from pathlib import Path

from conformance.clauses import CLAUSES, SERVING, TRAINING
from conformance.image_clauses import AMIS
from conformance.inputs import read_job, read_known, read_sample
from conformance.runner import Wanted
from conformance.targets import Image, Program
from recipes.command_line import CommandLine
from recipes.suggestion import hint
from runtime import docker
from runtime.errors import RunError

PROGRAM_KINDS = (TRAINING, SERVING)  # a program has no image to look into


def parser(description: str) -> argparse.ArgumentParser:
    """All options, in the order of --help."""
    made = CommandLine(
        prog="conformance",
        description=description,
    )
    _add_targets(made)
    _add_inputs(made)
    _add_choices(made)
    _add_formats(made)
    return made


def _add_targets(made: argparse.ArgumentParser) -> None:
    made.add_argument("--train", metavar="IMAGE", help="an image to start with `train`")
    made.add_argument("--serve", metavar="IMAGE", help="an image to start with `serve`")
    made.add_argument(
        "--process",
        metavar="CMD",
        help="a command to run instead of an image's entrypoint, without an engine; {verb}, "
        "{root}, {model}, {port} and {python} in it are replaced; without {verb} in it, the verb "
        "comes last, as in docker run",
    )
    made.add_argument(
        "--kinds",
        default="",
        help="of --process: training, serving or both with a comma between (default: both)",
    )


def _add_inputs(made: argparse.ArgumentParser) -> None:
    made.add_argument(
        "--job",
        type=Path,
        help="JSON file: hyperparameters; long: further ones that make the job last; metrics: "
        "names and regular expressions; environment: variables; channels: names and folders",
    )
    made.add_argument(
        "--model", type=Path, help="folder to serve (default: the model of the plain training)"
    )
    made.add_argument(
        "--sample", type=Path, help="file to send to /invocations (default: a drawn photo)"
    )
    made.add_argument("--content-type", default="", metavar="T", help="of the sample")
    made.add_argument(
        "--ami", default="", help=f"of the GPU hosts that will run the image: {', '.join(AMIS)}"
    )
    made.add_argument("--sbom", type=Path, help="folder with the images' bills of materials")


def _add_choices(made: argparse.ArgumentParser) -> None:
    made.add_argument("--only", default="", help="names of clauses, with commas between")
    made.add_argument(
        "--known",
        type=Path,
        help="JSON file: names of clauses that the images are known to break, and why; these "
        "count as not applicable",
    )
    made.add_argument("--list", action="store_true", help="list the clauses and exit")


def _add_formats(made: argparse.ArgumentParser) -> None:
    made.add_argument("--json", type=Path, help="file to write the results to, as JSON")
    made.add_argument("--junit", type=Path, help="file to write the results to, as JUnit's XML")


def wanted_by(options: argparse.Namespace, work: Path) -> Wanted:
    """What the options ask for. RunError, in one sentence, where they cannot be used."""
    only = _names(options.only)
    kinds = _names(options.kinds) or PROGRAM_KINDS
    _check_choices(options, only, kinds)
    _check_paths(options)
    train, serve = _targets(options, kinds, work)
    job = None
    sample = None
    if train:
        job = read_job(options.job, work)
    if serve:
        model = options.model.absolute() if options.model else None
        sample = read_sample(options.sample, options.content_type, model)
    return Wanted(
        train=train,
        serve=serve,
        job=job,
        sample=sample,
        ami=options.ami,
        sbom=options.sbom,
        only=only,
        known=read_known(options.known),
    )


def _names(text: str) -> tuple[str, ...]:
    """The names of a list with commas."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _check_choices(
    options: argparse.Namespace, only: tuple[str, ...], kinds: tuple[str, ...]
) -> None:
    for name in only:
        if name not in CLAUSES:
            guess = hint(name, CLAUSES)
            raise RunError(
                f"--only names '{name}', which is not a clause{guess}; --list shows them"
            )
    for kind in kinds:
        if kind not in PROGRAM_KINDS:
            raise RunError(f"--kinds must be training or serving, found '{kind}'")
    if options.ami not in ("", *AMIS):
        raise RunError(f"--ami must be one of {', '.join(AMIS)}, found '{options.ami}'")


def _check_paths(options: argparse.Namespace) -> None:
    for name, folder in (("model", options.model), ("sbom", options.sbom)):
        if folder is not None and not folder.is_dir():
            raise RunError(f"--{name} must be a folder, found '{folder}'")
    for name, path in (("json", options.json), ("junit", options.junit)):
        if path is None:
            continue
        if path.is_dir() or not path.absolute().parent.is_dir():
            raise RunError(f"--{name} must be a file in an existing folder, found '{path}'")


def _targets(
    options: argparse.Namespace, kinds: tuple[str, ...], work: Path
) -> tuple[Image | Program | None, Image | Program | None]:
    """The target that trains and the target that serves; None where neither is asked for."""
    if options.process is None:
        return _images(options, work)
    if options.train or options.serve:
        raise RunError("give either images, by --train and --serve, or a command, by --process")
    program = Program(options.process, work)
    train = program if TRAINING in kinds else None
    serve = program if SERVING in kinds else None
    return train, serve


def _images(options: argparse.Namespace, work: Path) -> tuple[Image | None, Image | None]:
    if not (options.train or options.serve):
        raise RunError("nothing to check: give --train IMAGE, --serve IMAGE, or --process CMD")
    if not docker.answers():
        raise RunError("no container engine answers; start one, or give a command by --process")
    train = Image(options.train, work) if options.train else None
    serve = Image(options.serve, work) if options.serve else None
    return train, serve
