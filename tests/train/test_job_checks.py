"""What is checked of a job before it trains: its identity, photos, classes, processes."""

import dataclasses
import json
from types import SimpleNamespace
from typing import Any

import pytest

from recipes.hyperparameters import Hyperparameters
from train.data.channels import read_channels
from train.distributed.context import ALONE
from train.job import JobError
from train.learning.plan import UNRELATED, identity
from train.model.weights import Source
from train.run import _check_shards, _log_photos


def settings(**values) -> Hyperparameters:
    return Hyperparameters(**values)


@pytest.fixture
def channels(tmp_path):
    for name, count in (("a", 10), ("b", 5)):
        (tmp_path / "train" / name).mkdir(parents=True)
        for index in range(count):
            (tmp_path / "train" / name / f"{index}.jpg").write_bytes(b"x")
    return read_channels({"train": tmp_path / "train"}, (1.0, 0.0, 0.0), 0)


def test_a_checkpoints_identity_is_all_that_changes_results(channels):
    hp = settings(head=(8, 4), epochs=7)
    found = identity(hp, channels, Source("words", "fingerprint"))
    assert found["data"] == channels.fingerprint
    assert found["classes"] == ["a", "b"]
    assert found["first weights"] == "fingerprint"
    assert found["head"] == [8, 4]
    names = {field.name for field in dataclasses.fields(hp)}
    assert set(UNRELATED) <= names
    assert found.keys() - {"data", "classes", "first weights"} == names - set(UNRELATED)
    other = identity(settings(head=(8, 4), epochs=9), channels, Source("others", "fingerprint"))
    assert found == other
    assert json.loads(json.dumps(found)) == found


@pytest.mark.parametrize(
    "split, counts",
    [
        ((0.7, 0.1, 0.2), (10, 2, 3)),
        ((0.5, 0.5, 0.0), (8, 7, 0)),
        ((0.0, 0.5, 0.5), (2, 7, 6)),
        ((1.0, 0.0, 0.0), (15, 0, 0)),
        ((0.98, 0.01, 0.01), (11, 2, 2)),
        ((0.0, 1.0, 0.0), (2, 13, 0)),
    ],
)
def test_the_shares_of_a_split(tmp_path, channels, split, counts):
    found = read_channels({"train": tmp_path / "train"}, split, 0)
    assert (len(found.train), len(found.validation), len(found.test)) == counts
    assert set(found.train.labels) == {(0,), (1,)}


@pytest.mark.parametrize(
    "values, words",
    [
        ({"num_classes": 3}, "hyperparameter num_classes is 3, but the train channel holds 2 cla"),
        ({"num_classes": 2}, None),
        ({"num_classes": 0}, None),
    ],
)
def test_the_number_of_classes_is_checked(channels, values, words):
    if words is None:
        _log_photos(channels, settings(**values))
    else:
        with pytest.raises(JobError, match=words):
            _log_photos(channels, settings(**values))


@pytest.mark.parametrize("given, warned", [(0, False), (15, False), (14, True)])
def test_another_number_of_photos_is_a_warning(channels, caplog, given, warned):
    _log_photos(channels, settings(num_training_samples=given))
    words = f"num_training_samples is {given}, but the train channel holds 15 photos"
    assert (words in caplog.messages) is warned


def others(size: int, fingerprint: str) -> SimpleNamespace:
    return SimpleNamespace(size=size, broadcast_from_main=lambda make: fingerprint)


@pytest.mark.parametrize(
    "size, batch_size, words",
    [
        (4, 4, None),
        (5, 4, "batch_size is 4, but there are 5 processes to share them; each needs one"),
        (15, 99, None),
        (16, 99, "the photos of the train channel are 15, but there are 16 processes"),
    ],
)
def test_each_process_needs_a_photo_of_each_step(channels, size, batch_size, words):
    context = others(size, channels.fingerprint)
    hp = settings(batch_size=batch_size)
    if words is None:
        _check_shards(channels, hp, context)  # type: ignore[arg-type]  # a stand-in
    else:
        with pytest.raises(JobError, match=words):
            _check_shards(channels, hp, context)  # type: ignore[arg-type]  # a stand-in


def test_hosts_with_other_photos_are_refused(channels):
    with pytest.raises(JobError) as caught:
        context: Any = others(2, "f" * 64)  # in place of a DistributedContext
        _check_shards(channels, settings(), context)
    assert f"(fingerprints {channels.fingerprint[:12]} and {'f' * 12});" in str(caught.value)
    _check_shards(channels, settings(), ALONE)
