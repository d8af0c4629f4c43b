"""The page to open after a training: report.html, one file that asks nothing of the network.

It turns the history and the artifact's answers into the values of `training_report.html.j2`, which
holds all words, markup and style. It knows nothing of networks or of the training itself.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import artifact.pages.page
from artifact.pages.project_pages import About
from artifact.text.intervals import wilson_interval
from artifact.text.numbers import number, percent
from train.result.confusion import (
    Matrix,
    confusion,
    drawing,
    frequent_confusions,
    misses,
    most_confused,
    per_class,
    strengths,
)
from train.result.report_charts import PLOT, charts
from train.result.report_doubts import NOTHING_IN_DOUBT, InDoubt, doubt_values
from train.result.report_photos import MOST_LISTED, Seen, by_class, mistakes, worst
from train.result.report_settings import settings_in_order

TEMPLATE = Path(__file__).with_name("training_report.html.j2")
SCRIPT = Path(__file__).with_name("report.js")
LARGEST_TABLE = 30  # classes; the numbers of more do not fit, so the matrix is drawn
MOST_CONFUSED = 20  # classes in a table beside a drawn matrix
MOST_LINKS = 1000  # squares of a drawn matrix that lead to their photos, about 150 bytes each
TOP_5_FROM = 11  # classes; of fewer, five are no achievement


@dataclass(frozen=True)
class ReportedAnswers:
    """The artifact's answers on one channel's photos."""

    channel: str  # "test" or "validation"
    paths: Sequence[Path]  # [N]
    labels: NDArray[np.int64]  # [N], indices into the classes
    probabilities: NDArray[np.float32]  # [N, C]


def write_training_report(
    path: Path,
    *,
    title: str,
    classes: Sequence[str],
    history: Sequence[Mapping[str, float | None]],
    answers: ReportedAnswers | None,
    facts: Mapping[str, str],
    hyperparameters: Mapping[str, object],
    best_epoch: int,
    notes: Sequence[str] = (),
    about: About | None = None,
    in_doubt: InDoubt = NOTHING_IN_DOUBT,
) -> None:
    """Write the page, whole or not at all, making the folders it needs.

    notes: sentences below the facts. about: the page's note on itself. history: one entry for each
    epoch; its validation values may be None. A photo that can no longer be read becomes a named
    gap. ValueError when answers, photos and classes do not fit each other; OSError when writing
    fails.
    """
    artifact.pages.page.write_page(
        path,
        TEMPLATE,
        {"percent": percent, "number": number},
        SCRIPT.read_text(encoding="utf-8"),
        about=about or About("training"),
        title=title,
        facts=facts,
        notes=notes,
        charts=charts(history, best_epoch),
        plot=PLOT,
        history=history,
        best_epoch=best_epoch,
        channel=answers.channel if answers else None,
        classes=classes,
        answers=_answers(answers, classes, in_doubt.saliency),
        **doubt_values(in_doubt, answers.channel if answers else ""),
        settings=settings_in_order(hyperparameters),
    )


def _answers(
    answers: ReportedAnswers | None, classes: Sequence[str], saliency: Mapping[Path, Seen]
) -> dict[str, object] | None:
    """The template's values on the answers of one channel; None without any."""
    if answers is None or not len(answers.paths):
        return None
    count = len(answers.paths)
    labels = np.asarray(answers.labels)
    probabilities = np.asarray(answers.probabilities)
    _check_shapes(labels, probabilities, count, len(classes))
    undefined = int(np.isnan(probabilities).any(axis=1).sum())
    probabilities = np.nan_to_num(probabilities)
    predictions = probabilities.argmax(axis=1)
    matrix = confusion(labels, predictions, len(classes))
    found = mistakes(labels, probabilities)
    return {
        "photos": count,
        "undefined": undefined,
        "top_5": _top_5(labels, probabilities),
        "worst": worst(found, answers.paths, saliency),
        "wrongs": by_class(found, answers.paths),
        "most_listed": MOST_LISTED,
        **_matrix_values(matrix, classes),
    }


def _top_5(labels: NDArray[np.int64], probabilities: NDArray[np.float32]) -> float | None:
    """How often the right class is among the five most probable; None for few classes."""
    count, classes = probabilities.shape
    if classes < TOP_5_FROM:
        return None
    own = probabilities[np.arange(count), labels]
    better = (probabilities > own[:, None]).sum(axis=1)  # classes before the right one, [N]
    return float((better < 5).mean())


def _matrix_values(matrix: Matrix, classes: Sequence[str]) -> dict[str, object]:
    """The figures that the confusion matrix holds, and how it is drawn."""
    count = int(matrix.sum())
    right = int(np.trace(matrix))
    support = matrix.sum(axis=1)
    drawn = None
    chosen = list(range(len(classes)))
    if len(classes) > LARGEST_TABLE:
        drawn = drawing(matrix, classes, MOST_LINKS)
        chosen = most_confused(matrix, MOST_CONFUSED)
    return {
        "right": right,
        "interval": wilson_interval(right / count, count),
        "mean_recall": np.nanmean(per_class(matrix).recall),
        "commonest": int(support.argmax()),
        "commonest_share": support.max() / count,
        "matrix": matrix.tolist(),
        "support": support.tolist(),
        "strengths": strengths(matrix).tolist(),
        "drawing": drawn,
        "chosen": chosen,
        "confusions": frequent_confusions(matrix),
        "classes": _class_rows(matrix),
    }


def _check_shapes(
    labels: NDArray[Any], probabilities: NDArray[Any], count: int, classes: int
) -> None:
    """ValueError when labels or probabilities do not fit the photos and classes."""
    if labels.shape == (count,) and probabilities.shape == (count, classes):
        return
    found = f"{list(labels.shape)} and {list(probabilities.shape)}"
    raise ValueError(
        f"{count} photos and {classes} classes need labels [{count}] and probabilities "
        f"[{count}, {classes}]; found {found}"
    )


def _class_rows(matrix: Matrix) -> list[dict[str, object]]:
    """One row for each class, worst recall first, among equals the larger class first.

    Classes without photos come last.
    """
    figures = per_class(matrix)
    missed = misses(matrix)
    mistaken_for = missed.argmax(axis=1)
    wrong = missed.sum(axis=1)
    order = np.lexsort((-figures.support, np.nan_to_num(figures.recall, nan=2.0)))
    rows: list[dict[str, object]] = []
    for index in order.tolist():
        row = {
            "index": index,
            "precision": figures.precision[index],
            "recall": figures.recall[index],
            "f1": figures.f1[index],
            "mistaken_for": mistaken_for[index],
            "wrong": wrong[index],
        }
        rows.append(row)
    return rows
