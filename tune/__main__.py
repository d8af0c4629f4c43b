"""python -m tune RECIPE: the tuning jobs of a recipe on this machine, one after the other.

Run it again and it goes on.
"""

import artifact.host.starting  # noqa: F401  # before all else: it takes Ctrl-C

# isort: split
import argparse
import fcntl
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from artifact.pages.project_index import refresh_above
from artifact.text.names import escape_output, printable
from recipes.errors import RecipeError
from recipes.recipe import Recipe, read_recipe
from tune.errors import SearchError, sentence_of
from tune.options import parse
from tune.results import ResultsError, read_results
from tune.search_settings import BEST_FILE, CSV_FILE, PAGE_FILE, RESULTS_FILE, SearchSettings

FAILED = 1
INTERRUPTED = 130  # as shells have it: 128 and SIGINT


def main(arguments: list[str] | None = None) -> int:
    """Search; the exit code.

    0: all tuning jobs have ended; 1: one cannot; 2: a wrong option; 130: interrupted.
    """
    escape_output()
    options = parse(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return search(options)
    except (RecipeError, ResultsError) as error:
        return _fail(str(error))
    except OSError as error:
        return _fail(sentence_of(error, options.out))
    except KeyboardInterrupt:
        _fail("interrupted; the same command goes on where this one stopped")
        return INTERRUPTED


def search(options: argparse.Namespace) -> int:
    """From the recipe to its results."""
    from tune.checks import check_chain, check_photos, count_workers, prepared_channels
    from tune.own_values import own_values
    from tune.show import show
    from tune.storage_url import given_or_hidden
    from tune.tracking import tracked_search

    options.storage = given_or_hidden(options.storage)
    recipe = read_recipe(options.recipe, dict(options.set))
    settings = _settings(options, recipe)
    options.out = settings.out
    check_chain(settings)
    if options.own_values_first:
        own_values(recipe)  # SearchError before anything is written
    out = settings.out
    workers, gpus = count_workers(options.workers, recipe)
    out.mkdir(parents=True, exist_ok=True)
    with _alone(out):
        if not settings.command:  # which brings photos of its own
            channels = prepared_channels(options.data, out, recipe)
            settings = replace(settings, channels=channels)
        check_photos(settings)
        settings.write()
        from tune.tuner import Tuner

        with tracked_search(recipe, out):
            Tuner(settings, workers, gpus).run()
            show(read_results(out / RESULTS_FILE), page=out / PAGE_FILE, csv=out / CSV_FILE)
    refresh_above(out / PAGE_FILE, recipe.name)
    results = out / RESULTS_FILE
    print(f"tune: results: {results}; the best hyperparameters: {out / BEST_FILE}", flush=True)
    return 0


def _settings(options: argparse.Namespace, recipe: Recipe) -> SearchSettings:
    """Those of this run. Its photos are known once the folder is ours."""
    out = options.out or Path("out") / "tune" / recipe.name
    parents = tuple(path.absolute() for path in options.parents)
    return SearchSettings(
        out=out.absolute(),
        document=recipe.document,
        changed=dict(options.set),
        channels={},  # known once the folder is ours
        parents=parents,
        engine=options.engine,
        image=options.image,
        command=options.command,
        variables=tuple(options.env),
        storage=options.storage,
        keep=options.keep,
        own_values_first=options.own_values_first,
        recipe_file=options.recipe,
    )


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Keep other tuners out of the folder. SearchError when one is at work there."""
    with open(out / "lock", "w", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise SearchError(
                f"another tuner is at work in '{out}'; wait for it, or name another --out"
            ) from error
        yield


def _fail(sentence: str) -> int:
    print(f"tune: failed: {printable(sentence)}", file=sys.stderr)
    return FAILED


if __name__ == "__main__":
    sys.exit(main())
