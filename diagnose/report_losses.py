"""The losses of a training, for the report's curves: of our own history.csv, else of tensors that smdebug saved."""

import csv
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

HISTORY = ("history.csv", "data/history.csv", "output/data/history.csv", "../history.csv", "../data/history.csv")
TENSORS = ("tensors", "debug-output", "output/tensors", "data/tensors", "../tensors", "")
LINES = {"train_loss": "Training", "validation_loss": "Validation"}
Curves = dict[str, tuple[np.ndarray, np.ndarray]]


def read_losses(output: Path) -> tuple[str, Curves, list[str]]:
    """What x counts, the curves by name (x and y float64 [N]), and sentences on what could not be read; no curves where there are none."""
    notes: list[str] = []
    for path in (Path(output) / place for place in HISTORY):
        if path.is_file():
            try:
                curves = _history(path)
            except (OSError, ValueError, csv.Error) as error:
                notes.append(f"'{path}' could not be read: {error}")
                continue
            if curves:
                return "epoch", curves, notes
    for folder in (Path(output) / place for place in TENSORS):
        if next((folder / "collections").glob("*/*_collections.json"), None):  # without one smdebug would wait for ever
            try:
                curves = dict(_tensors(folder))
            except Exception as error:  # whatever a half-written file makes smdebug say: the page has more to show
                notes.append(f"the tensors in '{folder}' could not be read: {str(error) or type(error).__name__}")
                continue
            if curves:
                return "step", curves, notes
    return "", {}, notes


def _history(path: Path) -> Curves:
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    curves = {}
    for column, name in LINES.items():
        points = [(float(row["epoch"]), _number(row[column])) for row in rows if row.get("epoch") and row.get(column) is not None]
        if any(math.isfinite(y) for _, y in points):
            curves[name] = np.array([x for x, _ in points]), np.array([y for _, y in points])
    return curves


def _number(text: str) -> float:
    return float(text) if text else math.nan


def _tensors(folder: Path) -> Iterator[tuple[str, tuple[np.ndarray, np.ndarray]]]:
    """Each loss tensor's mean at each step it was saved, by mode."""
    from smdebug.core.modes import ModeKeys
    from smdebug.trials import create_trial

    trial = create_trial(str(folder))
    for name in sorted(trial.tensor_names(collection="losses")):
        for mode, words in ((ModeKeys.TRAIN, "training"), (ModeKeys.EVAL, "validation"), (ModeKeys.GLOBAL, "")):
            steps = trial.tensor(name).steps(mode=mode)
            if steps and (words or not trial.tensor(name).steps(mode=ModeKeys.TRAIN)):
                values = [float(np.mean(trial.tensor(name).value(step, mode=mode))) for step in steps]
                yield f"{name} {words}".strip(), (np.array(steps, float), np.array(values))
