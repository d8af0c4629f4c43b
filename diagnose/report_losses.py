"""The losses of a training, for the report's curves: of our own history.csv, else of tensors that smdebug saved."""

import csv
import json
import math
import re
from collections import defaultdict
from pathlib import Path

import numpy as np

HISTORY = (
    "history.csv",
    "data/history.csv",
    "output/data/history.csv",
    "../history.csv",
    "../data/history.csv",
)
TENSORS = ("tensors", "debug-output", "output/tensors", "data/tensors", "../tensors", "")
LINES = {
    "validation_loss": "Validation",
    "train_loss": "Training",
}  # in the colours of the training's own report
MODES = {"TRAIN": "training", "EVAL": "validation"}
LOSS = re.compile("[Ll]oss_(?!input).*output")  # smdebug's own collection "losses"
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
        if (folder / "index").is_dir():
            curves = _tensors(folder, notes)
            if curves:
                return "step", curves, notes
    return "", {}, notes


def _history(path: Path) -> Curves:
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    curves = {}
    for column, name in LINES.items():
        points = [
            (float(row["epoch"]), _number(row[column]))
            for row in rows
            if row.get("epoch") and row.get(column) is not None
        ]
        if any(math.isfinite(y) for _, y in points):
            curves[name] = np.array([x for x, _ in points]), np.array([y for _, y in points])
    return curves


def _number(text: str) -> float:
    return float(text) if text else math.nan


def _tensors(folder: Path, notes: list[str]) -> Curves:
    """Each loss tensor's mean at each step it was saved, by mode. Read file by file: smdebug's own trial waits for what a crash never wrote."""
    from smdebug.core.tfrecord.tensor_reader import TensorReader

    points: dict[str, list[tuple[float, float]]] = defaultdict(list)
    broken = []
    for path in sorted((folder / "index").glob("*/*.json")):
        try:
            index = json.loads(path.read_bytes())
            mode, step = index["meta"]["mode"].strip(), float(index["meta"]["mode_step"])
            for entry in index.get("tensor_payload") or []:
                if LOSS.search(entry["tensorname"]):
                    with (folder / index["meta"]["event_file_name"]).open("rb") as file:
                        file.seek(int(entry["start_idx"]))
                        record = file.read(int(entry["length"]))
                    value = next(iter(TensorReader(record).read_tensors()))[2]
                    points[f"{entry['tensorname']} {MODES.get(mode, '')}".strip()].append(
                        (step, float(np.mean(value)))
                    )
        except Exception:  # a cut-off record can break anywhere in smdebug's decoder
            broken.append(path.name)
    if broken:
        notes.append(
            f"the tensors of {len(broken)} steps in '{folder}' could not be read, such as '{broken[0]}'"
        )
    return {
        name: (np.array([x for x, _ in sorted(rows)]), np.array([y for _, y in sorted(rows)]))
        for name, rows in sorted(points.items())
    }
