"""Losses, answers and labels at their bounds."""

import pytest
import torch

from train.learning.objective import is_correct, is_in_top_k, losses, multi_hot, padded


def test_padded_labels():
    assert padded([(0,), (0, 2), (1,)], 3).tolist() == [[0, 3], [0, 2], [1, 3]]
    assert padded([(2,)], 3).dtype == torch.int64
    assert padded([], 3).shape == (0, 1)
    assert multi_hot(torch.tensor([[3, 3]]), 3).tolist() == [[0, 0, 0]]


@pytest.mark.parametrize(
    "threshold, expected", [(0.49, False), (0.5, True), (0.59, True), (0.6, False)]
)
def test_scores_above_the_threshold_are_answers(threshold, expected):
    scores = torch.tensor([[0.6, 0.5, 0.1]])
    wanted = torch.tensor([[1.0, 0.0, 0.0]])
    assert is_correct(scores, wanted, True, threshold).tolist() == [expected]


@pytest.mark.parametrize("k, expected", [(1, False), (2, True), (9, True)])
def test_k_may_be_more_than_the_classes(k, expected):
    scores = torch.tensor([[3.0, 2.0, 1.0]])
    assert is_in_top_k(scores, torch.tensor([[0.0, 1.0, 0.0]]), k).tolist() == [expected]


def test_smoothing_of_several_labels_and_none_by_default():
    logits = torch.tensor([[0.5, -1.0]])
    wanted = torch.tensor([[1.0, 0.0]])
    sharp = losses(logits, wanted, True)
    sure = torch.sigmoid(logits)[0]
    assert sharp.item() == pytest.approx(-(sure[0].log() + (1 - sure[1]).log()).item() / 2)
    torch.testing.assert_close(losses(logits, wanted, True, None, 0.0), sharp)
