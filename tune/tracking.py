"""A search as a run on an MLflow server, below which its trials are runs of their own."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from recipes.recipe import Recipe
from train.tracking import PARENT, Tracker, open_tracker
from tune.results import read_results
from tune.search_settings import BEST_FILE, CSV_FILE, PAGE_FILE, RESULTS_FILE

BEGIN_S = 30.0  # for a server's first answer; without one, the trials need not ask again
FILES = (RESULTS_FILE, BEST_FILE, CSV_FILE, PAGE_FILE)


@contextmanager
def tracked_search(recipe: Recipe, out: Path) -> Iterator[None]:
    """The search's run from its start to its end, where MLFLOW_TRACKING_URI asks for it."""
    tracker = open_tracker()
    if not isinstance(tracker, Tracker):
        os.environ.pop("MLFLOW_TRACKING_URI", None)  # one sentence is enough
        yield
        return
    tracker.begin(f"search {recipe.name}", recipe.hyperparameters, {})
    if tracker.wait_begun(BEGIN_S):
        os.environ[PARENT] = tracker.run_id
    else:
        os.environ.pop("MLFLOW_TRACKING_URI")
    status = "FAILED"
    try:
        yield
        status = "FINISHED"
    except KeyboardInterrupt:
        status = "KILLED"
        raise
    finally:
        if PARENT in os.environ:
            if (out / RESULTS_FILE).is_file():
                best = read_results(out / RESULTS_FILE)[-1].best()
                if best:
                    tracker.metrics({"best_objective": best.objective})
            tracker.files([out / name for name in FILES], "search")
        tracker.end(status)
        os.environ.pop(PARENT, None)
