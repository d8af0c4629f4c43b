"""The checks before the first trial: hyperparameters, warm starts, photos, number of workers."""

import os
import subprocess
import sys
from pathlib import Path

from artifact.folders.channels import CHANNEL_NAMES, MODEL_CHANNEL
from artifact.host.machine import cpu_count
from recipes.own_training import check_tuning
from recipes.recipe import Recipe
from recipes.warm_start import check_chain as check_parents
from tune.errors import SearchError
from tune.results import read_results
from tune.search_settings import SearchSettings, find_channels, fingerprint, fingerprint_beside

PREPARED = Path("out") / "prepared"
REPOSITORY = Path(__file__).resolve().parent.parent


def check_chain(settings: SearchSettings) -> Recipe:
    """SearchError when a tuning job could not run: the first thing that is wrong with the chain."""
    recipe = settings.recipe()
    if not recipe.tuning:
        raise SearchError(
            f"the recipe {recipe.name} has no tuning jobs; give it a section `tuning`"
        )
    if not settings.command:  # whose training may be any program
        check_tuning(recipe, (*CHANNEL_NAMES, MODEL_CHANNEL))  # which the photos may bring
    given = settings.known_parents()
    for tuning in recipe.tuning:
        if tuning.name in given:
            raise SearchError(
                f"tuning job {tuning.name}: a file of --parents holds one of this name; rename one"
            )
    check_parents(recipe.tuning, given)
    return recipe


def check_photos(settings: SearchSettings) -> None:
    """SearchError when a warm start on identical data comes from a search on other photos."""
    for path in settings.parents:
        theirs = fingerprint_beside(path)
        if not theirs or theirs == fingerprint(settings.channels):
            continue
        names = {job.name for job in read_results(path)}
        for tuning in settings.recipe().tuning:
            other = sorted(names & set(tuning.parents))
            if other and tuning.warm_start == "IdenticalDataAndAlgorithm":
                raise SearchError(
                    f"tuning job {tuning.name}: its parent '{other[0]}' was a search on other "
                    f"photos, but its warm start is {tuning.warm_start}; "
                    "TransferLearning may change the data"
                )


def count_workers(wanted: int | None, recipe: Recipe) -> tuple[int, list[str]]:
    """The number of workers, and the GPUs to share among them, none on a machine without.

    wanted: None for the largest `parallel` of the recipe. SearchError for less than one.
    """
    if wanted is not None and wanted < 1:
        raise SearchError(f"--workers must be at least 1; found {wanted}")
    gpus = visible_gpus()
    most = cpu_count()
    what = "cores"
    if gpus:  # a trial has a GPU of its own
        most = len(gpus)
        what = "GPUs"
    asked = wanted or max(tuning.budgets.parallel for tuning in recipe.tuning)
    if wanted and wanted > most:
        print(f"tune: {wanted} workers are too many for {most} {what}; taking {most}", flush=True)
    return min(asked, most), gpus


def visible_gpus() -> list[str]:
    """Numbers of the GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given is not None:
        names = [name.strip() for name in given.split(",")]
        return [name for name in names if name not in ("", "-1")]
    try:
        found = subprocess.run(
            ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    if found.returncode != 0:  # nvidia-smi without a driver
        return []
    return found.stdout.split()


def photos_here(recipe: Recipe) -> Path:
    """The photos that no option names: the prepared ones here, else the recipe's."""
    if PREPARED.is_dir() or not recipe.prepare.photos:
        return PREPARED
    return recipe.photos_folder()


def prepared_channels(data: Path | None, out: Path, recipe: Recipe) -> dict[str, Path]:
    """The channels of the trainings. SearchError without any.

    They are those of a prepared folder, or, for a folder of photos, those that `python -m prepare`
    makes of it now with the recipe's options.

    data: None for the photos that no option names.
    """
    data = data or photos_here(recipe)
    if not data.is_dir():
        raise SearchError(f"the folder '{data}' does not exist; name the photos with --data")
    channels = find_channels(data)
    if channels:
        return channels
    prepared = out / "prepared"
    print(f"tune: preparing the photos of '{data}'", flush=True)
    command = [sys.executable, "-m", "prepare"]
    command += [str(data.absolute()), str(prepared)]
    command += recipe.prepare.options()
    code = subprocess.run(command, cwd=REPOSITORY, check=False).returncode
    if code:
        raise SearchError(f"the photos of '{data}' could not be prepared; the reason stands above")
    return find_channels(prepared)
