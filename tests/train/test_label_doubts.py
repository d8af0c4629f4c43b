"""Labels that are likely wrong: against cleanlab, and planted ones."""

import importlib
import json
import warnings
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from train.job import Job
from train.learning.confident_learning import doubted, margin, wrong_count
from train.result.doubts import (
    FEWEST,
    LABELS_FILE,
    _of_first_weights,
    find_doubts,
    write_label_doubts,
)
from train.result.features import Features

CLASSES = ("a", "b", "c", "d")
WIDTH = 24


def never() -> bool:
    return False


def predictions(seed: int, photos: int = 300) -> tuple[np.ndarray, np.ndarray]:
    """Labels [N], some wrong, and probabilities [N, 4] that know better."""
    random = np.random.default_rng(seed)
    true = random.integers(0, 4, photos)
    logits = random.normal(size=(photos, 4)) * 1.5
    logits[np.arange(photos), true] += 2.5
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    labels = np.where(random.random(photos) < 0.1, random.integers(0, 4, photos), true)
    return labels, probabilities


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_cleanlab_doubts_the_same_labels(seed):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of packages that cleanlab loads
        count = importlib.import_module("cleanlab.count").num_label_issues
        quality = importlib.import_module("cleanlab.rank").get_label_quality_scores
    labels, probabilities = predictions(seed)
    expected = count(labels, probabilities, estimation_method="off_diagonal_calibrated")
    assert wrong_count(labels, probabilities) == expected
    scores = quality(labels, probabilities, method="normalized_margin")
    lowest = set(np.argsort(scores, kind="stable")[:expected].tolist())
    ours = set(np.flatnonzero(doubted(labels, probabilities)).tolist())
    assert ours == {index for index in lowest if margin(labels, probabilities)[index] < 0}


def test_a_class_without_photos_is_no_obstacle():
    labels, probabilities = predictions(0)
    labels[labels == 3] = 2
    assert 0 < doubted(labels, probabilities).sum() < len(labels)


def planted(multi_label: bool = False) -> tuple[torch.Tensor, torch.Tensor, list[int]]:
    """Features [160, WIDTH] of four classes, targets with every 19th label wrong, and which."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(160) % 4
    rows = 6 * functional.one_hot(labels, WIDTH) + torch.randn(160, WIDTH, generator=generator)
    targets = functional.one_hot(labels, 4).float()
    flips = list(range(7, 160, 19))
    for index in flips:
        targets[index] = targets[index].roll(1)
    if multi_label:
        targets[:, 3] = 0.0
        targets[::2, 3] = 1.0
        rows[::2, 3 + 4] += 6
    return rows, targets, flips


def test_planted_wrong_labels_are_found():
    rows, targets, flips = planted()
    found = find_doubts(rows, targets, False, never)
    assert found is not None
    doubts = found.wrong.any(1).nonzero()[:, 0].tolist()
    assert set(flips) <= set(doubts)
    assert len(doubts) <= len(flips) + 2
    again = find_doubts(rows, targets, False, never)
    assert again is not None
    assert torch.equal(again.probabilities, found.probabilities)
    assert find_doubts(rows, targets, False, lambda: True) is None


def test_the_file_names_channel_label_and_suggestion(tmp_path):
    rows, targets, flips = planted()
    paths = [tmp_path / f"{index}.jpg" for index in range(160)]
    features = {
        "train": Features("train", paths[:100], rows[:100], targets[:100]),
        "test": Features("test", paths[100:], rows[100:], targets[100:]),
    }
    job = Job(tmp_path)
    write_label_doubts(job, features, CLASSES, False, True, never)
    document = json.loads((job.output_data / LABELS_FILE).read_text())
    assert document["photos"] == 160
    assert document["features"] == "frozen backbone"
    assert document["doubted"] == len(document["labels"])
    entries = {entry["photo"]: entry for entry in document["labels"]}
    for index in flips:
        entry = entries[str(paths[index])]
        assert entry["channel"] == ("train" if index < 100 else "test")
        assert entry["suggested"] == CLASSES[index % 4]
        assert entry["label"] == CLASSES[(index + 1) % 4]
        assert entry["label_probability"] < entry["suggested_probability"]


def test_several_labels_are_doubted_one_by_one():
    rows, targets, _ = planted(multi_label=True)
    targets[4, 3] = 0.0
    found = find_doubts(rows, targets, True, never)
    assert found is not None
    assert found.wrong[4].tolist() == [False, False, False, True]


@pytest.mark.parametrize("kept, expected", [("all", 160), ("train", 0), ("shorter", 0)])
def test_the_first_weights_features_are_taken_where_all_are_kept(kept, expected):
    rows, targets, _ = planted()
    features = {
        "train": Features("train", [], rows[:100], targets[:100]),
        "test": Features("test", [], rows[100:], targets[100:]),
    }
    first = {"train": rows[:100] + 1, "test": rows[100:] + 1}
    if kept == "train":
        del first["test"]
    if kept == "shorter":
        first["test"] = first["test"][1:]
    plan: Any = SimpleNamespace(probe=SimpleNamespace(kept=first))
    found = _of_first_weights(plan, features)
    assert sum(len(part.rows) for part in found.values()) == expected
    if found:
        torch.testing.assert_close(found["train"].rows, rows[:100] + 1)
        assert found["train"].targets is features["train"].targets
    assert not _of_first_weights(SimpleNamespace(probe=None), features)  # type: ignore[arg-type]


def test_few_photos_are_left_out_with_a_reason(tmp_path):
    rows, targets, _ = planted()
    few = FEWEST - 1
    features = {"train": Features("train", [tmp_path] * few, rows[:few], targets[:few])}
    write_label_doubts(Job(tmp_path), features, CLASSES, False, True, never)
    document = json.loads((Job(tmp_path).output_data / LABELS_FILE).read_text())
    assert document == {"left_out": "19 photos of 4 classes"}
