"""Trainings that several tests evaluate rules on; each is run once."""

import shutil
from pathlib import Path

import pytest

from tests.support.watched_training import photos, small_network, watch


@pytest.fixture(scope="session")
def healthy(tmp_path_factory) -> Path:
    """A good training: it learns, and validation keeps up.

    It ends before the losses stand still.
    """
    root = tmp_path_factory.mktemp("healthy")
    watch(
        root,
        small_network(),
        train=photos(600),
        validation=photos(240, seed=1),
        epochs=13,
        steps=4,
        lr=0.004,
        batch=150,
    )
    return root


@pytest.fixture(scope="session")
def stuck(tmp_path_factory) -> Path:
    """A training whose lr is as good as 0."""
    root = tmp_path_factory.mktemp("stuck")
    watch(
        root,
        small_network(),
        train=photos(48),
        validation=photos(48, seed=1),
        epochs=12,
        steps=1,
        lr=1e-14,
    )
    return root


@pytest.fixture(scope="session")
def sound(tmp_path_factory) -> Path:
    """A short good training of six steps, without validation."""
    root = tmp_path_factory.mktemp("sound")
    watch(root, small_network(), train=photos(48), epochs=3, steps=2, lr=0.01)
    return root


@pytest.fixture
def copy(sound, tmp_path) -> Path:
    """A copy of `sound`, to be damaged."""
    shutil.copytree(sound, tmp_path / "copy")
    return tmp_path / "copy"
