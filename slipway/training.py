"""slipway train: the photos of a project learnt by its recipe, on this machine, in one command.

It prepares the photos, trains in a container or as a process, and packs the model as SageMaker
does. Everything is written to out/ in the current folder. After a failure out/ is as it was.

To train on an /opt/ml tree of your own: python -m train --root FOLDER.
"""

import argparse
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

from artifact.host.os_errors import sentence_of
from artifact.text.names import printable
from recipes.command_line import CommandLine, add_recipe, interrupted, setting
from recipes.errors import RecipeError
from recipes.hyperparameter_file import read_hyperparameters
from recipes.own_training import check_hyperparameters
from recipes.recipe import Recipe
from recipes.terminal import print_pairs
from runtime.container_engine import (
    ENGINE_HELP,
    choose_container_engine,
    make_container_engine,
)
from runtime.errors import RunError
from runtime.own_images import make_ready
from slipway.project import OUT, Results, photos_of, project_recipe
from slipway.stages import Stages
from slipway.steps import (
    channels_of,
    described,
    epochs_of,
    learn,
    prepare,
    show_results,
    unfinished,
)

FAILED = 1


def main(arguments: list[str] | None = None) -> int:
    """Train; the exit code: 0, 1 after one sentence, 2 for a wrong option, 130 for ^C."""
    options = parsed(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what runs is ended first
    try:
        return train(options)
    except (RecipeError, RunError, OSError) as error:
        print(f"train: failed: {printable(sentence_of(error))}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return interrupted("train", "; the earlier results are as they were")


def train(options: argparse.Namespace) -> int:
    """From the recipe to the packed model. RecipeError or RunError when a step fails."""
    started = time.monotonic()
    recipe = changed_recipe(options.recipe, options.hyperparameters, dict(options.set))
    photos = photos_of(recipe, options.photos)
    name = choose_container_engine(options.engine)
    source = printable(photos)
    print(f"train: '{recipe.name}' on '{source}', with {described(name)}", flush=True)
    make_ready(name, "train", "torch")
    out = options.out.absolute()
    with unfinished(out, keeps=("prepared",)) as results:
        stages = Stages("train", 2)
        with stages.stage("prepare", results.logs) as stage:
            prepare(photos, results.prepared, recipe.prepare, stage)
        channels = channels_of(results.prepared)
        if "train" not in channels:
            raise RunError(f"'{photos}' leaves no photos to train on")
        with stages.stage("train", results.logs, epochs_of(recipe)) as stage:
            engine = make_container_engine(name)
            measured = learn(engine, results, recipe.hyperparameters, channels, stage)
    show_results(Results(out), recipe.name)
    _show(recipe, Results(out), measured, time.monotonic() - started)
    return 0


def changed_recipe(path: Path, file: Path | None, changed: dict[str, str]) -> Recipe:
    """The recipe with other hyperparameters for its training. RecipeError for one that is wrong.

    file: of hyperparameters that replace the recipe's. changed: single ones, which win.
    """
    recipe = project_recipe(path)
    given = recipe.hyperparameters
    if file:
        given = read_hyperparameters(file)
    changed_ones = replace(recipe, hyperparameters=given | changed)
    check_hyperparameters(changed_ones)
    return changed_ones


def _show(recipe: Recipe, results: Results, measured: dict[str, float], seconds: float) -> None:
    """What was made and where, and a last line for programs."""
    rows: dict[str, object] = {
        f"accuracy ({part})": f"{value:.4f}" for part, value in measured.items()
    }
    rows["training report"] = results.training_report
    rows["photo report"] = results.photo_report
    rows["all results"] = results.index
    rows["model"] = results.archive
    rows["next"] = "slipway web (a page), slipway serve, or slipway tune"
    print_pairs(rows)
    figures = " ".join(f"{part}_accuracy={value:.4f}" for part, value in measured.items())
    print(f"train: recipe={recipe.name} {figures} seconds={seconds:.0f}", flush=True)


def parsed(arguments: list[str] | None) -> argparse.Namespace:
    parser = CommandLine(prog="train", description=__doc__)
    add_recipe(parser)
    parser.add_argument(
        "--photos",
        type=Path,
        help="a folder of photos for each class (default: the recipe's `prepare: photos:`)",
    )
    parser.add_argument(
        "--out", type=Path, default=OUT, help="where everything is written (default: out)"
    )
    parser.add_argument("--engine", default="", help=ENGINE_HELP)
    parser.add_argument(
        "--hyperparameters",
        type=Path,
        metavar="FILE",
        help="in place of the recipe's, such as out/tune/NAME/best.json",
    )
    parser.add_argument(
        "--set",
        type=setting,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="another value of a hyperparameter",
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
