import pytest
import torch

from train.result.calibration import (
    HIGHEST,
    LOWEST,
    calibrate,
    expected_calibration_error,
    fit_temperature,
)


def drawn(
    photos: int, classes: int, temperature: float, multi_label: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits whose true probabilities are those of logits / temperature; labels drawn by them."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(photos, classes, generator=generator) * 3 * temperature
    if multi_label:
        return logits, torch.bernoulli(torch.sigmoid(logits / temperature), generator=generator)
    labels = torch.multinomial(torch.softmax(logits / temperature, dim=1), 1, generator=generator)[
        :, 0
    ]
    return logits, torch.nn.functional.one_hot(labels, classes).float()


@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize("temperature", [0.4, 1.0, 3.5])
def test_a_known_temperature_is_found(temperature, multi_label):
    logits, wanted = drawn(4000, 6, temperature, multi_label)
    found, figures = calibrate(logits, wanted, multi_label)
    assert found == pytest.approx(temperature, rel=0.08)
    assert figures["photos"] == 4000
    assert figures["ece_after"] < 0.02
    assert figures["nll_after"] <= figures["nll_before"] + 1e-6
    if temperature != 1:
        assert figures["ece_before"] > 2 * figures["ece_after"]


@pytest.mark.parametrize("multi_label", [False, True])
def test_a_few_photos_that_are_all_right_do_not_make_certainties(multi_label):
    wanted = torch.nn.functional.one_hot(torch.arange(20) % 3, 3).float()
    assert 0.3 < fit_temperature(2 * wanted - 1, wanted, multi_label) < 1
    # many of them are evidence
    assert (
        fit_temperature((2 * wanted - 1).repeat(200, 1), wanted.repeat(200, 1), multi_label) < 0.3
    )


def test_the_temperature_stays_within_its_bounds():
    wanted = torch.nn.functional.one_hot(torch.arange(30_000) % 3, 3).float()
    assert fit_temperature(wanted / 5, wanted) == pytest.approx(LOWEST, rel=0.01)
    wrong = wanted.roll(1, dims=1) * 100
    assert fit_temperature(wrong, wanted) == pytest.approx(HIGHEST, rel=0.01)


def test_logits_that_are_no_numbers_leave_the_temperature_alone():
    assert fit_temperature(torch.tensor([[float("nan"), 1.0]]), torch.tensor([[1.0, 0.0]])) == 1.0


@pytest.mark.parametrize(
    "probabilities, wanted, multi_label, error",
    [
        # certain and right; certain and wrong
        ([[1.0, 0.0], [0.0, 1.0]], [[1, 0], [0, 1]], False, 0.0),
        ([[1.0, 0.0], [0.0, 1.0]], [[0, 1], [1, 0]], False, 1.0),
        # four answers of 0.75, three of them right
        ([[0.75, 0.25]] * 4, [[1, 0]] * 3 + [[0, 1]], False, 0.0),
        # the same, one of them right
        ([[0.75, 0.25]] * 4, [[0, 1]] * 3 + [[1, 0]], False, 0.5),
        # two bins: 0.9 and right (0.1 off), 0.6 and wrong (0.6 off), three photos to one
        ([[0.9, 0.1]] * 3 + [[0.6, 0.4]], [[1, 0]] * 3 + [[0, 1]], False, (3 * 0.1 + 0.6) / 4),
        # errors in opposite directions do not cancel across bins, but do within one
        ([[0.9, 0.1], [0.9, 0.1]], [[1, 0], [0, 1]], False, 0.4),
        # each class on its own: 0.8 with the label, 0.2 without
        ([[0.8, 0.2]], [[1, 0]], True, 0.2),
        ([[0.5, 0.5]], [[1, 0]], True, 0.0),
    ],
)
def test_the_error_of_known_cases(probabilities, wanted, multi_label, error):
    probabilities, wanted = torch.tensor(probabilities), torch.tensor(wanted, dtype=torch.float32)
    assert expected_calibration_error(
        probabilities, wanted, multi_label=multi_label
    ) == pytest.approx(error, abs=1e-6)


def test_more_bins_see_what_one_hides():
    probabilities = torch.tensor([[0.9, 0.1], [0.6, 0.4]])
    wanted = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    assert expected_calibration_error(probabilities, wanted, bins=1) == pytest.approx(0.25)
    assert expected_calibration_error(probabilities, wanted, bins=15) == pytest.approx(
        (0.9 + 0.4) / 2
    )
