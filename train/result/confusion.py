"""Figures of a classifier's answers: confusion matrix, precision, recall, F1, intervals."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

MOST_CONFUSIONS = 15  # pairs of classes in words

Matrix = NDArray[np.int64]  # [C, C], true class by answered class


class ClassFigures(NamedTuple):
    """Figures of each class, [C]; NaN stands where there is nothing to divide by.

    That is the recall of a class without photos, the precision of a class that was never answered,
    and the F1 of a class that is both.
    """

    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    f1: NDArray[np.float64]
    support: NDArray[np.int64]  # photos


def confusion(
    labels: NDArray[np.int64], predictions: NDArray[np.int64], classes_count: int
) -> Matrix:
    """How often each true class (row) was answered with each class (column): int64 [C, C].

    ValueError for an index outside the classes.
    """
    labels = np.asarray(labels, np.int64)
    predictions = np.asarray(predictions, np.int64)
    for name, indices in (("label", labels), ("prediction", predictions)):
        outside = indices[(indices < 0) | (indices >= classes_count)]
        if outside.size:
            bounds = f"0 and {classes_count - 1}"
            raise ValueError(f"a {name} must lie between {bounds}, found {outside[0]}")
    pairs = np.bincount(labels * classes_count + predictions, minlength=classes_count**2)
    return pairs.reshape(classes_count, classes_count).astype(np.int64)


def per_class(matrix: Matrix) -> ClassFigures:
    """The figures of each class, from a confusion matrix."""
    hits = np.diagonal(matrix)
    support = matrix.sum(axis=1)
    answered = matrix.sum(axis=0)
    return ClassFigures(
        precision=_ratio(hits, answered),
        recall=_ratio(hits, support),
        f1=_ratio(2 * hits, support + answered),
        support=support,
    )


def _ratio(part: NDArray[np.int64], whole: NDArray[np.int64]) -> NDArray[np.float64]:
    ratio = np.full(len(whole), np.nan)
    np.divide(part, whole, out=ratio, where=whole > 0)
    return ratio


def misses(matrix: Matrix) -> Matrix:
    """The matrix without its diagonal of correct answers."""
    return matrix - np.diag(np.diagonal(matrix))


def strengths(matrix: Matrix) -> NDArray[np.float64]:
    """How dark each cell is drawn, 0 to 1.

    It is the root of the cell's share of its row, so that single mistakes are visible.
    """
    support = np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    shares: NDArray[np.float64] = np.sqrt(matrix / support)
    return shares


def frequent_confusions(matrix: Matrix) -> list[tuple[int, int]]:
    """True and answered class of the most frequent mistakes.

    Among equals, the one that is the larger share of its class comes first.
    """
    return _by_frequency(matrix)[:MOST_CONFUSIONS]


def _by_frequency(matrix: Matrix) -> list[tuple[int, int]]:
    missed = misses(matrix)
    true, answered = np.nonzero(missed)
    order = np.lexsort((matrix.sum(axis=1)[true], -missed[true, answered]))
    return pairs(true[order], answered[order])


def pairs(true: NDArray[np.int64], answered: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Cells of the matrix as plain numbers."""
    return list(zip(true.tolist(), answered.tolist(), strict=True))


def most_confused(matrix: Matrix, most: int) -> list[int]:
    """Classes of the most frequent mistakes, those of one mistake beside each other."""
    found: dict[int, None] = {}  # a set that keeps the order
    for i, j in _by_frequency(matrix):
        if len(found | {i: None, j: None}) > most:
            break
        found |= {i: None, j: None}
    return list(found)


def drawing(matrix: Matrix, classes: Sequence[str], links: int) -> dict[str, object]:
    """A matrix of many classes in SVG units.

    links: the most frequent mistakes, that number of them, which are squares of their own. All
    other squares are `paths`, by kind and by opacity in percent.
    """
    side = max(4, min(10, 1500 // len(classes)))
    longest = max(len(name) for name in classes)
    linked = _by_frequency(matrix)[:links]
    rest = matrix.copy()
    for i, j in linked:
        rest[i, j] = 0
    return {
        "side": side,
        "margin": round(10 + 0.6 * side * min(28, longest)),  # the template cuts names at 28
        "links": linked,
        "paths": _square_paths(rest, _opacities(matrix), side),
    }


def _opacities(matrix: Matrix) -> Matrix:
    """How strong each square is drawn, in percent: 25, 50, 75 or 100."""
    steps = np.clip(np.ceil(4 * strengths(matrix)), 1, 4)
    return np.asarray(25 * steps, np.int64)


def _square_paths(matrix: Matrix, opacity: Matrix, side: int) -> dict[tuple[str, int], str]:
    squares: dict[tuple[str, int], list[str]] = {}
    for i, j in pairs(*np.nonzero(matrix)):
        kind = "hit" if i == j else "miss"
        square = f"M{j * side} {i * side}h{side}v{side}h-{side}z"
        squares.setdefault((kind, int(opacity[i, j])), []).append(square)
    return {key: "".join(parts) for key, parts in squares.items()}
