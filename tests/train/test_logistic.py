"""The logistic regression behind a frozen backbone, against scipy's optimum."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize  # type: ignore[import-untyped]
from torch.nn import functional

from train.learning import logistic
from train.learning.logistic import LogisticRegression

ROWS, FEATURES, CLASSES = 120, 12, 4


def problem(multi_label: bool) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Features of unlike sizes, one of them constant; targets; weights."""
    generator = torch.Generator().manual_seed(5)
    features = 3 + torch.randn(ROWS, FEATURES, generator=generator) * torch.arange(1, FEATURES + 1)
    features[:, 7] = 2.0
    scores = features @ torch.randn(FEATURES, CLASSES, generator=generator)
    targets = functional.one_hot(scores.argmax(1), CLASSES).float()
    if multi_label:
        targets = (torch.rand(ROWS, CLASSES, generator=generator) < 0.3).float()
    columns = CLASSES if multi_label else 1
    return features, targets, 0.5 + torch.rand(ROWS, columns, generator=generator)


def regression(multi_label: bool) -> LogisticRegression:
    return LogisticRegression(*problem(multi_label), multi_label, ROWS, lambda value: value)


def loss(
    weight: torch.Tensor, bias: torch.Tensor, strength: float, multi_label: bool
) -> torch.Tensor:
    """What is minimised, in float64. weight: [classes, D], over features as they are."""
    features, targets, weights = (value.double() for value in problem(multi_label))
    logits = features @ weight.T + bias
    if multi_label:
        losses = functional.binary_cross_entropy_with_logits(
            logits, targets, weights, reduction="none"
        )
    else:
        losses = -(logits.log_softmax(1) * targets) * weights
    deviation = features.std(0, correction=0)
    return losses.sum() / ROWS + strength / 2 * (weight * deviation).square().sum()


def scipys_lowest(strength: float, multi_label: bool) -> float:
    features = problem(multi_label)[0].double()
    deviation = features.std(0, correction=0).clamp_min(1e-12)
    cut = CLASSES * FEATURES

    def value(flat: np.ndarray) -> tuple[float, np.ndarray]:
        point = torch.tensor(flat, requires_grad=True)
        weight = point[:cut].view(CLASSES, FEATURES) / deviation
        bias = point[cut:] - weight @ features.mean(0)
        lost = loss(weight, bias, strength, multi_label)
        lost.backward()
        assert point.grad is not None
        return lost.item(), point.grad.numpy()

    options = {"maxiter": 5000, "ftol": 1e-14, "gtol": 1e-9}
    start = np.zeros(cut + CLASSES)
    found = minimize(value, start, jac=True, method="L-BFGS-B", options=options)
    return float(found.fun)


@pytest.mark.parametrize("multi_label", [False, True])
def test_the_optimum_is_scipys_for_every_strength(monkeypatch, multi_label):
    monkeypatch.setattr(logistic, "TOLERANCE", 1e-9)
    solver = regression(multi_label)
    for strength in (1.0, 0.1, 0.01):
        assert solver.solve(strength)
        weight, bias = solver.layer()
        ours = loss(weight.double(), bias.double(), strength, multi_label).item()
        assert ours == pytest.approx(scipys_lowest(strength, multi_label), rel=1e-6)
        logits = functional.linear(problem(multi_label)[0], weight, bias)
        assert torch.allclose(logits, solver.logits(), atol=1e-4)


def test_the_usual_tolerance_is_close_to_it():
    solver = regression(False)
    for strength in (1.0, 0.1):
        assert solver.solve(strength)
        weight, bias = solver.layer()
        ours = loss(weight.double(), bias.double(), strength, False).item()
        assert ours == pytest.approx(scipys_lowest(strength, False), rel=1e-5)


class Counting(LogisticRegression):
    """It counts its steps."""

    steps = 0

    def _search(self, *given):
        self.steps += 1
        return super()._search(*given)


def test_a_path_takes_fewer_steps_for_what_the_strengths_before_have_shown():
    counts = []
    for remembers in (True, False):
        solver = Counting(*problem(False), False, ROWS, lambda value: value)
        for step in range(7):
            assert solver.solve(10 ** (-step / 2))
            if not remembers:
                solver._before = None
                solver._pairs = []
        counts.append(solver.steps)
    assert counts[0] < 0.9 * counts[1], counts


def test_a_feature_that_never_changes_has_no_weight():
    solver = regression(False)
    assert solver.solve(0.1)
    assert not solver.layer()[0][:, 7].any()


def test_a_repeated_solution_has_the_same_bits():
    first, second = regression(False), regression(False)
    for solver in (first, second):
        assert solver.solve(0.1)
        assert solver.solve(0.01)
    for one, other in zip(first.layer(), second.layer(), strict=True):
        assert torch.equal(one, other)


def test_the_rows_of_two_processes_make_one_regression():
    """Each process has some rows; here both sums are those of all rows."""
    features, targets, weights = problem(False)
    whole = regression(False)
    assert whole.solve(0.1)
    # twice the same half: the sum over two processes is twice one's own
    half = LogisticRegression(
        features[:60], targets[:60], weights[:60], False, 120, lambda v: 2 * v
    )
    doubled = [torch.cat([value[:60], value[:60]]) for value in (features, targets, weights)]
    both = LogisticRegression(doubled[0], doubled[1], doubled[2], False, 120, lambda v: v)
    assert half.solve(0.1)
    assert both.solve(0.1)
    assert torch.allclose(half.layer()[0], both.layer()[0], rtol=1e-4, atol=1e-6)
    assert not torch.allclose(half.layer()[0], whole.layer()[0], rtol=1e-4, atol=1e-6)


def test_a_stop_leaves_the_head_as_it_was():
    solver = regression(False)
    assert not solver.solve(0.1, lambda: True)
    assert not solver.layer()[0].any()
