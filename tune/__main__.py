"""python -m tune RECIPE: the tuning jobs of a recipe on this machine, one after the other.

Run it again and it goes on.
"""

import argparse
import fcntl
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from recipes.errors import RecipeError
from tune.errors import SearchError, sentence_of
from tune.results import ResultsError, read_results
from tune.search_settings import BEST_FILE, CSV_FILE, PAGE_FILE, RESULTS_FILE, SearchSettings
from tune.trial_runners import ENGINES

FAILED = 1
INTERRUPTED = 130  # as shells have it: 128 and SIGINT


def main(arguments: list[str] | None = None) -> int:
    """Search; the exit code.

    0: all tuning jobs have ended; 1: one cannot; 2: a wrong option; 130: interrupted.
    """
    options = _parse(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return search(options)
    except (RecipeError, ResultsError) as error:
        return _fail(str(error))
    except OSError as error:
        return _fail(sentence_of(error))
    except KeyboardInterrupt:
        _fail("interrupted; the same command goes on where this one stopped")
        return INTERRUPTED


def search(options: argparse.Namespace) -> int:
    """From the recipe to its results."""
    from recipes.recipe import read_recipe
    from tune.checks import check_chain, check_photos, count_workers, prepared_channels
    from tune.show import show

    changed = dict(options.set)
    recipe = read_recipe(options.recipe, changed)
    out = options.out or Path("out") / "tune" / recipe.name
    parents = tuple(path.absolute() for path in options.parents)
    settings = SearchSettings(
        out=out.absolute(),
        document=recipe.document,
        changed=changed,
        channels={},  # known once the folder is ours
        parents=parents,
        engine=options.engine,
        image=options.image,
        storage=options.storage,
        keep=options.keep,
        recipe_file=options.recipe,
    )
    check_chain(settings)
    out = settings.out
    workers, gpus = count_workers(options.workers, recipe)
    out.mkdir(parents=True, exist_ok=True)
    with _alone(out):
        channels = prepared_channels(options.data, out, recipe)
        settings = replace(settings, channels=channels)
        check_photos(settings)
        settings.write()
        from tune.tuner import Tuner

        Tuner(settings, workers, gpus).run()
        jobs = read_results(out / RESULTS_FILE)
        show(jobs, page=out / PAGE_FILE, csv=out / CSV_FILE)
    print(
        f"tune: results: {out / RESULTS_FILE}; the best hyperparameters: {out / BEST_FILE}",
        flush=True,
    )
    return 0


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


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tune", description=__doc__)
    parser.add_argument("recipe", type=Path, help="a YAML file with a section `tuning`")
    parser.add_argument(
        "--data",
        type=Path,
        default=Path("out") / "prepared",
        help="photos: as `python -m prepare` leaves them, or a folder per class, "
        "which is then prepared first (default: out/prepared)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        help="where the search is kept and its results are written (default: out/tune/NAME)",
    )
    parser.add_argument(
        "--set",
        type=_setting,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="another value of a static hyperparameter, in all tuning jobs",
    )
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
        "--workers",
        type=int,
        help="trials at once on this machine, at most its cores, or GPUs "
        "(default: as the recipe's budgets say)",
    )
    parser.add_argument(
        "--storage",
        metavar="URL",
        help="a database on which several machines share the search, such as postgresql://… "
        "(default: a file in --out)",
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
    return parser.parse_args(arguments)


def _setting(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"expected NAME=VALUE, found '{text}'")
    return name.strip().replace("-", "_"), value


def _fail(sentence: str) -> int:
    print(f"tune: failed: {sentence}", file=sys.stderr)
    return FAILED


if __name__ == "__main__":
    sys.exit(main())
