"""What has moved between a training's photos and an endpoint's: eight tests, one level for all."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from artifact.drift_reference import Reference
from artifact.photos.measures import MEASURES
from artifact.text.numbers import percent
from launch.shift import Mix, differ_in_rows, differ_in_shares, differ_in_values, holm

LEVEL = 0.01  # of all tests together: one report in a hundred is a false alarm
FEWEST = 30  # photos of a sample that a test takes

ADVICE = {
    "brightness": "Look at the light and the camera's exposure. If the new light is here to stay, "
    "add such photos to the training.",
    "contrast": "Look for haze, a dirty lens, backlight, or a camera that processes its photos "
    "in another way.",
    "saturation": "Look at the camera's colour settings, and whether photos arrive in grey.",
    "warmth": "Look at the white balance and at the lamps.",
    "sharpness": "Look for a lens out of focus, shaking, stronger JPEG compression, or photos that "
    "are shrunk before they are sent.",
    "features": "The network sees other things than it was trained on. Look at the photos below, "
    "label some of them, and train again with them.",
    "classes": "The classes come in other shares. If they really do, the training's shares are out "
    "of date. If they do not, look at the photos that were answered with the class that grew.",
    "confidence": "The network is less sure, or surer, than it was of the validation photos. Its "
    "accuracy is likely to have changed, too: label some of the photos and measure it.",
}


@dataclass(frozen=True)
class Seen:
    """An endpoint's photos. measures: float32 [N, 5]. features: float32 [N, K]; K is 0 without.

    answers, probabilities: of the photos whose answer was captured, int64 [A] and float32 [A].
    """

    measures: NDArray[np.float32]
    features: NDArray[np.float32]
    answers: NDArray[np.int64]
    probabilities: NDArray[np.float32]


@dataclass(frozen=True)
class Finding:
    """One thing that was compared. shift: how far it has moved, in words. p: of its test.

    photos: of the training, and of the endpoint. moved: whether by more than chance.
    """

    name: str
    test: str
    p: float
    shift: str
    before: float
    now: float
    photos: tuple[int, int]
    moved: bool = False


def findings(reference: Reference, seen: Seen, classes: Sequence[str]) -> list[Finding]:
    """All that can be compared, in a fixed order; what has too few photos is left out."""
    asked = [
        *_measures(reference, seen),
        *_features(reference, seen),
        *_answers(reference, seen, classes),
    ]
    rejected = holm([one.p for one in asked], LEVEL)
    return [replace(one, moved=moved) for one, moved in zip(asked, rejected, strict=True)]


def expected_shares(reference: Reference) -> NDArray[np.float64]:
    """The share of each class in answers to photos like the training's, float64 [classes]."""
    mix = Mix(reference.counts, reference.labels, reference.answers)
    each = np.ones(len(reference.labels), np.int64)
    return mix.expected(reference.counts / reference.counts.sum(), each)


def shares(answers: NDArray[np.integer], classes: int) -> NDArray[np.float64]:
    """The share of each class, float64 [classes]."""
    return np.asarray(np.bincount(answers, minlength=classes) / max(1, len(answers)))


def _measures(reference: Reference, seen: Seen) -> list[Finding]:
    if min(len(reference.measures), len(seen.measures)) < FEWEST:
        return []
    return [
        _of_values(name, reference.measures[:, column], seen.measures[:, column])
        for column, name in enumerate(MEASURES)
    ]


def _of_values(name: str, first: NDArray[np.float32], second: NDArray[np.float32]) -> Finding:
    # most probabilities lie near 1, so that their median hardly moves
    middle = np.mean if name == "confidence" else np.median
    before = float(middle(first))
    now = float(middle(second))
    deviation = float(first.std()) or 1.0
    # Rounded before it is written, so that no change is 0.0 and not -0.0.
    deviations = round((now - before) / deviation, 1) + 0.0
    shift = f"{deviations:+.1f} standard deviations"
    p = differ_in_values(first, second).p
    return Finding(name, "Kolmogorov-Smirnov", p, shift, before, now, (len(first), len(second)))


def _features(reference: Reference, seen: Seen) -> list[Finding]:
    first = reference.features
    second = seen.features
    if min(len(first), len(second)) < FEWEST or not second.shape[1]:
        return []
    center = first.mean(axis=0)
    before = float(np.linalg.norm(first - center, axis=1).mean())
    now = float(np.linalg.norm(second - center, axis=1).mean())
    apart = float(np.linalg.norm(second.mean(axis=0) - center))
    shift = f"their centre, by {apart / (before or 1.0):.2f} of the mean distance from it"
    p = differ_in_rows(first, second).p
    photos = (len(first), len(second))
    return [Finding("features", "maximum mean discrepancy", p, shift, before, now, photos)]


def _answers(reference: Reference, seen: Seen, classes: Sequence[str]) -> list[Finding]:
    if min(len(reference.answers), len(seen.answers)) < FEWEST:
        return []
    mix = Mix(reference.counts, reference.labels, reference.answers)
    before = expected_shares(reference)
    now = shares(seen.answers, len(classes))
    most = int(np.abs(now - before).argmax())
    change = f"from {percent(float(before[most]))} to {percent(float(now[most]))}"
    shift = f"'{classes[most]}' most, {change}"
    moved_most = Finding(
        "classes",
        "multinomial",
        differ_in_shares(mix, seen.answers).p,
        shift,
        float(before[most]),
        float(now[most]),
        (int(reference.counts.sum()), len(seen.answers)),
    )
    return [moved_most, _of_values("confidence", reference.probabilities, seen.probabilities)]
