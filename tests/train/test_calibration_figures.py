"""The figures of calibration, step by step."""

import math

import pytest
import torch

from train.learning.objective import losses
from train.result import calibration
from train.result.calibration import calibrate, expected_calibration_error, fit_temperature


def test_a_confidence_at_the_end_of_a_step_belongs_to_the_step_below():
    """Of 0.5 in two steps and 0.500001: one is too low by 0.5, the other too high by it."""
    probabilities = torch.tensor([[0.5, 0.5], [0.500001, 0.499999]])
    wanted = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    found = expected_calibration_error(probabilities, wanted, bins=2)
    assert found == pytest.approx(0.5, abs=1e-4)
    together = expected_calibration_error(probabilities, wanted, bins=1)
    assert together == pytest.approx(0.0, abs=1e-4)


def test_a_probability_of_0_counts_in_the_lowest_step():
    probabilities = torch.tensor([[0.0], [0.05]])
    wanted = torch.tensor([[1.0], [0.0]])
    found = expected_calibration_error(probabilities, wanted, multi_label=True)
    assert found == pytest.approx((1 - 0.05) / 2)


def test_fifteen_steps_are_taken():
    """0.70 and 0.72 share a step of 15, but none of 14 or 16, nor of 50."""
    probabilities = torch.tensor([[0.674, 0.326], [0.726, 0.274]])
    wanted = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    found = expected_calibration_error(probabilities, wanted)
    assert found == pytest.approx(abs(1 - 0.674 - 0.726) / 2, abs=1e-6)
    for bins in (14, 16):
        assert expected_calibration_error(probabilities, wanted, bins) > found + 0.1


def test_the_figures_of_a_calibration():
    logits = torch.tensor([[2.0, 0.0], [2.0, 0.0], [2.0, 0.0]])
    wanted = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    temperature, figures = calibrate(logits, wanted, False)
    before = torch.softmax(logits[0], 0)[0].item()
    after = torch.softmax(logits[0] / temperature, 0)[0].item()
    assert figures["photos"] == 3
    assert figures["ece_before"] == pytest.approx(abs(before - 2 / 3))
    assert figures["ece_after"] == pytest.approx(abs(after - 2 / 3))
    nll = -(2 * math.log(before) + math.log(1 - before)) / 3
    assert figures["nll_before"] == pytest.approx(nll)
    nll = -(2 * math.log(after) + math.log(1 - after)) / 3
    assert figures["nll_after"] == pytest.approx(nll)
    assert temperature == round(temperature, 4)


def test_the_temperature_is_where_likelihood_and_prior_balance():
    """The derivative by ln T of the loss is that of the prior, ln T / 0.3 squared, below 0."""
    logits = torch.tensor([[2.0, 0.0], [2.0, 0.0], [2.0, 0.0]])
    wanted = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    temperature = fit_temperature(logits, wanted)
    steps = [math.log(temperature) + change for change in (-0.001, 0.001)]
    sums = []
    for step in steps:
        own = losses(logits.double() / math.exp(step), wanted.double(), False).sum().item()
        sums.append(own + 0.5 * (step / 0.3) ** 2)
    slope = (sums[1] - sums[0]) / 0.002
    assert slope == pytest.approx(0.0, abs=1e-3)
    assert (calibration.LOWEST, calibration.HIGHEST) == (0.05, 20.0)
