"""A training's figures by epoch: history.csv and TensorBoard's events, written after each epoch."""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from tensorboardX import SummaryWriter

from artifact.model import discard_unfinished, write_atomically
from artifact.text import people_csv
from train.job import Job

HISTORY_FILE = "history.csv"
LINEAR_HEAD_FILE = "linear_head.json"
TENSORBOARD_FOLDER = "tensorboard"  # below output/data
# Two runs with the same tags: TensorBoard draws both in one chart.
RUNS = ("train", "validation")


def write_history(
    job: Job, history: Sequence[Mapping[str, float | None]], times: Mapping[int, float]
) -> None:
    """history.csv and TensorBoard's events, whole, after each epoch.

    times: when each epoch ended, in seconds since 1970.
    """
    job.output_data.mkdir(parents=True, exist_ok=True)
    discard_unfinished(job.output_data)
    columns: dict[str, None] = {}  # a set that keeps the order
    for row in history:
        columns |= dict.fromkeys(row)
    rows = []
    for row in history:
        rows.append([row.get(name) for name in columns])
    table = people_csv.table([list(columns), *rows])
    write_atomically(job.output_data / HISTORY_FILE, table.encode())
    write_scalars(job.output_data / TENSORBOARD_FOLDER, history, times)


def write_linear_head(job: Job, document: Mapping[str, object]) -> None:
    """linear_head.json: what a linear head on the first weights reaches, by penalty."""
    job.output_data.mkdir(parents=True, exist_ok=True)
    text = json.dumps(document, indent=2) + "\n"
    write_atomically(job.output_data / LINEAR_HEAD_FILE, text.encode())


def write_scalars(
    folder: Path, history: Sequence[Mapping[str, float | None]], times: Mapping[int, float]
) -> None:
    """Each epoch's figures, anew. times: when each epoch ended, in seconds since 1970."""
    # A job that goes on from a checkpoint would otherwise repeat epochs.
    shutil.rmtree(folder, ignore_errors=True)
    for run in RUNS:
        rows = [_of_run(run, row) for row in history]
        if not any(rows):
            continue
        with SummaryWriter(str(folder / run)) as writer:
            for row, values in zip(history, rows, strict=True):
                epoch = int(row["epoch"] or 0)
                for tag, value in values.items():
                    writer.add_scalar(tag, value, epoch, walltime=times.get(epoch))


def _of_run(run: str, row: Mapping[str, float | None]) -> dict[str, float]:
    """A run's values of an epoch by tag. What names no run, such as lr, is the training's."""
    values = {}
    for name, value in row.items():
        prefix, _, rest = name.partition("_")
        if prefix not in RUNS:
            prefix, rest = RUNS[0], name
        if prefix == run and name != "epoch" and value is not None:
            values[rest] = value
    return values
