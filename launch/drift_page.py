"""The page of `launch drift`: what has moved, how far, photos that show it, and what to do."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from artifact.drift_reference import Reference
from artifact.engines.probe import read_probe
from artifact.model import ArtifactError, Description
from artifact.pages.page import write_page
from artifact.pages.plot import linear_axis
from artifact.pages.project_pages import About
from artifact.photos.measures import MEASURES
from artifact.text.numbers import percent
from launch.drift_findings import ADVICE, LEVEL, Finding, Seen, expected_shares, shares
from launch.shift import PERMUTATIONS

TEMPLATE = Path(__file__).with_name("drift_report.html.j2")
SIDE = 112  # pixels of a small picture
SHOWN = 8  # photos in a row
MOST_CLASSES = 20  # of the table of shares
BINS = 24
MEANT = {
    **MEASURES,
    "features": "of the network: distance from the training's centre",
    "classes": "the share of the class that changed most",
    "confidence": "probability of the answered class",
}
# A plot's numbers, in SVG units.
WIDTH = 420
HEIGHT = 150
LEFT = 8
RIGHT = 412
TOP = 8
BOTTOM = 120

Values = NDArray[np.float32]


@dataclass(frozen=True)
class Sample:
    """A captured photo for the page. answer: the number of its class; -1 without."""

    picture: str  # a data URI
    answer: int
    probability: float
    time: str


@dataclass(frozen=True)
class Examples:
    """What the page shows beside the findings."""

    model: Path
    description: Description
    reference: Reference
    seen: Seen
    samples: Sequence[Sample]


def small_picture(pixels: NDArray[np.uint8]) -> str:
    """What the network sees, uint8 [S, S, 3], as a small JPEG in a data URI."""
    picture = Image.fromarray(pixels)
    picture.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    data = io.BytesIO()
    picture.save(data, "JPEG", quality=78, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(data.getvalue()).decode('ascii')}"


def write_drift_page(
    path: Path,
    endpoint: str,
    found: Sequence[Finding],
    examples: Examples,
    notes: Sequence[str],
) -> None:
    """Write the page. OSError when the folder cannot take it."""
    times = sorted(sample.time for sample in examples.samples if sample.time)
    write_page(
        path,
        TEMPLATE,
        {"figure": figure},
        about=About("drift", {"photos": f"{len(examples.samples):,}"}),
        title=f"Drift: {endpoint}",
        endpoint=endpoint,
        found=found,
        moved=[one for one in found if one.moved],
        meant=MEANT,
        advice=ADVICE,
        photos=f"{len(examples.samples):,}",
        times=(times[0], times[-1]) if times else None,
        trained_on=f"{len(examples.reference.measures):,}",
        level=LEVEL,
        permutations=f"{PERMUTATIONS:,}",
        middle=middle,
        plots=_plots(found, examples),
        plot={"width": WIDTH, "height": HEIGHT, "bottom": BOTTOM, "left": LEFT, "right": RIGHT},
        classes=_classes(found, examples),
        training=_training_pictures(examples),
        shown={one.name: _shown(one, examples) for one in found if one.moved},
        notes=notes,
    )


def figure(value: float) -> str:
    """A number with three digits."""
    return f"{value:.3g}"


def middle(name: str, value: float) -> str:
    """A finding's `before` or `now`, as its row shows it: the classes' is a share."""
    return percent(value) if name == "classes" else figure(value)


def _plots(found: Sequence[Finding], examples: Examples) -> list[dict[str, Any]]:
    """A pair of histograms for each finding that is of single values, what has moved first."""
    plots = []
    for one in sorted(found, key=lambda one: not one.moved):
        pair = _values(one.name, examples)
        if pair is not None:
            plots.append({"finding": one, **_histograms(*pair)})
    return plots


def _values(name: str, examples: Examples) -> tuple[Values, Values] | None:
    """The training's and the endpoint's values of a finding; None where it has none."""
    if name in MEASURES:
        column = list(MEASURES).index(name)
        return examples.reference.measures[:, column], examples.seen.measures[:, column]
    if name == "confidence":
        return examples.reference.probabilities, examples.seen.probabilities
    if name == "features":
        center = examples.reference.features.mean(axis=0)
        first = np.linalg.norm(examples.reference.features - center, axis=1)
        return first, np.linalg.norm(examples.seen.features - center, axis=1)
    return None


def _histograms(first: Values, second: Values) -> dict[str, Any]:
    """The outlines of two histograms over one axis, each of the same area."""
    both = np.concatenate([first, second])
    low, high = float(both.min()), float(both.max())
    axis = linear_axis(low, high, LEFT, RIGHT)
    edges = np.linspace(axis.low, axis.high, BINS + 1)
    heights = [np.histogram(values, edges)[0] / len(values) for values in (first, second)]
    most = float(np.max(heights)) or 1.0
    places = axis.place(edges)
    outlines = []
    for shares_of in heights:
        tops = np.round(BOTTOM - (BOTTOM - TOP) * shares_of / most, 1)
        steps = "".join(f"V{top}H{right}" for top, right in zip(tops, places[1:], strict=True))
        outlines.append(f"M{places[0]} {BOTTOM}{steps}V{BOTTOM}")
    return {"training": outlines[0], "endpoint": outlines[1], "ticks": axis.marks()}


def _classes(found: Sequence[Finding], examples: Examples) -> list[tuple[str, float, float]]:
    """Class, share of the training's answers and of the endpoint's; what differs most first."""
    if not any(one.name == "classes" for one in found):
        return []
    names = examples.description.classes
    before = expected_shares(examples.reference)
    now = shares(examples.seen.answers, len(names))
    order = np.argsort(-np.abs(now - before), kind="stable")[:MOST_CLASSES]
    return [(names[place], float(before[place]), float(now[place])) for place in order]


def _training_pictures(examples: Examples) -> list[str]:
    """Photos of the training, of the artifact's probe; none where it has none."""
    if not examples.description.probe:
        return []
    try:
        pixels, _ = read_probe(examples.model, examples.description)
    except ArtifactError:
        return []
    return [small_picture(photo) for photo in pixels[:SHOWN]]


def _shown(one: Finding, examples: Examples) -> list[dict[str, str]]:
    """The captured photos that show a finding most clearly, each with its value in words."""
    answered = [sample for sample in examples.samples if sample.answer >= 0]
    if one.name == "classes":
        return _of_class(answered, _classes([one], examples)[0], examples)
    pair = _values(one.name, examples)
    if pair is None:
        return []
    samples = answered if one.name == "confidence" else list(examples.samples)
    # of features the strangest photos tell most, however near the others have come
    sign = -1 if one.now >= one.before or one.name == "features" else 1
    order = np.argsort(sign * pair[1], kind="stable")[:SHOWN]
    return [{"picture": samples[place].picture, "words": figure(pair[1][place])} for place in order]


def _of_class(
    answered: Sequence[Sample], most: tuple[str, float, float], examples: Examples
) -> list[dict[str, str]]:
    """Photos that were answered with the class whose share differs most."""
    number = examples.description.classes.index(most[0])
    found = [sample for sample in answered if sample.answer == number]
    return [
        {"picture": sample.picture, "words": figure(sample.probability)} for sample in found[:SHOWN]
    ]
