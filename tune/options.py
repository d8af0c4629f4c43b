"""The command line of `python -m tune`."""

import argparse
import shlex
from pathlib import Path

from recipes.command_line import CommandLine, add_recipe, setting
from tune.trial_runners import ENGINES

DESCRIPTION = """\
Run the tuning jobs of a recipe on this machine, one after the other.

The same command goes on with a search that was interrupted.
"""


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The options of one search. Ends the program with exit code 2 for a wrong one."""
    parser = CommandLine(prog="tune", description=DESCRIPTION)
    add_recipe(parser, "a YAML file with a section `tuning`")
    parser.add_argument(
        "--data",
        type=Path,
        help="photos: as `python -m prepare` leaves them, or a folder per class, "
        "which is then prepared first (default: out/prepared, else the recipe's)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        help="where the search is kept and its results are written (default: out/tune/NAME)",
    )
    parser.add_argument(
        "--set",
        type=setting,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="another value of a static hyperparameter, in all tuning jobs",
    )
    parser.add_argument(
        "--own-values-first",
        action="store_true",
        help="end at once where the first training cannot take the recipe's own values; "
        "it takes them wherever the ranges hold them",
    )
    _add_ways_to_run(parser)
    options = parser.parse_args(arguments)
    if (options.engine == "command") != bool(options.command):
        parser.error("--engine command and --command go together")
    return options


def _add_ways_to_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--engine",
        choices=ENGINES,
        default=ENGINES[0],
        help="how a trial's training runs (default: %(default)s)",
    )
    parser.add_argument(
        "--image", default="slipway-train", help="of --engine container (default: %(default)s)"
    )
    parser.add_argument(
        "--command",
        type=_words,
        default=(),
        help="of --engine command: run for each trial with the folder of its /opt/ml as last "
        "argument; it prints what the training prints, and trains on photos of its own",
    )
    parser.add_argument(
        "--env",
        action="append",
        default=[],
        metavar="NAME",
        help="a variable of this environment that the trainings in containers get as well",
    )
    parser.add_argument(
        "--workers",
        type=int,
        help="trials at once on this machine, at most its cores, or GPUs "
        "(default: as the recipe's budgets say)",
    )
    _add_what_lies_outside(parser)


def _words(text: str) -> tuple[str, ...]:
    """A command's words, as a shell would part them."""
    return tuple(shlex.split(text))


def _add_what_lies_outside(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--storage",
        metavar="URL",
        help="a database on which several machines share the search, such as "
        "postgresql+psycopg://host/name; its password belongs in ~/.pgpass or PGPASSWORD "
        "(default: SLIPWAY_STORAGE, else a file in --out)",
    )
    parser.add_argument(
        "--parents",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="results of an earlier search, tuning.json, to start from",
    )
    parser.add_argument(
        "--keep",
        action="store_true",
        help="keep each trial's checkpoints, links to its photos, and model, "
        "which --engine in-process does not make",
    )
