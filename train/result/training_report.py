"""The page to open after a training: report.html, one file that asks nothing of the network.

It turns the history and the artifact's answers into the values of `training_report.html.j2`, which
holds all words, markup and style. It knows nothing of networks or of the training itself.
"""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import artifact.page
from artifact.intervals import wilson_interval
from artifact.page_text import number, percent
from artifact.preprocessing import read_photo
from artifact.project_pages import About
from train.result.confusion import (
    Matrix,
    confusion,
    drawing,
    frequent_confusions,
    misses,
    per_class,
    strengths,
)
from train.result.history_charts import PLOT, charts
from train.result.report_settings import settings_in_order

TEMPLATE = Path(__file__).with_name("training_report.html.j2")
MOST_MISTAKES = 24  # pictures, about 10 kB each
LARGEST_TABLE = 30  # classes; the numbers of more do not fit, so the matrix is drawn
MOST_TOOLTIPS = 3000  # squares of a drawn matrix with a tooltip, which keeps the page small
TOP_5_FROM = 11  # classes; of fewer, five are no achievement
THUMBNAIL = (256, 256)  # pixels at most


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
) -> None:
    """Write the page, whole or not at all, making the folders it needs.

    notes: sentences below the facts. about: the page's note on itself. history: one entry for each
    epoch; its validation values may be None. A photo that can no longer be read becomes a named
    gap. ValueError when answers, photos and classes do not fit each other; OSError when writing
    fails.
    """
    artifact.page.write_page(
        path,
        TEMPLATE,
        {"percent": percent, "number": number},
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
        answers=_answers(answers, classes) if answers and len(answers.paths) else None,
        settings=settings_in_order(hyperparameters),
    )


def _answers(answers: ReportedAnswers, classes: Sequence[str]) -> dict[str, object]:
    """The template's values on the answers of one channel."""
    count = len(answers.paths)
    labels = np.asarray(answers.labels)
    probabilities = np.asarray(answers.probabilities)
    _check_shapes(labels, probabilities, count, len(classes))
    undefined = int(np.isnan(probabilities).any(axis=1).sum())
    probabilities = np.nan_to_num(probabilities)
    predictions = probabilities.argmax(axis=1)
    matrix = confusion(labels, predictions, len(classes))
    right = int(np.trace(matrix))
    support = matrix.sum(axis=1)
    top_5 = None
    if len(classes) >= TOP_5_FROM:
        own = probabilities[np.arange(count), labels]
        better = (probabilities > own[:, None]).sum(axis=1)  # classes before the right one, [N]
        top_5 = (better < 5).mean()
    drawn = None
    if len(classes) > LARGEST_TABLE:
        drawn = drawing(matrix, classes, MOST_TOOLTIPS)
    return {
        "photos": count,
        "right": right,
        "undefined": undefined,
        "interval": wilson_interval(right / count, count),
        "mean_recall": np.nanmean(per_class(matrix).recall),
        "commonest": int(support.argmax()),
        "commonest_share": support.max() / count,
        "top_5": top_5,
        "matrix": matrix.tolist(),
        "support": support.tolist(),
        "strengths": strengths(matrix).tolist(),
        "drawing": drawn,
        "confusions": frequent_confusions(matrix),
        "classes": _class_rows(matrix),
        "mistakes": _mistakes(answers.paths, labels, predictions, probabilities),
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
    mistaken_for = misses(matrix).argmax(axis=1)
    order = np.lexsort((-figures.support, np.nan_to_num(figures.recall, nan=2.0)))
    rows: list[dict[str, object]] = []
    for index in order.tolist():
        row = {
            "index": index,
            "precision": figures.precision[index],
            "recall": figures.recall[index],
            "f1": figures.f1[index],
            "mistaken_for": mistaken_for[index],
        }
        rows.append(row)
    return rows


def _mistakes(
    paths: Sequence[Path],
    labels: NDArray[np.int64],
    predictions: NDArray[np.int64],
    probabilities: NDArray[np.float32],
) -> list[dict[str, object]]:
    """The wrong answers that were given with the highest probability."""
    wrong = np.flatnonzero(labels != predictions)
    order = np.argsort(-probabilities[wrong, predictions[wrong]], kind="stable")
    mistakes = []
    for index in wrong[order][:MOST_MISTAKES].tolist():
        path = Path(paths[index])
        mistake = {
            "file": path.name,
            "true": labels[index],
            "answered": predictions[index],
            "probability": probabilities[index, predictions[index]],
            "true_probability": probabilities[index, labels[index]],
            **_thumbnail(path),
        }
        mistakes.append(mistake)
    return mistakes


def _thumbnail(path: Path) -> dict[str, object]:
    """The photo as a small JPEG in a data URI, or the reason why there is none."""
    try:
        photo = read_photo(path)
        photo.thumbnail(THUMBNAIL, Image.Resampling.LANCZOS)
        photo.info.clear()  # where and by whom a photo was taken does not go into the page
        data = io.BytesIO()
        photo.save(data, "JPEG", quality=78, optimize=True)
    except Exception as error:  # any: one picture must never cost the page
        return {"picture": None, "gap": str(error) or type(error).__name__}
    encoded = base64.b64encode(data.getvalue()).decode("ascii")
    return {"picture": f"data:image/jpeg;base64,{encoded}", "gap": None}
