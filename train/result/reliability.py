"""How far the artifact's probabilities can be gone by: calibration.json and coverage.json."""

import json
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from artifact.model import Description, write_atomically
from recipes.sagemaker import Api
from train.job import Job
from train.learning.objective import is_correct
from train.result.measure import Answers

CALIBRATION_FILE = "calibration.json"
COVERAGE_FILE = "coverage.json"
BINS = 15  # as of the expected calibration error
POINTS = 100  # of a curve

Values = NDArray[np.float64]  # [N]
Json = dict[str, object]


def write_reliability(
    job: Job, description: Description, measured: Sequence[Answers]
) -> tuple[Json, Json]:
    """Both files, of the channels that were measured; nothing without any.

    Returns what they hold.
    """
    if not measured:
        return {}, {}
    calibration: Json = {
        "temperature": description.temperature,
        "fitted": description.calibration,
        "channels": {answers.channel: _reliability(answers) for answers in measured},
    }
    coverage: Json = {"channels": {answers.channel: _coverage(answers) for answers in measured}}
    job.output_data.mkdir(parents=True, exist_ok=True)
    for name, document in ((CALIBRATION_FILE, calibration), (COVERAGE_FILE, coverage)):
        text = json.dumps(document, indent=2) + "\n"
        write_atomically(job.output_data / name, text.encode())
    return calibration, coverage


def _reliability(answers: Answers) -> Json:
    """Bins of equal width of the highest probability; with multi_label, of every probability."""
    probabilities = answers.probabilities.double()
    if answers.multi_label:
        confidence = probabilities.flatten().numpy()
        hit = answers.wanted.flatten().double().numpy()
    else:
        confidence = probabilities.amax(1).numpy()
        hit = is_correct(answers.probabilities, answers.wanted, False).double().numpy()
    return {
        "photos": len(answers.paths),
        "expected_calibration_error": answers.calibration_error(),
        "bins": _bins(confidence, hit),
    }


def _bins(confidence: Values, hit: Values) -> list[Json]:
    """Bin b holds confidences in (b / BINS, (b + 1) / BINS]; means are null in an empty one."""
    place = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    rows: list[Json] = []
    for index in range(BINS):
        chosen = place == index
        row: Json = {"from": index / BINS, "to": (index + 1) / BINS, "count": int(chosen.sum())}
        for name, values in (("confidence", confidence), ("accuracy", hit)):
            row[name] = round(float(values[chosen].mean()), 6) if chosen.any() else None
        rows.append(row)
    return rows


def _coverage(answers: Answers) -> Json:
    """The accuracy of the surest answers, for more and more of them.

    A photo is as sure as its highest probability; with multi_label, as its least sure label.
    """
    probabilities = answers.probabilities.double()
    sure = probabilities.amax(1)
    if answers.multi_label:
        sure = (probabilities - 0.5).abs().amin(1) + 0.5
    hit = is_correct(answers.probabilities, answers.wanted, answers.multi_label, threshold=0.5)
    found: Json = {
        "photos": len(answers.paths),
        "points": _points(sure.numpy(), hit.double().numpy()),
        "sure": _sure(sure.numpy() >= Api.sure_from, hit.double().numpy()),
    }
    if answers.known is not None:
        found["known"] = round(float(answers.known.double().mean()), 6)
    return found


def _sure(sure: NDArray[np.bool_], hit: Values) -> Json:
    """The share of photos whose answers are sure, and the accuracy of those and of the others."""
    return {
        "probability": Api.sure_from,
        "coverage": round(float(sure.mean()), 6),
        "accuracy": round(float(hit[sure].mean()), 6) if sure.any() else None,
        "others": None if sure.all() else round(float(hit[~sure].mean()), 6),
    }


def _points(sure: Values, hit: Values) -> list[Json]:
    order = np.argsort(-sure, kind="stable")
    right = np.cumsum(hit[order])
    counts = np.unique(np.ceil(np.arange(1, POINTS + 1) * len(sure) / POINTS).astype(int))
    points: list[Json] = []
    for count in counts.tolist():
        point: Json = {
            "coverage": round(count / len(sure), 6),
            "accuracy": round(float(right[count - 1]) / count, 6),
            "probability": round(float(sure[order[count - 1]]), 6),
        }
        points.append(point)
    return points
