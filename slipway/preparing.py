"""slipway prepare [SRC [DST]]: photos to verified RGB, a split, a report.

Without SRC it takes the photos and the options of the project's recipe.
"""

import argparse
import subprocess
import sys
from pathlib import Path

from artifact.host.starting import INTERRUPTED
from artifact.pages.project_index import refresh_above
from artifact.text.names import printable
from recipes.command_line import RECIPE, CommandLine
from recipes.errors import RecipeError
from recipes.preparation import options_of_prepare
from recipes.recipe import Recipe, read_recipe
from runtime.errors import RunError
from slipway.project import photos_of, results_here

FAILED = 1
REPORT = "report.html"  # of a folder of prepared photos


def main(arguments: list[str] | None = None) -> int:
    """Prepare; the exit code is that of `python -m prepare`."""
    options = parsed(arguments)
    try:
        recipe = None if options.source else read_recipe(options.recipe)
        words = _words(options, recipe)
    except (RecipeError, RunError) as error:
        print(f"prepare: failed: {printable(error)}", file=sys.stderr)
        return FAILED
    try:
        code = subprocess.call([sys.executable, "-m", "prepare", *words])
    except KeyboardInterrupt:  # that program has got it, too, and says so
        return INTERRUPTED
    if recipe and not code:  # that program knows no recipe
        refresh_above(options.destination / REPORT, recipe.name)
    return code


def _words(options: argparse.Namespace, recipe: Recipe | None) -> list[str]:
    """The command line of `python -m prepare`. RunError without photos."""
    source = options.source
    words: list[str] = []
    if recipe:
        source = photos_of(recipe)
        words = recipe.prepare.options()
    for entry in options_of_prepare():
        given = getattr(options, entry.name)
        if given is not None:  # it wins over the recipe's, which stands before it
            words.append(f"--{entry.name.replace('_', '-')}={given}")
    return [*words, "--", str(source), str(options.destination)]


def parsed(arguments: list[str] | None) -> argparse.Namespace:
    parser = CommandLine(prog="prepare", description=__doc__)
    parser.add_argument("source", nargs="?", type=Path, metavar="SRC", help="folder of photos")
    parser.add_argument(
        "destination",
        nargs="?",
        type=Path,
        metavar="DST",
        default=results_here().prepared,
        help="folder to make or to bring up to date (default: out/prepared)",
    )
    parser.add_argument(
        "--recipe", type=Path, default=RECIPE, help=f"without SRC (default: {RECIPE})"
    )
    for entry in options_of_prepare():
        name = f"--{entry.name.replace('_', '-')}"
        parser.add_argument(name, help=entry.metadata["sets"])
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
