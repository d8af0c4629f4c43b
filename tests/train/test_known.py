"""The score behind `known`: the classes' means, and the distance up to which a photo is known."""

import pytest
import torch
from torch import nn

from artifact.class_means import (
    HeadWithDistance,
    class_means,
    distances,
    read_class_means,
    with_distance,
    write_class_means,
)
from artifact.model import ArtifactError, Description
from artifact.photos.preprocessing import Preprocessing
from train.result.features import Features
from train.result.known import SHARE, fit_known

CLASSES, WIDTH = 3, 16


def drawn(photos: int, seed: int) -> Features:
    """Photos around an axis of their class, at random lengths."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(photos) % CLASSES
    rows = 5 * nn.functional.one_hot(labels, WIDTH) + torch.randn(
        photos, WIDTH, generator=generator
    )
    rows *= 0.5 + torch.rand(photos, 1, generator=generator)
    targets = nn.functional.one_hot(labels, CLASSES).float()
    return Features("train", [], rows, targets)


def test_the_threshold_leaves_the_share_of_the_validation_photos():
    score = fit_known({"train": drawn(300, 0), "validation": drawn(2000, 1)})
    assert score.means is not None
    assert score.figures["photos"] == 2000
    found = distances(drawn(4000, 2).rows, score.means)
    threshold = score.figures["threshold"]
    assert isinstance(threshold, float)
    assert float((found <= threshold).float().mean()) == pytest.approx(SHARE, abs=0.03)
    others = torch.randn(500, WIDTH, generator=torch.Generator().manual_seed(3))
    assert float((distances(others, score.means) <= threshold).float().mean()) < 0.05


@pytest.mark.parametrize("validation", [0, 4])
def test_with_few_validation_photos_the_training_photos_judge_each_other(validation):
    features = {"train": drawn(300, 0)}
    if validation:
        features["validation"] = drawn(validation, 1)
    score = fit_known(features)
    assert score.figures["photos"] == 300 + validation
    assert score.means is not None
    found = distances(drawn(4000, 2).rows, score.means)
    threshold = score.figures["threshold"]
    assert isinstance(threshold, float)
    share = float((found <= threshold).float().mean())
    assert share == pytest.approx(SHARE, abs=0.03)


def test_without_features_there_is_no_score():
    score = fit_known({})
    assert not score.figures
    assert score.means is None


def test_a_length_says_nothing_and_a_class_without_photos_is_far():
    features = drawn(30, 0)
    means = class_means(features.rows, features.targets)
    longer = class_means(features.rows * torch.arange(1, 31)[:, None], features.targets)
    torch.testing.assert_close(means, longer)
    features.targets[:, 2] = 0
    assert not class_means(features.rows, features.targets)[2].any()


def test_a_head_gives_the_distance_as_its_last_column_for_a_while():
    network = nn.Sequential(nn.Flatten(), nn.Linear(WIDTH, CLASSES))
    network.head_name = "1"  # type: ignore[assignment]  # nn.Module takes any attribute
    features = drawn(30, 0)
    means = class_means(features.rows, features.targets)
    before = network(features.rows)
    with with_distance(network, means):
        answers = network(features.rows)
        half = network.to(torch.bfloat16)(features.rows.bfloat16())
    network.float()
    torch.testing.assert_close(answers[:, :-1], before)
    torch.testing.assert_close(answers[:, -1], distances(features.rows, means))
    torch.testing.assert_close(half[:, -1], answers[:, -1], atol=0.005, rtol=0)
    assert list(network.state_dict()) == ["1.weight", "1.bias"]
    assert isinstance(torch.fx.symbolic_trace(HeadWithDistance(network, means)), nn.Module)


def test_the_means_are_read_back_or_refused(tmp_path):
    description = Description(("a", "b", "c"), Preprocessing(), "resnet18")
    with pytest.raises(ArtifactError, match="cannot be read as the classes' means"):
        read_class_means(tmp_path, description)
    means = torch.rand(CLASSES, WIDTH)
    write_class_means(tmp_path, means)
    torch.testing.assert_close(read_class_means(tmp_path, description), means)
    write_class_means(tmp_path, means[:2])
    with pytest.raises(ArtifactError, match="says 3 classes"):
        read_class_means(tmp_path, description)
