"""Probabilities that mean what they say: a temperature fitted on the validation photos, and how far off they are."""

import math
from collections.abc import Callable

import numpy as np
import torch

from train.learning.objective import is_correct, losses

LOWEST, HIGHEST = 0.05, 20.0
# The prior of ln T: normal around 0 with this deviation, as weighty as a photo. It keeps a few photos that are all answered
# rightly, whose likelihood rises until T is 0, from making certainties of everything; a hundred photos outvote it.
PRIOR_DEVIATION = 0.3
GOLDEN = (math.sqrt(5) - 1) / 2


def calibrate(logits: torch.Tensor, wanted: torch.Tensor, multi_label: bool) -> tuple[float, dict]:
    """The temperature for the network's validation logits, and model.json's figures of errors before and after it.

    logits, wanted (targets): float [N, classes], N >= 1. The figures are the network's own on these photos, in float32: photos,
    ece_before, ece_after (expected calibration error), nll_before, nll_after (negative log likelihood, nats a photo).
    """
    temperature = fit_temperature(logits, wanted, multi_label)
    figures: dict = {"photos": len(logits)}
    for name, heat in (("before", 1.0), ("after", temperature)):
        scores = logits.double() / heat
        probabilities = torch.sigmoid(scores) if multi_label else torch.softmax(scores, dim=1)
        figures[f"ece_{name}"] = expected_calibration_error(
            probabilities, wanted, multi_label=multi_label
        )
        figures[f"nll_{name}"] = losses(scores, wanted.double(), multi_label).mean().item()
    return temperature, figures


def fit_temperature(logits: torch.Tensor, wanted: torch.Tensor, multi_label: bool = False) -> float:
    """The T in LOWEST..HIGHEST under which logits / T make the labels most likely, under the prior; 1 where logits are not finite."""
    if not torch.isfinite(logits).all():
        return 1.0
    logits, wanted = logits.double(), wanted.double()

    def surprise(log_temperature: float) -> float:
        own = losses(logits / math.exp(log_temperature), wanted, multi_label).sum().item()
        return own + 0.5 * (log_temperature / PRIOR_DEVIATION) ** 2

    return round(math.exp(_valley(surprise, math.log(LOWEST), math.log(HIGHEST))), 4)


def _valley(function: Callable[[float], float], low: float, high: float) -> float:
    """Where a function of one valley is lowest, within 1e-5, by golden sections; loading scipy.optimize for it takes a second."""
    lower, upper = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
    at_lower, at_upper = function(lower), function(upper)
    while high - low > 1e-5:
        if at_lower < at_upper:
            high, upper, at_upper = upper, lower, at_lower
            lower = high - GOLDEN * (high - low)
            at_lower = function(lower)
        else:
            low, lower, at_lower = lower, upper, at_upper
            upper = low + GOLDEN * (high - low)
            at_upper = function(upper)
    return (low + high) / 2


def expected_calibration_error(
    probabilities: torch.Tensor, wanted: torch.Tensor, bins: int = 15, multi_label: bool = False
) -> float:
    """How far confidence lies from the share that is right, 0 to 1: photos sorted into `bins` equal steps of the highest
    probability, the bins' gaps averaged by their photos (Naeini et al. 2015).

    probabilities, wanted: float [N, classes]. multi_label: each class of each photo counts, its probability against whether the
    photo has the label.
    """
    if multi_label:
        confidence, hit = probabilities.flatten(), wanted.flatten()
    else:
        confidence, hit = probabilities.max(dim=1).values, is_correct(probabilities, wanted, False)
    confidence, hit = confidence.double().numpy(), hit.double().numpy()
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    gaps = np.bincount(place, hit - confidence, bins)
    return float(np.abs(gaps).sum() / len(confidence))
