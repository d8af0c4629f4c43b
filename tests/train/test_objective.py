"""Losses and correct answers, for one label per photo and for several."""

import pytest
import torch

from tests.support.learners import one_hot
from train.learning.objective import is_correct, is_in_top_k, losses, multi_hot, padded


def test_top_k():
    scores = torch.tensor([[3, 2, 1], [3, 2, 1.0]])
    assert is_in_top_k(scores, one_hot([1, 2], 3), 2).tolist() == [True, False]


def test_targets_and_correct_answers_of_several_labels():
    targets = multi_hot(padded([(0,), (0, 2), (1,)], 3), 3)
    assert targets.tolist() == [[1, 0, 0], [1, 0, 1], [0, 1, 0]]
    scores = torch.tensor([[2.0, -1, -1], [2, -1, -1], [1, 3, -2]])
    assert is_correct(scores, targets, multi_label=True).tolist() == [True, False, False]
    assert is_correct(scores, targets, multi_label=False).tolist() == [True, True, True]


@pytest.mark.parametrize("multi_label", [False, True])
def test_losses_are_those_of_torch(multi_label):
    torch.manual_seed(0)
    logits = torch.randn(5, 3)
    targets = one_hot([0, 1, 2, 0, 1], 3)
    weights = torch.tensor([1.0, 2.0, 0.5])
    if multi_label:
        smooth = targets * 0.9 + 0.05
        yes = smooth * logits.sigmoid().log()
        no = (1 - smooth) * (1 - logits.sigmoid()).log()
        expected = -(weights * (yes + no)).mean(1)
    else:
        expected = torch.nn.functional.cross_entropy(
            logits, targets.argmax(1), weights, reduction="none", label_smoothing=0.1
        )
    torch.testing.assert_close(losses(logits, targets, multi_label, weights, 0.1), expected)
