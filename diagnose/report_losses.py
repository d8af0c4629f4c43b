"""The losses of a training, for the report's curves.

They come from our own history.csv, else from tensors that smdebug saved.
"""

import csv
import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from artifact.text.json_text import read_json
from diagnose.report_charts import Curves

HISTORY = (
    "history.csv",
    "data/history.csv",
    "output/data/history.csv",
    "../history.csv",
    "../data/history.csv",
)
TENSORS = ("tensors", "debug-output", "output/tensors", "data/tensors", "../tensors", "")
# columns of history.csv, in the colours of the training's own report
LINES = {"validation_loss": "Validation", "train_loss": "Training"}
MODES = {"TRAIN": "training", "EVAL": "validation"}
LOSS = re.compile("[Ll]oss_(?!input).*output")  # smdebug's own collection "losses"

Points = list[tuple[float, float]]  # x and loss


@dataclass
class Losses:
    """Curves by name, each x and y [N]; none where nothing was found.

    unit: of x, `epoch` or `step`. notes: sentences on files that could not be read.
    """

    unit: str = ""
    curves: Curves = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def read_losses(output: Path) -> Losses:
    """The losses below a training's output."""
    notes: list[str] = []
    for place in HISTORY:
        path = Path(output) / place
        if not path.is_file():
            continue
        try:
            curves = _history(path)
        except (OSError, ValueError, csv.Error) as error:
            notes.append(f"'{path}' could not be read: {error}")
            continue
        if curves:
            return Losses("epoch", curves, notes)
    for place in TENSORS:
        folder = Path(output) / place
        if (folder / "index").is_dir():
            curves = _tensors(folder, notes)
            if curves:
                return Losses("step", curves, notes)
    return Losses(notes=notes)


def _history(path: Path) -> Curves:
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    curves: Curves = {}
    for column, name in LINES.items():
        known = [row for row in rows if row.get("epoch") and row.get(column) is not None]
        epochs = [float(row["epoch"]) for row in known]
        losses = [_number(row[column]) for row in known]
        if any(math.isfinite(loss) for loss in losses):
            curves[name] = (np.array(epochs), np.array(losses))
    return curves


def _number(text: str) -> float:
    if not text:
        return math.nan
    return float(text)


def _tensors(folder: Path, notes: list[str]) -> Curves:
    """Each loss tensor's mean at each step it was saved, by mode.

    Read file by file: smdebug's own trial waits for files that a crash never wrote.
    """
    points: dict[str, Points] = {}
    broken = []
    for path in sorted((folder / "index").glob("*/*.json")):
        try:
            _add_step(folder, read_json(path.read_bytes()), points)
        except Exception:  # a cut-off record can break anywhere in smdebug's decoder
            broken.append(path.name)
    if broken:
        notes.append(
            f"the tensors of {len(broken)} steps in '{folder}' could not be read, "
            f"such as '{broken[0]}'"
        )
    curves: Curves = {}
    for name in sorted(points):
        x, y = np.array(sorted(points[name])).T
        curves[name] = (x, y)
    return curves


def _add_step(folder: Path, index: Any, points: dict[str, Points]) -> None:
    """Add the losses of one index file. Any error where it, or its event file, is damaged."""
    meta = index["meta"]
    mode = MODES.get(meta["mode"].strip(), "")
    step = float(meta["mode_step"])
    for entry in index.get("tensor_payload") or []:
        if not LOSS.search(entry["tensorname"]):
            continue
        mean = _mean(folder / meta["event_file_name"], entry)
        name = f"{entry['tensorname']} {mode}".strip()
        points.setdefault(name, []).append((step, mean))


def _mean(events: Path, entry: Any) -> float:
    from smdebug.core.tfrecord.tensor_reader import TensorReader

    with events.open("rb") as file:
        file.seek(int(entry["start_idx"]))
        record = file.read(int(entry["length"]))
    _, _, value, *_ = next(iter(TensorReader(record).read_tensors()))
    return float(np.mean(value))
