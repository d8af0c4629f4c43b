"""python -m launch COMMAND RECIPE: the recipe's steps on SageMaker, by boto3.

--dry-run prints each request as JSON and asks AWS nothing.
"""

import artifact.host.starting  # noqa: F401  # before all else: it takes Ctrl-C

# isort: split
import argparse
import os
import sys
from collections.abc import Callable

from artifact.text.names import escape_output, printable
from launch.api import api
from launch.batch import batch
from launch.channels import upload_channels
from launch.check import check
from launch.context import LaunchContext, open_context
from launch.cost import cost
from launch.download import report
from launch.drift import drift
from launch.errors import LaunchError, is_expected, sentence
from launch.hosting import deploy
from launch.invoke import invoke
from launch.jobs import debug, train
from launch.monitoring import logs, status, stop
from launch.multi_model import models
from launch.options import parse_options
from launch.packages import approve, packages, register
from launch.preparation import prepare
from launch.recipe import Recipe, check_hyperparameters, check_tuning, read_recipe
from launch.removal import delete
from launch.search import tune
from launch.size import run_size, size
from launch.tagged import recall_lost
from launch.take_up import take_up
from recipes.command_line import reader_left

# Exit codes.
FAILED = 1
INTERRUPTED = 130  # 128 + SIGINT, as shells have it
COMMANDS: dict[str, Callable[[LaunchContext], int]] = {
    "check": check,
    "upload": upload_channels,
    "prepare": prepare,
    "train": train,
    "tune": tune,
    "debug": debug,
    "status": status,
    "logs": logs,
    "follow": take_up,
    "stop": stop,
    "report": report,
    "register": register,
    "approve": approve,
    "packages": packages,
    "deploy": deploy,
    "models": models,
    "api": api,
    "invoke": invoke,
    "batch": batch,
    "drift": drift,
    "delete": delete,
}


# Commands that begin with what the notes have of jobs. `status` and its like always look further.
OF_JOBS = ("prepare", "train", "tune", "debug", "logs", "report", "register", "deploy", "batch")
# Commands after which the index of the results may say something else.
LISTED = ("prepare", "train", "tune", "debug", "deploy", "api", "batch", "delete")


def main(arguments: list[str] | None = None) -> int:
    """Run a command: 0 when it succeeded, 1 with one sentence, 2 for a wrong option, 130 for ^C."""
    escape_output()
    options = parse(arguments)
    try:
        return run(options)
    except KeyboardInterrupt:
        print(
            "launch: interrupted; what was started continues: "
            f"`launch follow {options.recipe}` waits for it again, `launch status` shows it",
            file=sys.stderr,
        )
        return INTERRUPTED
    except BrokenPipeError:
        return reader_left()
    except Exception as error:
        if not is_expected(error):
            raise
        print(f"launch: failed: {printable(sentence(error))}", file=sys.stderr)
        return FAILED


def run(options: argparse.Namespace) -> int:
    """Run the command of the options; its exit code."""
    recipe = read_recipe(options.recipe)
    check_names(recipe, options)
    if options.command == "cost":
        # This one and size need no region and no account; even a dry run prints their tables.
        return cost(recipe, options.prices, line_printer(dry=False), options.json)
    if options.command == "size":
        return run_size(options, recipe, line_printer(dry=False))
    context = open_context(recipe, options, options.out, line_printer(options.dry_run))
    if options.command in OF_JOBS:
        recall_lost(context, options.command)
    try:
        code = COMMANDS[options.command](context)
    except Exception as error:
        say_continues(context, error)
        raise
    if options.command in LISTED and not options.dry_run:
        from artifact.pages.project_index import (
            refresh,  # loads numpy, which most commands do without
        )

        refresh(context.out)
    # The only thing on standard output, so that a program can read it.
    if options.dry_run:
        print(context.show())
    return code


def say_continues(context: LaunchContext, error: Exception) -> None:
    """A line where AWS stopped answering while a command waited: what it waited for runs on."""
    is_answer = is_expected(error) and not isinstance(error, (LaunchError, OSError))
    if context.has_waited and is_answer:
        context.print(
            f"what was started continues: `launch follow {context.recipe.path}` waits for it again"
        )


def check_names(recipe: Recipe, options: argparse.Namespace) -> None:
    """LaunchError for a hyperparameter that our training image refuses, before AWS is asked."""
    if options.command in ("check", "train", "debug") and not options.hyperparameters:
        check_hyperparameters(recipe)
    if options.command in ("check", "tune"):
        check_tuning(recipe)


def line_printer(dry: bool) -> Callable[[str], None]:
    """Prints lines for people on standard output; a dry run keeps that for its JSON.

    Each text is one line: no name and no reason that it quotes begins a line of its own.
    """
    stream = sys.stdout
    if dry:
        stream = sys.stderr
    return lambda text: print(printable(text), file=stream, flush=True)


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The options of a command line; each command's help is its function's docstring."""
    functions = {**COMMANDS, "cost": cost, "size": size}
    helps = {name: function.__doc__ or "" for name, function in functions.items()}
    return parse_options(arguments, __doc__ or "", helps)


def program() -> None:
    """main as a program: Ctrl-C leaves at once, and waits for no thread that waits for AWS."""
    code = main()
    if code != INTERRUPTED:
        sys.exit(code)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    program()
