"""Calibrated probabilities: a temperature fitted on the validation photos, and the error left."""

import math
from collections.abc import Callable

import numpy as np
import torch

from train.learning.objective import is_correct, losses

# bounds of the temperature T
LOWEST = 0.05
HIGHEST = 20.0
# The prior of ln T: normal around 0 with this deviation, worth as much as one photo. When all of a
# few photos are answered correctly, the likelihood alone would rise until T is 0 and turn every
# answer into a certainty; the prior prevents that. A hundred photos outvote it.
PRIOR_DEVIATION = 0.3
GOLDEN = (math.sqrt(5) - 1) / 2
ACCURATE = 1e-5  # of ln T, where the search ends


def calibrate(
    logits: torch.Tensor, wanted: torch.Tensor, multi_label: bool
) -> tuple[float, dict[str, float]]:
    """The temperature for the network's validation logits, and model.json's figures.

    logits, wanted (targets): float [N, classes], N >= 1. The figures are the network's own on these
    photos, in float32: photos, ece_before, ece_after (expected calibration error), nll_before,
    nll_after (negative log likelihood, nats for a photo).
    """
    fitted = fit_temperature(logits, wanted, multi_label)
    figures: dict[str, float] = {"photos": len(logits)}
    for name, temperature in (("before", 1.0), ("after", fitted)):
        scores = logits.double() / temperature
        probabilities = torch.sigmoid(scores) if multi_label else torch.softmax(scores, dim=1)
        error = expected_calibration_error(probabilities, wanted, multi_label=multi_label)
        figures[f"ece_{name}"] = error
        figures[f"nll_{name}"] = losses(scores, wanted.double(), multi_label).mean().item()
    return fitted, figures


def fit_temperature(logits: torch.Tensor, wanted: torch.Tensor, multi_label: bool = False) -> float:
    """The T in LOWEST..HIGHEST under which logits / T make the labels most likely, with the prior.

    1 when logits are not finite.
    """
    if not torch.isfinite(logits).all():
        return 1.0
    precise = logits.double()
    targets = wanted.double()

    def surprise(log_temperature: float) -> float:
        scores = precise / math.exp(log_temperature)
        own = losses(scores, targets, multi_label).sum().item()
        return float(own + 0.5 * (log_temperature / PRIOR_DEVIATION) ** 2)

    return round(math.exp(_lowest_point(surprise, math.log(LOWEST), math.log(HIGHEST))), 4)


def _lowest_point(function: Callable[[float], float], low: float, high: float) -> float:
    """Where a function with a single minimum is lowest, within ACCURATE, by golden-section search.

    scipy.optimize could do it, but loading it takes a second.
    """
    lower = high - GOLDEN * (high - low)
    upper = low + GOLDEN * (high - low)
    at_lower = function(lower)
    at_upper = function(upper)
    while high - low > ACCURATE:
        # each step keeps one of the two inner points, so the function is called once
        if at_lower < at_upper:
            high = upper
            upper = lower
            at_upper = at_lower
            lower = high - GOLDEN * (high - low)
            at_lower = function(lower)
        else:
            low = lower
            lower = upper
            at_lower = at_upper
            upper = low + GOLDEN * (high - low)
            at_upper = function(upper)
    return (low + high) / 2


def expected_calibration_error(
    probabilities: torch.Tensor, wanted: torch.Tensor, bins: int = 15, multi_label: bool = False
) -> float:
    """The mean gap between confidence and accuracy, 0 to 1 (Naeini et al. 2015).

    Photos are sorted into `bins` equal steps of their highest probability; the gaps of the bins are
    averaged, weighted by photos. probabilities, wanted: float [N, classes]. multi_label: each class
    of each photo counts, its probability against whether the photo has the label.
    """
    if multi_label:
        confidence = probabilities.flatten().double().numpy()
        hit = wanted.flatten().double().numpy()
    else:
        confidence = probabilities.max(dim=1).values.double().numpy()
        hit = is_correct(probabilities, wanted, False).double().numpy()
    # bin b holds confidences in (b / bins, (b + 1) / bins]
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    gaps = np.bincount(place, hit - confidence, bins)
    return float(np.abs(gaps).sum() / len(confidence))
