"""A small search on real photos for the tuner's tests: three colours, a network of 0.1 s."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import optuna
import yaml

from recipes.ranges import Continuous
from recipes.tuning import Budgets, Objective, Tuning
from tests.support.jobs import REPOSITORY, SMALL, draw_channel
from tests.support.warm_processes import run as run_warm
from tune.results import Trial, TuningJob
from tune.search import choose, steer
from tune.search_settings import SearchSettings, find_channels
from tune.study import make_study
from tune.trial_states import OWNER, TEXTS, claim, form, process_here
from tune.worker import Worker

Document = dict[str, Any]  # a recipe's YAML, or a part of it
LIMIT_S = 90  # of a wait
LOSS = {"metric": "validation_loss", "direction": "Minimize"}
LR = {"type": "Continuous", "min": 0.0005, "max": 0.05, "scale": "Logarithmic"}


def draw_data(folder: Path) -> Path:
    """A prepared folder: train and validation."""
    draw_channel(folder / "train", 6, seed=0)
    draw_channel(folder / "validation", 4, seed=100)
    return folder


def document(*jobs: Document, **hyperparameters: object) -> Document:
    """A recipe's YAML; by default a job is a random search of lr, three trials of two epochs."""
    static: Document = {name: value for name, value in SMALL.items() if name != "lr"}
    static |= {"epochs": 2, "trainable": "head", "precision": "float32"} | hyperparameters
    chain = []
    for number, job in enumerate(jobs):
        entry = {"name": f"job-{number}", "strategy": "Random", "budgets": {"jobs": 3}}
        chain.append(entry | {"ranges": {"lr": LR}} | job)
    # What is searched has no fixed value.
    for entry in chain:
        for name in entry["ranges"]:
            static.pop(name, None)
    return {"name": "small", "hyperparameters": static, "tuning": chain}


def settings(
    out: Path,
    data: Path,
    *jobs: Document,
    storage: str | None = None,
    engine: str = "in-process",
    keep: bool = False,
    **hyperparameters: object,
) -> SearchSettings:
    """The settings of a search of `document`."""
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
    imported: tuple[tuple[str, Trial], ...] = (),
    worker: Worker | None = None,
) -> TuningJob:
    """One tuning job by one worker in this process."""
    tuning = tuning or asked.recipe().tuning[0]
    worker = worker or Worker(asked, 0)
    study = make_study(worker.storage, tuning, imported)
    worker._search(study, tuning)
    return form(study, tuning, "Completed")


def command(folder: Path, data: Path, recipe: Document, *options: object) -> list[str]:
    """`python -m tune` on a recipe, with its output under folder / "out"."""
    path = folder / "recipe.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(recipe))
    words = [sys.executable, "-m", "tune", str(path), "--data", str(data)]
    return [*words, "--out", str(folder / "out"), *map(str, options)]


def run(
    folder: Path, data: Path, recipe: Document, *options: object
) -> subprocess.CompletedProcess[str]:
    """`command`, run to its end."""
    return run_warm(command(folder, data, recipe, *options), cwd=REPOSITORY)


def settings_tuning(budgets: Budgets, direction: str) -> Tuning:
    """A tuning job of lr with these budgets."""
    return Tuning("job", Objective(direction=direction), budgets, (Continuous("lr", 0.1, 1),), {})


def dead() -> list[str | int | float]:
    """The owner's mark of a process of this machine that has ended."""
    # A pid that was real a moment ago, and that nobody has again so soon.
    child = subprocess.Popen(["sleep", "0"])
    mark = process_here(child.pid)
    # A zombie would still have its pid.
    child.wait()
    return list(mark)


def begin(
    study: optuna.Study, tuning: Tuning, owner: list[str | int | float] | None = None
) -> optuna.Trial:
    """A trial that has begun, owned by this process or another."""
    steer(study, tuning, 0)
    trial = study.ask()
    assert claim(trial, tuning)
    if owner:
        trial.set_user_attr(OWNER, owner)
    trial.set_user_attr(TEXTS, choose(trial, tuning))
    return trial
