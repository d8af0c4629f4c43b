"""The options of all commands, as argparse reads them."""

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path

from launch.cost import PRICES
from launch.recipe import REPOSITORY
from recipes.command_line import RECIPE, CommandLine, add_recipe, recipe_here
from recipes.values import number

RECIPE_SUFFIXES = (".yaml", ".yml", ".json")
NEWEST = 1000  # photos: enough to find what matters, and few enough to pass over what does not
TAKES_PHOTOS = ("invoke", "batch")
Parsers = dict[str, argparse.ArgumentParser]
# Values of the options that a command does not have.
DEFAULTS = {
    "no_wait": False,
    "again": False,
    "job": "",
    "metrics": False,
    "over_budget": False,
    "endpoint": False,
    "target": "",
    "model": "",
    "best": False,
    "hyperparameters": None,
    "json": False,
}


def parse_options(
    arguments: list[str] | None, description: str, helps: dict[str, str]
) -> argparse.Namespace:
    """The options. helps: each command's docstring; its first sentence is the short help."""
    parser = CommandLine(prog="launch", description=description)
    commands = parser.add_subparsers(dest="command", required=True)
    made: Parsers = {}
    for name, text in helps.items():
        made[name] = commands.add_parser(name, help=text.split(".")[0], description=text)
        add_common(made[name], name)
    add_shared(made)
    add_training(made)
    add_endpoint(made)
    add_packages(made)
    add_rest(made)
    words = sys.argv[1:] if arguments is None else arguments
    options = parser.parse_args(with_recipe(words))
    if options.best and options.hyperparameters:
        made[options.command].error(
            "--best and --hyperparameters both give hyperparameters; give one of them"
        )
    return options


def with_recipe(words: Sequence[str]) -> list[str]:
    """The words of a command that takes photos, with the current folder's recipe before them.

    argparse cannot tell a recipe that may be left out from the photos after it.
    """
    names_one = any(word.endswith(RECIPE_SUFFIXES) for word in words)
    if not words or words[0] not in TAKES_PHOTOS or names_one or not recipe_here():
        return list(words)
    return [words[0], str(RECIPE), *words[1:]]


def default_out() -> Path:
    """A project keeps its notes in its own folder; recipes of the checkout keep them there."""
    return Path("out").absolute() if recipe_here() else REPOSITORY / "out"


def add_common(parser: argparse.ArgumentParser, command: str) -> None:
    """The recipe, and the options of every command."""
    if command in TAKES_PHOTOS:
        parser.add_argument("recipe", type=Path, help=f"a YAML file ({RECIPE} may be left out)")
    else:
        add_recipe(parser)
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="print the requests as JSON; ask AWS nothing but, with credentials, the account",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=default_out(),
        help="folder for the notes of started jobs (default: out)",
    )
    parser.add_argument(
        "--poll", type=float, default=10.0, help="seconds between two looks at a running job"
    )
    parser.set_defaults(**DEFAULTS)


def add_shared(made: Parsers) -> None:
    """Options of several commands."""
    for name in ("train", "tune", "debug", "deploy", "api", "batch", "logs"):
        made[name].add_argument("--no-wait", action="store_true", help="start it, and do not wait")
    for name in ("prepare", "train", "tune", "batch", "register"):
        made[name].add_argument(
            "--again", action="store_true", help="start another one, even where one runs or is done"
        )
    for name in ("train", "tune", "debug"):
        made[name].add_argument(
            "--over-budget",
            action="store_true",
            help="start it although it may cost more than sagemaker.budget_usd",
        )
    for name in ("logs", "follow", "stop", "report", "deploy", "batch", "register", "drift"):
        made[name].add_argument("--job", default="", help="a job's name (default: the latest)")
    for name in ("train", "logs", "follow", "debug"):
        made[name].add_argument(
            "--metrics", action="store_true", help="of the log only the metrics, a line per epoch"
        )
    best = {
        "train": "with the hyperparameters",
        "deploy": "the model",
        "register": "the model",
        "batch": "with the model",
    }
    for name, use in best.items():
        made[name].add_argument(
            "--best", action="store_true", help=f"{use} of the latest search's best trial"
        )


def add_training(made: Parsers) -> None:
    """Options of trainings and searches."""
    for name in ("train", "debug"):
        made[name].add_argument(
            "--hyperparameters",
            type=Path,
            metavar="FILE",
            help="in place of the recipe's; such as best.json of `python -m tune`",
        )
    made["train"].add_argument(
        "--checkpoints",
        default="",
        help="an earlier training's name, to continue from its checkpoints",
    )
    made["tune"].add_argument("--search", default="", help="one search of the chain")
    made["debug"].add_argument(
        "--own", action="store_true", help="without SageMaker Debugger: the training watches itself"
    )


def add_endpoint(made: Parsers) -> None:
    """Options of models, endpoints and the API."""
    for name in ("deploy", "batch", "register"):
        made[name].add_argument(
            "--model",
            default="",
            help="a model.tar.gz, here or s3:// (default: the latest training's model)",
        )
    for name in ("deploy", "invoke"):
        made[name].add_argument(
            "--target",
            default="",
            help="the model's name on a multi-model endpoint (default: the newest of the recipe)",
        )
    made["status"].add_argument(
        "--all",
        action="store_true",
        help=argparse.SUPPRESS,  # of old scripts: status always looks for all
    )
    made["logs"].add_argument("--endpoint", action="store_true", help="the endpoint's log")
    made["deploy"].add_argument(
        "--update",
        action="store_true",
        help="in a dry run: show the update of a live endpoint; else force a new configuration",
    )
    made["api"].add_argument("--delete", action="store_true", help="remove it")
    made["api"].add_argument(
        "--url", action="store_true", help="print the URL of the API, and change nothing"
    )


def add_packages(made: Parsers) -> None:
    """Options of the model registry."""
    made["register"].add_argument("--approve", action="store_true", help="approve it at once")
    made["approve"].add_argument(
        "--version", type=int, default=0, help="a version's number (default: the newest)"
    )
    made["approve"].add_argument("--reject", action="store_true", help="reject it")
    made["approve"].add_argument("--why", default="", help="a description, kept with the version")
    made["deploy"].add_argument(
        "--package",
        default="",
        metavar="VERSION",
        help="a registered version: its number or ARN, or latest for the newest approved one",
    )


def add_rest(made: Parsers) -> None:
    """Photos to classify; options of delete and cost."""
    made["invoke"].add_argument(
        "photos", nargs="+", help="files, folders, s3:// objects, s3:// prefixes that end in /"
    )
    tables = ("check", "cost", "size", "status", "invoke", "batch", "models", "report", "packages")
    for name in (*tables, "drift"):
        made[name].add_argument(
            "--json", action="store_true", help="one JSON object per line in place of the table"
        )
    made["prepare"].add_argument(
        "--photos", default="", metavar="FOLDER", help="in place of the recipe's; or s3://…"
    )
    made["batch"].add_argument("photos", help="a folder, or an s3:// prefix")
    made["models"].add_argument(
        "--remove", default="", metavar="NAME", help="remove that model, by its whole name"
    )
    made["delete"].add_argument("--yes", action="store_true", help="do not ask")
    made["delete"].add_argument(
        "--data", action="store_true", help="also all objects under the recipe's prefix in S3"
    )
    for name in ("cost", "size"):
        made[name].add_argument(
            "--prices",
            type=Path,
            default=PRICES,
            help="a price table (default: launch/prices.yaml)",
        )
    add_size(made["size"])
    add_drift(made["drift"])


def add_size(parser: argparse.ArgumentParser) -> None:
    """What the endpoint must answer, and the artifact that answers."""
    parser.add_argument("--rps", type=above_zero, required=True, help="requests per second, in all")
    parser.add_argument(
        "--p99-ms",
        type=above_zero,
        required=True,
        help="milliseconds within which 99 of 100 answers must come",
    )
    parser.add_argument(
        "--model",
        type=Path,
        help="a trained model's folder or model.tar.gz (default: out/ml/model)",
    )
    parser.add_argument(
        "--speed", type=Path, metavar="FILE", help="what `python -m artifact.engines.speed` printed"
    )


def add_drift(parser: argparse.ArgumentParser) -> None:
    """Which photos are compared with which model's training."""
    parser.add_argument(
        "--model",
        default="",
        help="a model's folder or model.tar.gz, here or s3:// (default: the endpoint's)",
    )
    parser.add_argument(
        "--newest",
        type=whole_above_zero,
        default=NEWEST,
        metavar="N",
        help=f"how many captured photos, the newest first (default: {NEWEST})",
    )


def above_zero(text: str) -> float:
    """A finite number above 0, for argparse."""
    value = number(text)
    if value is None or not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"it must be a number above 0; found '{text}'")
    return value


def whole_above_zero(text: str) -> int:
    """A whole number above 0, for argparse."""
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"it must be a whole number above 0; found '{text}'")
    return int(text)
