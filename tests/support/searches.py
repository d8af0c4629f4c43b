"""Small searches for the tests of table, page and CSV: a chain as of the yoga project, odd ones."""

import math
from dataclasses import replace
from typing import Any

from tune.results import Trial, TuningJob

# Of each job: its number of trials, what it searches, its static hyperparameters
Space = tuple[float, float] | tuple[str, ...]
STEPS: dict[str, tuple[int, dict[str, Space], dict[str, str]]] = {
    "yoga-1": (
        6,
        {"lr": (0.005, 0.015), "batch_size": ("16", "20", "30", "40"), "epochs": ("5", "10")},
        {},
    ),
    "yoga-2": (
        6,
        {"lr": (0.005, 0.015), "batch_size": ("16", "20", "30", "40"), "epochs": ("5", "10")},
        {},
    ),
    "yoga-3": (10, {"lr": (0.015, 0.125), "batch_size": ("20", "30", "40")}, {"epochs": "6"}),
    "yoga-4": (6, {"lr": (0.120, 0.125)}, {"batch_size": "30", "epochs": "6"}),
}


def trial(name: str, value: float | None, status: str = "Completed", **settings: str) -> Trial:
    """A trial with a curve of two values; without a value it is out of memory."""
    curve = () if value is None else (value / 2, value)
    reason = "out of memory" if value is None else ""
    return Trial(
        name,
        status,
        settings,
        tuple(settings),
        value,
        curve,
        reason,
        "2026-11-21T10:00:00+00:00",
        "2026-11-21T10:02:30+00:00",
    )


def chain() -> tuple[TuningJob, ...]:
    """28 trials in 4 jobs, ranges narrowed and hyperparameters turned static.

    The fourth trial failed, the fifth was stopped; the best is the last.
    """
    jobs: list[TuningJob] = []
    for name, (count, spaces, static) in STEPS.items():
        fixed = {**static, "model": "vgg16"}
        trials = []
        for index in range(count):
            share = index / (count - 1)
            chosen = {key: _chosen(space, share, index) for key, space in spaces.items()}
            value = round(0.5 + 0.1 * len(jobs) + 0.01 * index, 4)
            tried = trial(f"{name}-{index + 1:03d}", value, **chosen)
            trials.append(replace(tried, hyperparameters={**chosen, **fixed}))
        job = TuningJob(
            name=name,
            objective="validation_accuracy",
            direction="Maximize",
            strategy="Bayesian",
            status="Completed",
            ranges={key: _range(space) for key, space in spaces.items()},
            static=fixed,
            # Each job learns from all before it: warm starts are not recursive.
            trials=tuple(trials),
            parents=tuple(job.name for job in jobs),
            warm_start="IdenticalDataAndAlgorithm" if jobs else "",
        )
        jobs.append(job)
    first = list(jobs[0].trials)
    first[3] = replace(first[3], status="Failed", objective=None, curve=(), reason="out of memory")
    first[4] = replace(first[4], status="Stopped", reason="stopped early")
    return (replace(jobs[0], trials=tuple(first)), *jobs[1:])


def _chosen(space: Space, share: float, index: int) -> str:
    """A value of a space: by its share of a range of numbers, by turns of categories."""
    first = space[0]
    if isinstance(first, float):
        return f"{first + share * (float(space[1]) - first):.6g}"
    return str(space[index % len(space)])


def _range(space: Space) -> dict[str, Any]:
    if isinstance(space[0], float):
        ends = {"min": space[0], "max": space[1]}
        return {"type": "Continuous", **ends, "scale": "Logarithmic"}
    return {"type": "Categorical", "values": list(space)}


def alone(
    trials: list[Trial], direction: str = "Maximize", names: int = 2, **changes: Any
) -> tuple[TuningJob, ...]:
    """One job with these trials.

    Its hyperparameters are h0, h1, …: linear, logarithmic, reverse logarithmic, integer,
    categorical, and again.
    """
    kinds: list[dict[str, Any]] = [
        {"type": "Continuous", "min": -1.0, "max": 1.0, "scale": "Linear"},
        {"type": "Continuous", "min": 1e-5, "max": 1.0, "scale": "Logarithmic"},
        {"type": "Continuous", "min": 0.0, "max": 0.999, "scale": "ReverseLogarithmic"},
        {"type": "Integer", "min": 1, "max": 512, "scale": "Auto"},
        {"type": "Categorical", "values": ["sgd", "adam", "adamw"]},
    ]
    ranges = {f"h{index}": kinds[index % len(kinds)] for index in range(names)}
    return (
        TuningJob(
            "search",
            "loss",
            direction,
            "Random",
            "Completed",
            ranges,
            {"model": "resnet50"},
            tuple(trials),
            **changes,
        ),
    )


def settings(names: int, share: float) -> dict[str, str]:
    """Values of h0, h1, … that lie this share into their ranges."""
    values = [
        f"{2 * share - 1:.4f}",
        f"{10 ** (5 * share - 5):.3g}",
        f"{0.999 * share:.4f}",
        str(1 + round(511 * share)),
        ("sgd", "adam", "adamw")[min(2, int(3 * share))],
    ]
    return {f"h{index}": values[index % len(values)] for index in range(names)}


def many(count: int, names: int, value=lambda share: (share - 0.3) ** 2) -> list[Trial]:
    """Trials of a search, their hyperparameters spread over their ranges."""
    # Steps of the golden ratio fill a range evenly, however many there are.
    shares = [math.modf(index * 0.618034)[0] for index in range(count)]
    return [
        trial(f"search-{index + 1}", value(share), **settings(names, share))
        for index, share in enumerate(shares)
    ]
