"""Whether two samples come from one distribution: permutation tests, and their correction.

A permutation test needs no assumption on the distributions and is exact for any sizes: the members
of both samples are dealt out anew, PERMUTATIONS times, and the statistic of the real samples is
compared with those. It decodes nothing and reads no file.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PERMUTATIONS = 1999  # the least p-value is 1 in 2000
SEED = 0  # the same captures get the same answer

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Groups = NDArray[np.bool_]  # [B, n]: True for the second sample; the first row is the real one
Statistic = Callable[[Groups], NDArray[np.float64]]  # a value for each row


@dataclass(frozen=True)
class Tested:
    """A statistic of the real samples, and how often chance reaches it."""

    statistic: float
    p: float


def differ_in_values(first: Floats, second: Floats) -> Tested:
    """The two-sample Kolmogorov-Smirnov test of float32 [m] and [n]."""
    values = np.concatenate([first, second])
    order = np.argsort(values, kind="stable")
    # the two distribution functions are compared behind the last of equal values
    ends = np.append(np.diff(values[order]) > 0, True)

    def statistic(groups: Groups) -> NDArray[np.float64]:
        taken = groups[:, order]
        of_second = taken.cumsum(axis=1, dtype=np.int32)[:, ends] / len(second)
        of_first = (~taken).cumsum(axis=1, dtype=np.int32)[:, ends] / len(first)
        return np.asarray(np.abs(of_second - of_first).max(axis=1))

    return _tested(statistic, len(first), len(second))


@dataclass(frozen=True)
class Mix:
    """The classes that a training had, and how its network answered photos of each.

    counts: labelled photos of each class, int64 [classes]. labels, answers: the class of each photo
    that it did not learn from, and the class that it answered, int64 [V].
    """

    counts: Ints
    labels: Ints
    answers: Ints

    def expected(self, shares: NDArray[np.float64], weights: Ints) -> NDArray[np.float64]:
        """The shares of the answers to photos whose classes have these shares, float64 [classes].

        weights: of each answered photo. A class without any is taken as answered rightly.
        """
        classes = len(self.counts)
        of_class = np.bincount(self.labels, weights, classes)
        each = weights * (shares / np.maximum(of_class, 1))[self.labels]
        found = np.bincount(self.answers, each, classes) + np.where(of_class > 0, 0, shares)
        return np.asarray(found / found.sum())


def differ_in_shares(mix: Mix, answers: Ints) -> Tested:
    """A multinomial test of answers, int64 [n]: is any class more or less frequent than expected?

    The statistic is the largest deviation of a class, in the deviation of a Poisson count. Its
    p-value is a parametric bootstrap's, which draws the answers, the training's photos and the
    confusions anew: with few photos all three are uncertain.
    """
    count = len(answers)
    photos = int(mix.counts.sum())
    shares = mix.counts / photos
    expected = mix.expected(shares, np.ones(len(mix.labels), np.int64))
    now = np.bincount(answers, minlength=len(shares)) / count
    real = _deviation(now, expected, count)
    generator = np.random.default_rng(SEED)
    reached = 1
    for _ in range(PERMUTATIONS):
        drawn = generator.multinomial(photos, shares) / photos
        known = mix.expected(drawn, generator.poisson(1, len(mix.labels)))
        seen = generator.multinomial(count, expected) / count
        reached += _deviation(seen, known, count) >= real
    return Tested(real, reached / (PERMUTATIONS + 1))


def _deviation(now: NDArray[np.float64], expected: NDArray[np.float64], count: int) -> float:
    # half a photo more: a class that was never answered has a deviation, too
    deviations = np.sqrt((expected + 0.5 / count) / count)
    return float((np.abs(now - expected) / deviations).max())


def differ_in_rows(first: Floats, second: Floats) -> Tested:
    """The maximum mean discrepancy of rows, float32 [m, D] and [n, D] (Gretton et al., JMLR 2012).

    Its kernel is Gaussian; the width is the median distance of the pooled rows.
    """
    rows = np.concatenate([first, second]).astype(np.float64)
    squares = np.square(rows).sum(axis=1)
    distances = np.maximum(squares[:, None] + squares[None] - 2 * rows @ rows.T, 0)
    width = float(np.median(distances[np.triu_indices(len(rows), 1)])) or 1.0
    kernel = np.exp(-distances / width).astype(np.float32)

    def statistic(groups: Groups) -> NDArray[np.float64]:
        weights = np.where(groups, 1 / len(second), -1 / len(first)).astype(np.float32)
        return np.asarray(np.einsum("bn,bn->b", weights @ kernel, weights), np.float64)

    return _tested(statistic, len(first), len(second))


def _tested(statistic: Statistic, first: int, second: int) -> Tested:
    real = np.arange(first + second) >= first
    groups = np.tile(real, (PERMUTATIONS + 1, 1))
    generator = np.random.default_rng(SEED)
    groups[1:] = generator.permuted(groups[1:], axis=1)
    found = statistic(groups)
    # rounding must not tell equal deals apart
    reached = found >= found[0] - 1e-6 * abs(found[0])
    return Tested(float(found[0]), float(reached.mean()))


def holm(p_values: list[float], level: float) -> list[bool]:
    """Which of several tests reject, so that one of them errs with probability `level` at most.

    Holm's step-down method: it holds for tests that depend on each other, too.
    """
    rejected = [False] * len(p_values)
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    for step, place in enumerate(order):
        if p_values[place] > level / (len(p_values) - step):
            break
        rejected[place] = True
    return rejected
