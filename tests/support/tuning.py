"""A small search on real photos, for the tuner's tests: three colours, a network that trains in a tenth of a second."""

import subprocess
import sys
from pathlib import Path

import yaml

from recipes.tuning import Tuning
from tests.support.jobs import REPOSITORY, SMALL, draw_channel
from tune.results import TuningJob
from tune.search import make_study
from tune.search_settings import SearchSettings, find_channels
from tune.trial_states import form
from tune.worker import Worker

LR = {"type": "Continuous", "min": 0.0005, "max": 0.05, "scale": "Logarithmic"}


def draw_data(folder: Path) -> Path:
    """A prepared folder: train and validation."""
    for number, (name, count) in enumerate({"train": 6, "validation": 4}.items()):
        draw_channel(folder / name, count, seed=number * 100)
    return folder


def document(*jobs: dict, **hyperparameters) -> dict:
    """A recipe's YAML; what a job does not say is a random search of lr in three trials of two epochs."""
    static = (
        {name: value for name, value in SMALL.items() if name != "lr"}
        | {"epochs": 2, "trainable": "head", "precision": "float32"}
        | hyperparameters
    )
    chain = [
        {
            "name": f"job-{number}",
            "strategy": "Random",
            "budgets": {"jobs": 3},
            "ranges": {"lr": LR},
        }
        | job
        for number, job in enumerate(jobs)
    ]
    for entry in chain:
        for name in entry["ranges"]:
            static.pop(name, None)
    return {"name": "small", "hyperparameters": static, "tuning": chain}


def settings(
    out: Path,
    data: Path,
    *jobs: dict,
    storage: str | None = None,
    engine: str = "in-process",
    keep: bool = False,
    **hyperparameters,
) -> SearchSettings:
    out.mkdir(parents=True, exist_ok=True)
    return SearchSettings(
        out,
        document(*jobs, **hyperparameters),
        {},
        find_channels(data),
        engine=engine,
        storage=storage,
        keep=keep,
    )


def search_here(
    asked: SearchSettings,
    tuning: Tuning | None = None,
    imported: tuple = (),
    worker: Worker | None = None,
) -> TuningJob:
    """One tuning job by one worker in this process."""
    tuning, worker = tuning or asked.recipe().tuning[0], worker or Worker(asked, 0)
    study = make_study(worker.storage, tuning, imported)
    worker._search(study, tuning)
    return form(study, tuning, "Completed")


def command(folder: Path, data: Path, recipe: dict, *options: object) -> list[str]:
    """`python -m tune` on a recipe, with its output under folder / "out"."""
    path = folder / "recipe.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(recipe))
    return [
        sys.executable,
        "-m",
        "tune",
        str(path),
        "--data",
        str(data),
        "--out",
        str(folder / "out"),
        *map(str, options),
    ]


def run(folder: Path, data: Path, recipe: dict, *options: object) -> subprocess.CompletedProcess:
    return subprocess.run(
        command(folder, data, recipe, *options),
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
