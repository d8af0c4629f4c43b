"""The model of the tests with containers."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.mms_containers import HARDENED, container, model, ready


@pytest.fixture(scope="module")
def model_folder(colours) -> Path:
    """The folder of a model, readable for other users."""
    for path in (colours.root, colours.model):
        path.chmod(path.stat().st_mode | 0o055)
    return colours.model


@pytest.fixture(scope="module")
def single(images, model_folder) -> Iterator[tuple[str, str]]:
    """Name and URL of a ready container with one model, hardened, with 1 GB of memory."""
    with container(*HARDENED, "--user", "1000:1000", "--memory", "1g", *model(model_folder)) as (
        name,
        url,
    ):
        ready(url)
        yield name, url
