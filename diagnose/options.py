"""The command line of `python -m diagnose`."""

import argparse
from pathlib import Path

from diagnose.defaults import CHOICES, OURS
from diagnose.following import TIMEOUT_S
from recipes.command_line import CommandLine, recipe_here

OUTPUT = Path("out") / "ml" / "output"  # of `slipway train`, in a project's folder


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The options; ends the process with 2 and a sentence for a wrong one."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.output is None and recipe_here():
        options.output = OUTPUT
    if not options.list and options.output is None:
        parser.error("OUTPUT is missing: the folder that a training with debug=true wrote")
    if (options.action != "none" or options.stop_pid is not None) and not options.follow:
        parser.error("--action and --stop-pid go with --follow")
    if options.hyperparameters and options.follow:
        parser.error(
            "--hyperparameters trains to the end before any rule runs; it does not go with --follow"
        )
    if options.stop_pid is not None and options.stop_pid < 1:
        parser.error(f"--stop-pid must be a process of the training; found '{options.stop_pid}'")
    return options


def _parser() -> argparse.ArgumentParser:
    parser = CommandLine(
        prog="diagnose",
        description="SageMaker Debugger's built-in rules over the tensors that a training saved; "
        "exit code 0: no rule fired, 3: one did, 1: the rules cannot be evaluated",
    )
    parser.add_argument(
        "output",
        nargs="?",
        type=Path,
        metavar="OUTPUT",
        help="a training's output folder, or the folder of its tensors (default in a project's "
        "folder: out/ml/output)",
    )
    _add_rules(parser)
    _add_defaults(parser)
    _add_answers(parser)
    _add_training(parser)
    _add_following(parser)
    return parser


def _add_rules(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--list", action="store_true", help="print the rules' names, one per line, and end"
    )
    parser.add_argument(
        "--rules",
        help="names with commas between, or all (default: those that need no choice of yours)",
    )
    parser.add_argument(
        "--parameters",
        nargs="+",
        action="extend",
        default=[],
        metavar="RULE.NAME=VALUE",
        help="or a JSON file of {rule: {name: value}}",
    )


def _add_defaults(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--defaults",
        choices=CHOICES,
        default=OURS,
        help="sagemaker: the rules' parameters as SageMaker documents them. They often fire on a "
        f"sound training; the default {OURS} does not. A single rule takes RULE.defaults=sagemaker",
    )


def _add_answers(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--answers",
        type=Path,
        nargs="+",
        action="extend",
        default=[],
        metavar="FINDINGS_JSON",
        help="answers of other rules on the same training, to be part of the pages' verdict",
    )


def _add_training(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--hyperparameters",
        type=Path,
        metavar="FILE",
        help="train with these first, with debug and profile on, under OUTPUT, a new folder; "
        "such as best.json of `python -m tune`",
    )
    parser.add_argument(
        "--data",
        type=Path,
        default=Path("out") / "prepared",
        help="of --hyperparameters: the prepared photos (default: out/prepared)",
    )


def _add_following(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--follow",
        action="store_true",
        help="evaluate each step as it comes, until the training ends",
    )
    parser.add_argument(
        "--action",
        choices=("none", "stop"),
        default="none",
        help="with --follow: stop sends the training SIGTERM when a rule fires",
    )
    parser.add_argument(
        "--stop-pid", type=int, help="the process to stop, where the tensors do not name it"
    )
    parser.add_argument(
        "--timeout",
        type=_seconds,
        default=TIMEOUT_S,
        help=f"with --follow: seconds without a new step before giving up (default {TIMEOUT_S:g})",
    )


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < 1e9:
        raise argparse.ArgumentTypeError(f"must be seconds above 0; found '{text}'")
    return seconds
