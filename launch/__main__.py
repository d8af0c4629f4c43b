"""python -m launch COMMAND RECIPE: the recipe's steps on SageMaker, by boto3. --dry-run prints each request as JSON and asks AWS nothing."""

import argparse
import sys
from pathlib import Path

from launch.api import api
from launch.batch import batch
from launch.check import check
from launch.context import open_context
from launch.cost import PRICES, cost
from launch.download import report
from launch.errors import LaunchError, sentence
from launch.hosting import deploy
from launch.invoke import invoke
from launch.jobs import debug, logs, status, stop, train, upload_channels
from launch.recipe import REPOSITORY, Recipe, check_hyperparameters, check_tuning, read_recipe
from launch.removal import delete
from launch.search import tune

OUT = REPOSITORY / "out"
FAILED, INTERRUPTED = 1, 130
COMMANDS = {
    "check": check,
    "cost": cost,
    "upload": upload_channels,
    "train": train,
    "tune": tune,
    "debug": debug,
    "status": status,
    "logs": logs,
    "stop": stop,
    "report": report,
    "deploy": deploy,
    "api": api,
    "invoke": invoke,
    "batch": batch,
    "delete": delete,
}


def main(arguments: list[str] | None = None) -> int:
    """Run a command; 0 when it did what it says, 1 with one sentence, 2 for a wrong option, 130 when interrupted."""
    options = parse(arguments)
    try:
        recipe = read_recipe(options.recipe)
        check_names(recipe, options)
        if options.command == "cost":
            return cost(recipe, options.prices, line_printer(False))
        context = open_context(recipe, options, options.out, line_printer(options.dry_run))
        code = COMMANDS[options.command](context)
    except KeyboardInterrupt:
        print(
            f"launch: interrupted; what was started goes on: python -m launch status {options.recipe}",
            file=sys.stderr,
        )
        return INTERRUPTED
    except Exception as error:
        if not expected(error):
            raise
        print(f"launch: failed: {sentence(error)}", file=sys.stderr)
        return FAILED
    if options.dry_run:
        print(context.show())
    return code


def check_names(recipe: Recipe, options: argparse.Namespace) -> None:
    """LaunchError for a hyperparameter that our training image refuses, before AWS is asked."""
    if options.command in ("check", "train", "debug") and not options.hyperparameters:
        check_hyperparameters(recipe)
    if options.command in ("check", "tune"):
        check_tuning(recipe)


def expected(error: Exception) -> bool:
    """Whether an exception is a sentence for the user: ours, of botocore, of the disk or the network."""
    return isinstance(error, (LaunchError, OSError)) or type(error).__module__.startswith(
        ("botocore", "boto3")
    )


def line_printer(dry: bool):
    """Where lines for people go: standard output, which in a dry run is left to the JSON."""
    stream = sys.stderr if dry else sys.stdout
    return lambda line: print(line, file=stream, flush=True)


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="launch", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    made = {
        name: commands.add_parser(
            name, help=function.__doc__.split(".")[0], description=function.__doc__
        )
        for name, function in COMMANDS.items()
    }
    for one in made.values():
        one.add_argument("recipe", type=Path)
        one.add_argument(
            "--dry-run",
            action="store_true",
            help="print the requests as JSON; ask AWS nothing but, with credentials, the account",
        )
        one.add_argument(
            "--out", type=Path, default=OUT, help="where what was started is noted (default: out)"
        )
        one.add_argument(
            "--poll", type=float, default=10.0, help="seconds between two looks at what runs"
        )
        one.set_defaults(
            no_wait=False,
            again=False,
            job="",
            metrics=False,
            over_budget=False,
            endpoint=False,
            target="",
            model="",
            best=False,
            hyperparameters=None,
        )
    for name in ("train", "tune", "debug", "deploy", "api", "batch", "logs"):
        made[name].add_argument("--no-wait", action="store_true", help="start it, and leave")
    for name in ("train", "tune", "batch"):
        made[name].add_argument(
            "--again", action="store_true", help="start another one, even where one runs or is done"
        )
    for name in ("train", "tune", "debug"):
        made[name].add_argument(
            "--over-budget",
            action="store_true",
            help="start it although it may cost more than sagemaker.budget_usd",
        )
    for name in ("logs", "stop", "report", "deploy", "batch"):
        made[name].add_argument("--job", default="", help="a job's name (default: the latest)")
    for name in ("train", "logs", "debug"):
        made[name].add_argument(
            "--metrics", action="store_true", help="of the log only the metrics, one line an epoch"
        )
    for name in ("deploy", "batch"):
        made[name].add_argument(
            "--model",
            default="",
            help="a model.tar.gz, here or s3:// (default: what the latest training left)",
        )
    for name in ("deploy", "invoke"):
        made[name].add_argument(
            "--target",
            default="",
            help="of a multi-model endpoint: the model's name there (default: <recipe>.tar.gz)",
        )
    for name, what in (
        ("train", "with the hyperparameters"),
        ("deploy", "the model"),
        ("batch", "with the model"),
    ):
        made[name].add_argument(
            "--best", action="store_true", help=f"{what} of the latest search's best trial"
        )
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
        help="an earlier training's name, to go on from its checkpoints",
    )
    made["tune"].add_argument("--search", default="", help="one search of the chain")
    made["debug"].add_argument(
        "--own", action="store_true", help="without SageMaker Debugger: the training watches itself"
    )
    made["logs"].add_argument("--endpoint", action="store_true", help="the endpoint's log")
    made["deploy"].add_argument(
        "--update",
        action="store_true",
        help="in a dry run: show the update of a live endpoint; else force a new configuration",
    )
    made["api"].add_argument("--delete", action="store_true", help="remove it")
    made["api"].add_argument(
        "--url", action="store_true", help="print the URL of what is there, and change nothing"
    )
    made["invoke"].add_argument(
        "photos", nargs="+", help="files, folders, s3:// objects, s3:// prefixes that end in /"
    )
    made["invoke"].add_argument(
        "--json", action="store_true", help="one JSON object a line in place of the table"
    )
    made["batch"].add_argument("photos", help="a folder, or an s3:// prefix")
    made["delete"].add_argument("--yes", action="store_true", help="do not ask")
    made["delete"].add_argument(
        "--data", action="store_true", help="what lies under the recipe's prefix in S3, too"
    )
    made["cost"].add_argument(
        "--prices", type=Path, default=PRICES, help="a price table (default: launch/prices.yaml)"
    )
    options = parser.parse_args(arguments)
    if options.best and options.hyperparameters:
        made[options.command].error(
            "--best and --hyperparameters both say what to train with; give one"
        )
    return options


if __name__ == "__main__":
    sys.exit(main())
