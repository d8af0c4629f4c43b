"""The answers by which int8 is judged, of all channels together."""

from pathlib import Path

import torch

from train.result.int8 import judgement
from train.result.measure import Answers


def answers(
    probabilities: list[list[float]], wanted: list[list[int]], multi_label: bool
) -> Answers:
    return Answers(
        "validation",
        [Path(f"{number}.jpg") for number in range(len(wanted))],
        torch.tensor(probabilities),
        torch.tensor(wanted, dtype=torch.float32),
        multi_label,
        "int8",
    )


def test_the_highest_probability_is_the_answer():
    first = answers([[0.7, 0.3], [0.2, 0.8]], [[1, 0], [1, 0]], False)
    second = answers([[0.4, 0.6]], [[0, 1]], False)
    found = judgement([first, second])
    assert found.answers.tolist() == [0, 1, 1]
    assert found.correct.tolist() == [True, False, True]


def test_with_several_labels_all_above_one_half_are():
    found = judgement([answers([[0.7, 0.6], [0.2, 0.8]], [[1, 1], [1, 1]], True)])
    assert found.answers.tolist() == [[True, True], [False, True]]
    assert found.correct.tolist() == [True, False]
