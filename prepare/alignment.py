"""Whether one photo shows the other, pixel by pixel: aligned, and robust to brightness and marks.

The other photo should be a window of the first. Where the window lies, and by how much the other is
brighter, is found by least squares, step by step (Lucas and Kanade, "An iterative image
registration technique", 1981). Pixels that do not fit, such as a watermark's, and clipped ones
count less. What is compared in the end is the detail: two photos of one studio have the same
background, and only copies have the same edges.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

STEPS = 4  # of the search for the window, at each size
LARGEST_STEP = 0.04  # of a side
SIZES = (0.8, 1.06)  # of a window: what the search may find
PLACES = (-0.05, 0.25)
CLIPPED = (4, 250)  # levels beyond which a pixel may have been cut off
SMALLEST_GAIN = 0.2
DAMPING = 1e-6
RADIUS = 2  # pixels, of the mean that the detail is taken from
MARKED = 0.1  # share of the pixels that a mark may cover


@dataclass(frozen=True)
class Aligned:
    """What was found for each of n pairs.

    windows: [n, 4], width, height, left and top in shares of a side. likeness: [2, n], from -1 to
    1: the correlation of all detail, and that without the pixels that fit least.
    """

    windows: NDArray[np.float64]
    likeness: Floats


def align(one: Floats, other: Floats, windows: NDArray[np.float64]) -> Aligned:
    """Find the windows of `one` that `other` shows. both: levels of 255, [n, side, side].

    windows: where to begin.
    """
    start = windows.copy()
    found = windows.copy()
    fit = np.tile(np.array([1, 0], np.float32), (len(one), 1))
    for step in range(STEPS):
        seen, inside = look(one, found)
        found, fit = _step(seen, other, found, fit, robust=step > 0)
    seen, inside = look(one, found)
    predicted = np.clip(fit[:, :1, None] * seen + fit[:, 1:, None], 0, 255)
    likeness = _likeness(predicted, other, inside)
    seen, inside = look(one, start)  # a plain photo can lead the search astray
    at_start = _likeness(seen, other, inside)
    better = at_start.sum(0) > likeness.sum(0)
    found[better] = start[better]
    likeness[:, better] = at_start[:, better]
    return Aligned(found, likeness)


def look(photos: Floats, windows: NDArray[np.float64]) -> tuple[Floats, NDArray[np.bool_]]:
    """The windows of the photos, resampled to their side, and which pixels lie in the photo."""
    side = photos.shape[1]
    points = (np.arange(side) + 0.5) / side
    across = (windows[:, 2:3] + windows[:, 0:1] * points) * side - 0.5
    down = (windows[:, 3:4] + windows[:, 1:2] * points) * side - 0.5
    seen = np.matmul(_between(down, side), photos)
    seen = np.matmul(seen, _between(across, side).transpose(0, 2, 1))
    return seen, _within(down, side)[:, :, None] & _within(across, side)[:, None, :]


def _between(places: NDArray[np.float64], side: int) -> Floats:
    """Matrices [n, side, side] that take rows of pixels to values between them."""
    clipped = np.clip(places, 0, side - 1)
    before = np.minimum(clipped.astype(np.int64), side - 2)
    share = (clipped - before).astype(np.float32)[..., None]
    matrices = np.zeros((*places.shape, side), np.float32)
    np.put_along_axis(matrices, before[..., None], 1 - share, 2)
    np.put_along_axis(matrices, before[..., None] + 1, share, 2)
    return matrices


def _within(places: NDArray[np.float64], side: int) -> NDArray[np.bool_]:
    return (places > -0.6) & (places < side - 0.4)


def _step(
    seen: Floats, other: Floats, windows: NDArray[np.float64], fit: Floats, robust: bool
) -> tuple[NDArray[np.float64], Floats]:
    """One step of least squares: better windows, and the gain and offset of the brightness.

    The unknowns: gain, offset, and by how much the window moves and grows, across and down.
    """
    pairs, side, _ = seen.shape
    points = ((np.arange(side) + 0.5) / side).astype(np.float32)
    slope_across = np.gradient(seen, axis=2) * (side / windows[:, 0])[:, None, None]
    slope_down = np.gradient(seen, axis=1) * (side / windows[:, 1])[:, None, None]
    parts = [
        *(seen, np.ones_like(seen), slope_across, slope_down),
        *(slope_across * points, slope_down * points[:, None]),
    ]
    columns = np.stack(parts, -1).reshape(pairs, -1, 6).astype(np.float32)
    target = other.reshape(pairs, -1, 1)
    weighted = columns * _weights(seen, other, fit, robust).reshape(pairs, -1, 1)
    normal = np.matmul(weighted.transpose(0, 2, 1), columns).astype(np.float64)
    size = np.trace(normal, axis1=1, axis2=2)[:, None, None]
    normal += np.eye(6) * (DAMPING * size + 1e-9)
    right = np.matmul(weighted.transpose(0, 2, 1), target).astype(np.float64)
    solved = np.linalg.solve(normal, right)[..., 0]
    gain = np.where(np.abs(solved[:, 0]) < SMALLEST_GAIN, SMALLEST_GAIN, solved[:, 0])
    move = np.clip(solved[:, 2:] / gain[:, None], -LARGEST_STEP, LARGEST_STEP)
    sizes = np.clip(windows[:, :2] + move[:, 2:], *SIZES)
    places = np.clip(windows[:, 2:] + move[:, :2], *PLACES)
    new_fit = np.stack([gain, solved[:, 1]], 1).astype(np.float32)
    return np.concatenate([sizes, places], 1), new_fit


def _weights(seen: Floats, other: Floats, fit: Floats, robust: bool) -> Floats:
    """How much each pixel counts: little where it is clipped, or fits much worse than most."""
    weights = ((other > CLIPPED[0]) & (other < CLIPPED[1])) + np.float32(1e-3)
    if robust:
        predicted = np.clip(fit[:, :1, None] * seen + fit[:, 1:, None], 0, 255)
        error = np.abs(other - predicted)
        usual = 1.5 * np.median(error, axis=(1, 2), keepdims=True) + 2
        weights = weights / (1 + (error / usual) ** 2)
    return np.asarray(weights, np.float32)


def _likeness(predicted: Floats, other: Floats, inside: NDArray[np.bool_]) -> Floats:
    """The correlation of all detail, and that of the pixels that fit best: [2, n]."""
    pairs = len(other)
    counted = inside.reshape(pairs, -1).astype(np.float32)
    expected = detail(predicted).reshape(pairs, -1)
    real = detail(other).reshape(pairs, -1)
    every = correlation(expected, real, counted)
    gain = (expected * real * counted).sum(1) / ((expected**2 * counted).sum(1) + 1e-3)
    error = np.abs(real - gain[:, None] * expected) * counted
    most = np.quantile(error, 1 - MARKED, axis=1, keepdims=True)
    rest = correlation(expected, real, counted * (error <= most))
    return np.stack([every, rest])


def correlation(one: Floats, other: Floats, counted: Floats) -> Floats:
    """Of values around 0, [n, values] each. counted: what each value counts."""
    product = (one * other * counted).sum(1)
    return np.asarray(
        product / np.sqrt((one**2 * counted).sum(1) * (other**2 * counted).sum(1) + 1e-3)
    )


def detail(photos: Floats, radius: int = RADIUS) -> Floats:
    """The photos without the mean of each pixel's surroundings. photos: [n, height, width]."""
    width = 2 * radius + 1
    padded = np.pad(photos, ((0, 0), (radius + 1, radius), (radius + 1, radius)), mode="edge")
    sums = padded.cumsum(1, dtype=np.float64).cumsum(2)
    boxes = sums[:, width:, width:] - sums[:, :-width, width:]
    boxes += sums[:, :-width, :-width] - sums[:, width:, :-width]
    return np.asarray(photos - (boxes / width**2).astype(np.float32))
