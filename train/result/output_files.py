"""What a training leaves for people under output/data: history, TensorBoard events, predictions, the report."""

import csv
import dataclasses
import io
import json
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from tensorboardX import SummaryWriter

from artifact.model import Description, discard_unfinished, write_atomically
from recipes.hyperparameters import Hyperparameters
from train.job import Job
from train.learning.checkpoint import State
from train.result.measure import Answers
from train.result.training_report import write_training_report

HISTORY_FILE, METRICS_FILE, PREDICTIONS_FILE, REPORT_FILE = (
    "history.csv",
    "metrics.json",
    "predictions.csv",
    "report.html",
)


def write_history(job: Job, history: Sequence[dict]) -> None:
    """history.csv and TensorBoard's events, whole, after each epoch."""
    job.output_data.mkdir(parents=True, exist_ok=True)
    discard_unfinished(job.output_data)
    columns = list(dict.fromkeys(name for row in history for name in row))
    write_atomically(
        job.output_data / HISTORY_FILE,
        _csv(columns, [[row.get(name) for name in columns] for row in history]),
    )
    events = job.output_data / "tensorboard"
    # written anew each time: a job that goes on from a checkpoint would else leave epochs twice
    shutil.rmtree(events, ignore_errors=True)
    with SummaryWriter(str(events)) as writer:
        for row in history:
            for name, value in row.items():
                if name != "epoch" and value is not None:
                    writer.add_scalar(name, value, row["epoch"])


def write_output_files(
    job: Job,
    description: Description,
    state: State,
    measured: Sequence[Answers],
    hp: Hyperparameters,
    seconds: float,
) -> None:
    """metrics.json, predictions.csv and report.html of a training that came to its end."""
    job.output_data.mkdir(parents=True, exist_ok=True)
    metrics = {"epochs": state.epoch, "best_epoch": state.best_epoch, "seconds": round(seconds, 1)}
    for entry in measured:
        metrics |= {
            f"{entry.channel}_photos": len(entry.paths),
            f"{entry.channel}_loss": entry.loss(),
            f"{entry.channel}_accuracy": entry.accuracy(),
            f"{entry.channel}_ece": entry.calibration_error(),
        }
    metrics |= {
        "precision": description.provenance["measured_precision"],
        "temperature": description.temperature,
        "calibration": description.calibration,
        "quantization": description.quantization,
    }
    write_atomically(
        job.output_data / METRICS_FILE, (json.dumps(metrics, indent=2) + "\n").encode()
    )
    shown = measured[-1] if measured else None
    if shown:
        write_atomically(job.output_data / PREDICTIONS_FILE, _predictions(shown, description))
    write_training_report(
        job.output_data / REPORT_FILE,
        title=f"Training of {description.architecture}",
        classes=description.classes,
        history=state.history,
        measured=shown.shown() if shown else None,
        facts=_facts(description, state, seconds),
        notes=[*_precision_notes(description), *_calibration_notes(description, measured)],
        hyperparameters=dataclasses.asdict(hp),
        best_epoch=state.best_epoch,
    )


def _facts(description: Description, state: State, seconds: float) -> dict[str, str]:
    data = description.provenance["data"]
    facts = {
        f"{channel.capitalize()} accuracy": f"{value:.1%}"
        for channel, value in description.accuracy.items()
    }
    return facts | {
        "Photos": f"{data['train']} train, {data['validation']} validation, {data['test']} test in {len(description.classes)} classes",
        "Epochs": f"{state.epoch}, best {state.best_epoch}",
        "First weights": description.provenance["weights"],
        "Time": f"{seconds:.0f} s",
    }


def _precision_notes(description: Description) -> list[str]:
    """In which arithmetic the accuracies were measured, and what became of int8."""
    figures, precision = description.quantization, description.provenance["measured_precision"]
    notes = (
        [
            f"The accuracies above are of the artifact's own answers in {precision}, as an endpoint on such a machine gives them."
        ]
        if precision
        else []
    )
    if not figures:
        return notes
    photos = "validation" if description.provenance["data"]["validation"] else "training"
    if not figures["kept"]:
        return [*notes, f"No int8 model was kept: {figures['reason']}."]
    return [
        *notes,
        f"The int8 model, calibrated on {figures['calibration_photos']} photos, was kept: its accuracy on the {photos} photos is "
        f"{figures['int8_accuracy']:.1%}, that of f32 {figures['f32_accuracy']:.1%}; it may lie {100 * figures['gate']:g} percentage points lower.",
    ]


def _calibration_notes(description: Description, measured: Sequence[Answers]) -> list[str]:
    """How far the probabilities can be believed."""
    figures = description.calibration
    if not figures:
        return []
    left = "".join(
        f" On the test photos it is {entry.calibration_error():.1%}."
        for entry in measured
        if entry.channel == "test"
    )
    return [
        f"A temperature of {description.temperature:.2f}, fitted on {figures['photos']} validation photos, took the expected calibration error there "
        f"from {figures['ece_before']:.1%} to {figures['ece_after']:.1%}: so far the probabilities lie from the share that is right.{left}"
    ]


def _predictions(answers: Answers, description: Description) -> bytes:
    """photo, label, predicted, probability; several labels of one photo stand with semicolons between."""

    def row(path: Path, wanted: torch.Tensor, probabilities: torch.Tensor) -> list[str]:
        predicted = int(probabilities.argmax())
        labels = ";".join(description.classes[index] for index in wanted.nonzero()[:, 0])
        return [
            str(path),
            labels,
            description.classes[predicted],
            f"{probabilities[predicted]:.6f}",
        ]

    return _csv(
        ["photo", "label", "predicted", "probability"],
        map(row, answers.paths, answers.wanted, answers.probabilities),
    )


def _csv(header: list[str], rows: Iterable[list]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue().encode()
