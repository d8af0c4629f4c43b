"""A training's files under output/data at its end: metrics, predictions, the report."""

import dataclasses
import json
import logging
from collections.abc import Sequence

from artifact.model import Description, write_atomically
from artifact.pages.project_pages import About
from artifact.text import people_csv
from artifact.text.names import writable
from artifact.text.numbers import percent
from recipes.hyperparameters import Hyperparameters
from train.job import Job
from train.learning.state import State
from train.recording.history import TENSORBOARD_FOLDER, write_linear_head
from train.result.measure import Answers
from train.result.report_doubts import InDoubt, head_values
from train.result.report_notes import facts, linear_head_sentence, notes
from train.result.tensorboard_files import write_results
from train.result.training_report import write_training_report

METRICS_FILE = "metrics.json"
PREDICTIONS_FILE = "predictions.csv"
MOST_PREDICTED = 5  # classes of a photo in predictions.csv

log = logging.getLogger(__name__)


def conclude_linear_head(
    job: Job, state: State, measured: Sequence[Answers], hp: Hyperparameters
) -> None:
    """Log the sentence. A solved head that is the network's own has the artifact's accuracies."""
    if hp.optimizer == "lbfgs" and state.linear_head and measured:
        own = {answers.channel: answers.accuracy() for answers in measured}
        state.linear_head["accuracy"] |= own
        write_linear_head(job, state.linear_head)
    sentence = linear_head_sentence(state)
    if sentence:
        log.info(sentence)


def write_output_files(
    job: Job,
    description: Description,
    state: State,
    measured: Sequence[Answers],
    hp: Hyperparameters,
    seconds: float,
    in_doubt: InDoubt,
) -> None:
    """metrics.json, predictions.csv, linear_head.json, report.html, and what TensorBoard gets then.

    in_doubt: for the report.
    """
    job.output_data.mkdir(parents=True, exist_ok=True)
    figures = _metrics(description, state, measured, seconds)
    metrics = json.dumps(figures, indent=2) + "\n"
    write_atomically(job.output_data / METRICS_FILE, metrics.encode())
    conclude_linear_head(job, state, measured, hp)
    reported = None
    if measured:
        _write_predictions(job, _predictions(measured[-1], description))
        reported = measured[-1].for_report()
    head = head_values(state.linear_head, description.accuracy, hp.optimizer)
    write_training_report(
        job.report,
        about=_about(description),
        title=f"Training of {description.architecture}",
        classes=description.classes,
        history=state.history,
        answers=reported,
        facts=facts(description, state, seconds),
        notes=notes(description, measured, linear_head_sentence(state)),
        hyperparameters=dataclasses.asdict(hp),
        best_epoch=state.best_epoch,
        in_doubt=dataclasses.replace(in_doubt, linear_head=head),
    )
    write_results(
        job.output_data / TENSORBOARD_FOLDER, hp, figures, reported, description, state.best_epoch
    )


def _about(description: Description) -> About:
    """The report's note on itself."""
    measured = {
        f"{channel} accuracy": percent(value) for channel, value in description.accuracy.items()
    }
    return About("training", measured, commit=description.provenance["git_commit"])


def _metrics(
    description: Description, state: State, measured: Sequence[Answers], seconds: float
) -> dict[str, object]:
    metrics: dict[str, object] = {
        "epochs": state.epoch,
        "best_epoch": state.best_epoch,
        "seconds": round(seconds, 1),
    }
    for answers in measured:
        metrics |= {
            f"{answers.channel}_photos": len(answers.paths),
            f"{answers.channel}_loss": answers.loss(),
            f"{answers.channel}_accuracy": answers.accuracy(),
            f"{answers.channel}_ece": answers.calibration_error(),
        }
    return metrics | {
        "precision": description.provenance["measured_precision"],
        "temperature": description.temperature,
        "calibration": description.calibration,
        "quantization": description.quantization,
    }


def _predictions(answers: Answers, description: Description) -> list[list[object]]:
    """photo, label, predicted, probability, and the same two of the next most probable classes.

    There are MOST_PREDICTED of them, or as many as there are classes. Several labels of a photo are
    joined by semicolons.
    """
    classes = description.classes
    count = min(MOST_PREDICTED, len(classes))
    head = ["photo", "label", "predicted", "probability"]
    for place in range(2, count + 1):
        head += [f"predicted_{place}", f"probability_{place}"]
    rows: list[list[object]] = [list(head)]
    # stable: among equals the first class is the answer, as of argmax
    best = answers.probabilities.sort(dim=1, descending=True, stable=True)
    values = best.values[:, :count]
    entries = zip(answers.paths, answers.wanted, values, best.indices[:, :count], strict=True)
    for path, wanted, probabilities, predicted in entries:
        labels = [classes[int(index)] for index in wanted.nonzero()[:, 0]]
        row: list[object] = [str(path), ";".join(labels)]
        for index, probability in zip(predicted.tolist(), probabilities.tolist(), strict=True):
            row += [classes[index], f"{probability:.6f}"]
        rows.append(row)
    return rows


def _write_predictions(job: Job, rows: list[list[object]]) -> None:
    table = writable(people_csv.table(rows))
    write_atomically(job.output_data / PREDICTIONS_FILE, table.encode())
    names = people_csv.true_names(rows)
    if names:
        path = job.output_data / people_csv.names_file(PREDICTIONS_FILE)
        write_atomically(path, names.encode())
