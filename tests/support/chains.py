"""Chains of tuning jobs for the tuner's tests, which train nothing."""

from pathlib import Path

from recipes.recipe import parse_recipe
from tune.results import Trial
from tune.search_settings import SearchSettings

LR = {"type": "Continuous", "min": 0.001, "max": 0.1, "scale": "Logarithmic"}


def recipe(*jobs: dict, **hyperparameters):
    chain = [
        {"name": f"job-{number}", "budgets": {"jobs": 4}, "ranges": {"lr": LR}} | job
        for number, job in enumerate(jobs)
    ]
    return parse_recipe(
        {
            "name": "small",
            "hyperparameters": {"epochs": 2, "batch_size": 8} | hyperparameters,
            "tuning": chain,
        }
    )


def settings(*jobs: dict, **hyperparameters) -> SearchSettings:
    chain = [
        {"name": f"job-{number}", "budgets": {"jobs": 4}, "ranges": {"lr": LR}} | job
        for number, job in enumerate(jobs)
    ]
    return SearchSettings(
        Path("out"),
        {"name": "small", "hyperparameters": {"epochs": 2} | hyperparameters, "tuning": chain},
        {},
        {},
    )


CHILD = {"parents": ["job-0"], "warm_start": "IdenticalDataAndAlgorithm"}


def tried(name: str, objective: float | None, status: str = "Completed", **texts: str) -> Trial:
    return Trial(name, status, texts, ("lr",), objective)
