"""The page a user opens after a training: report.html, one file that asks nothing of the network.

It turns the history and the artifact's answers into numbers, places and pictures; `training_report.html.j2` beside it holds
all words, markup and style. It knows nothing of networks, of how the training went, or of who measured.
"""

import base64
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

import artifact.page
from artifact.plot import Axis, dots, line_path, linear_axis, value_axis
from artifact.preprocessing import read_photo

TEMPLATE = Path(__file__).with_name("training_report.html.j2")
MOST_MISTAKES = 24  # pictures, about 10 kB each
MOST_CONFUSIONS = 15  # pairs in words
LARGEST_TABLE = 30  # classes; the numbers of more do not fit, so the matrix is drawn
MOST_TOOLTIPS = 3000  # squares of a drawn matrix that explain themselves; a plot has room for fewer
PLOT_TOOLTIPS = 500
THUMBNAIL = (256, 256)  # pixels at most
PLOT = {
    "width": 460,
    "height": 262,
    "left": 58,
    "right": 448,
    "top": 26,
    "bottom": 226,
}  # SVG units
LINES = {"Training": "train", "Validation": "validation"}  # as shown; the history's prefix


@dataclass(frozen=True)
class Measured:
    """What the artifact answered on one channel's photos."""

    channel: str  # "test" or "validation"
    paths: Sequence[Path]  # [N]
    labels: np.ndarray  # int64 [N], indices into the classes
    probabilities: np.ndarray  # float32 [N, C]


def write_training_report(
    path: Path,
    *,
    title: str,
    classes: Sequence[str],
    history: Sequence[dict],
    measured: Measured | None,
    facts: dict[str, str],
    hyperparameters: dict,
    best_epoch: int,
    notes: Sequence[str] = (),
) -> None:
    """Write the page, whole or not at all, making the folders it needs.

    `notes` are sentences below the facts. `history` has one dict an epoch, whose validation values may be None. A photo
    that can no longer be read becomes a named gap. ValueError when answers, photos and classes do not fit each other; OSError when writing fails.
    """
    artifact.page.write_page(
        path,
        TEMPLATE,
        {"percent": _percent, "number": _number, "setting": _setting},
        title=title,
        facts=facts,
        notes=notes,
        charts=_charts(history, best_epoch),
        plot=PLOT,
        history=history,
        best_epoch=best_epoch,
        channel=measured.channel if measured else None,
        classes=classes,
        answers=_answers(measured, classes) if measured and len(measured.paths) else None,
        hyperparameters=hyperparameters,
    )


def confusion(labels: np.ndarray, predictions: np.ndarray, classes_count: int) -> np.ndarray:
    """How often each true class (row) was answered with each class (column): int64 [C, C].

    ValueError for an index that is none of a class.
    """
    labels, predictions = np.asarray(labels, np.int64), np.asarray(predictions, np.int64)
    for name, indices in (("label", labels), ("prediction", predictions)):
        outside = indices[(indices < 0) | (indices >= classes_count)]
        if outside.size:
            raise ValueError(
                f"a {name} must lie between 0 and {classes_count - 1}, found {outside[0]}"
            )
    pairs = np.bincount(labels * classes_count + predictions, minlength=classes_count**2)
    return pairs.reshape(classes_count, classes_count).astype(np.int64)


def per_class(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Precision, recall, F1 (float64 [C]) and support (int64 [C]) from a confusion matrix [C, C].

    NaN stands where there is nothing to divide by: the recall of a class without photos, the precision of a class that
    was never answered, the F1 of one that is both.
    """
    hits, support, answered = np.diagonal(matrix), matrix.sum(axis=1), matrix.sum(axis=0)
    return (
        _ratio(hits, answered),
        _ratio(hits, support),
        _ratio(2 * hits, support + answered),
        support,
    )


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0)


def _answers(measured: Measured, classes: Sequence[str]) -> dict:
    """Everything the page says about the answers on one channel."""
    count, labels, probabilities = (
        len(measured.paths),
        np.asarray(measured.labels),
        np.asarray(measured.probabilities),
    )
    if labels.shape != (count,) or probabilities.shape != (count, len(classes)):
        raise ValueError(
            f"{count} photos and {len(classes)} classes need labels [{count}] and probabilities "
            f"[{count}, {len(classes)}]; found {list(labels.shape)} and {list(probabilities.shape)}"
        )
    undefined = int(np.isnan(probabilities).any(axis=1).sum())
    probabilities = np.nan_to_num(probabilities)
    predictions = probabilities.argmax(axis=1)
    matrix = confusion(labels, predictions, len(classes))
    right, support = int(np.trace(matrix)), matrix.sum(axis=1)
    own = probabilities[np.arange(count), labels]
    return {
        "photos": count,
        "right": right,
        "undefined": undefined,
        "interval": _wilson(right, count),
        "mean_recall": np.nanmean(per_class(matrix)[1]),
        "commonest": int(support.argmax()),
        "commonest_share": support.max() / count,
        "top_5": ((probabilities > own[:, None]).sum(axis=1) < 5).mean()
        if len(classes) > 10
        else None,
        "matrix": matrix.tolist(),
        "support": support.tolist(),
        "strengths": _strengths(matrix).tolist(),
        "drawing": _drawing(matrix, classes) if len(classes) > LARGEST_TABLE else None,
        "confusions": _confusions(matrix),
        "classes": _class_rows(matrix),
        "mistakes": _mistakes(measured.paths, labels, predictions, probabilities),
    }


def _wilson(right: int, count: int, z: float = 1.96) -> tuple[float, float]:
    """The 95 % score interval of a share: as far off as luck in the choice of so many photos may put it."""
    share, spread = right / count, z * z / count
    half = z * math.sqrt(share * (1 - share) / count + spread / (4 * count))
    return max(0.0, (share + spread / 2 - half) / (1 + spread)), min(
        1.0, (share + spread / 2 + half) / (1 + spread)
    )


def _strengths(matrix: np.ndarray) -> np.ndarray:
    """How dark each cell is, 0 to 1: the root of its share of the row, so that single mistakes are seen too."""
    return np.sqrt(matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1))


def _misses(matrix: np.ndarray) -> np.ndarray:
    return matrix - np.diag(np.diagonal(matrix))


def _drawing(matrix: np.ndarray, classes: Sequence[str]) -> dict:
    """Sizes in SVG units for a matrix of many classes, and its squares, most frequent first."""
    true, answered = np.nonzero(matrix)
    order = np.argsort(-matrix[true, answered], kind="stable")
    side = max(4, min(10, 1500 // len(classes)))
    margin = round(10 + 0.6 * side * min(28, max(len(name) for name in classes)))
    return {
        "side": side,
        "margin": margin,
        "tooltips": MOST_TOOLTIPS,
        "squares": list(zip(true[order].tolist(), answered[order].tolist())),
    }


def _confusions(matrix: np.ndarray) -> list[tuple[int, int]]:
    """True and answered class of the most frequent mistakes; among equals, the larger share of its class first."""
    misses = _misses(matrix)
    true, answered = np.nonzero(misses)
    order = np.lexsort((matrix.sum(axis=1)[true], -misses[true, answered]))[:MOST_CONFUSIONS]
    return list(zip(true[order].tolist(), answered[order].tolist()))


def _class_rows(matrix: np.ndarray) -> list[dict]:
    """One row a class, worst recall first, the larger class first among equals; those without photos come last."""
    precision, recall, f1, support = per_class(matrix)
    mistaken_for = _misses(matrix).argmax(axis=1)
    return [
        {
            "index": index,
            "precision": precision[index],
            "recall": recall[index],
            "f1": f1[index],
            "mistaken_for": mistaken_for[index],
        }
        for index in np.lexsort((-support, np.nan_to_num(recall, nan=2.0))).tolist()
    ]


def _mistakes(
    paths: Sequence[Path], labels: np.ndarray, predictions: np.ndarray, probabilities: np.ndarray
) -> list[dict]:
    """The wrong answers that were given with the highest probability."""
    wrong = np.flatnonzero(labels != predictions)
    worst = wrong[np.argsort(-probabilities[wrong, predictions[wrong]], kind="stable")][
        :MOST_MISTAKES
    ]
    return [
        {
            "file": Path(paths[index]).name,
            "true": labels[index],
            "answered": predictions[index],
            "probability": probabilities[index, predictions[index]],
            "true_probability": probabilities[index, labels[index]],
            **_thumbnail(Path(paths[index])),
        }
        for index in worst.tolist()
    ]


def _thumbnail(path: Path) -> dict:
    """The photo as a small JPEG in a data URI, or the reason why there is none."""
    try:
        photo = read_photo(path)
        photo.thumbnail(THUMBNAIL, Image.Resampling.LANCZOS)
        photo.info.clear()  # where and by whom a photo was taken does not go into the page
        data = io.BytesIO()
        photo.save(data, "JPEG", quality=78, optimize=True)
    except Exception as error:  # one picture must never cost the page
        return {"picture": None, "gap": str(error) or type(error).__name__}
    return {
        "picture": "data:image/jpeg;base64," + base64.b64encode(data.getvalue()).decode("ascii"),
        "gap": None,
    }


def _charts(history: Sequence[dict], best_epoch: int) -> list[dict]:
    """The plots of error and loss over the epochs; none for an empty history."""
    if not history:
        return []
    accuracy, loss = (
        {
            line: np.array([_value(row.get(f"{prefix}_{what}")) for row in history])
            for line, prefix in LINES.items()
        }
        for what in ("accuracy", "loss")
    )
    epochs = np.array([row["epoch"] for row in history])
    error = {line: 1 - values for line, values in accuracy.items()}
    return [
        _chart("Error", epochs, error, best_epoch, _percent),
        _chart("Loss", epochs, loss, best_epoch, _number),
    ]


def _chart(
    name: str, epochs: np.ndarray, series: dict[str, np.ndarray], best_epoch: int, text
) -> dict:
    """One plot's axes, lines, and a tooltip an epoch; `text` words one value."""
    series = {line: values for line, values in series.items() if np.isfinite(values).any()}
    x, y = (
        _epoch_axis(epochs),
        value_axis(np.concatenate([*series.values(), [np.nan]]), PLOT["bottom"], PLOT["top"]),
    )
    words = [
        ", ".join(f"{line.lower()} {text(values[i])}" for line, values in series.items())
        for i in range(len(epochs))
    ]
    places = x.place(epochs)
    best = next(iter(np.flatnonzero(epochs == best_epoch).tolist()), None)
    every = math.ceil(len(epochs) / PLOT_TOOLTIPS)
    return {
        "name": name,
        "logarithmic": y.scale == "Logarithmic",
        "x_ticks": x.marks(lambda tick: f"{tick:.0f}"),
        "y_ticks": y.marks(
            (lambda tick: f"{100 * tick:.6g} %")
            if text is _percent
            else (lambda tick: f"{tick:.6g}")
        ),
        "lines": [_line(line, places, y.place(values), best) for line, values in series.items()],
        "best": None if best is None else (places[best], words[best]),
        "bands": [
            (places[i], f"epoch {epochs[i]}: {words[i]}") for i in range(0, len(epochs), every)
        ],
        "band": every * (PLOT["right"] - PLOT["left"]) / len(epochs),
    }


def _line(name: str, x: np.ndarray, y: np.ndarray, best: int | None) -> dict:
    """A path, and dots: for all values of a short line, else for those no stroke would show."""
    return {
        "name": name,
        "path": line_path(x, y),
        "dots": dots(x, y, 40),
        "best": None if best is None or not np.isfinite(y[best]) else (x[best], y[best]),
    }


def _epoch_axis(epochs: np.ndarray) -> Axis:
    low, high = int(epochs.min()), int(epochs.max())
    axis = linear_axis(low, high, PLOT["left"] + 8, PLOT["right"] - 8, 6, exact=True, whole=True)
    return axis.from_low()


def _value(value: float | None) -> float:
    """A gap (NaN) for what is missing or not finite."""
    return float(value) if value is not None and math.isfinite(value) else math.nan


def _percent(share: float | None) -> str:
    return "—" if math.isnan(_value(share)) else f"{100 * _value(share):.1f} %"


def _number(value: float | None) -> str:
    return "—" if math.isnan(_value(value)) else f"{_value(value):.4g}"


def _setting(value: object) -> str:
    """A hyperparameter's value as one would write it."""
    if value is None or value == "" or value == ():
        return "—"
    if isinstance(value, (tuple, list)):
        return ",".join(_setting(part) for part in value)
    return str(value).lower() if isinstance(value, bool) else str(value)
