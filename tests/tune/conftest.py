"""The photos of the tuner's tests."""

from pathlib import Path

import pytest

from tests.support.tuning import draw_data


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared folder: train and validation."""
    return draw_data(tmp_path_factory.mktemp("data"))
