"""The page in a real browser: one browser and one server per module of tests."""

import pytest

from tests.support.browser import browsing
from tests.support.servers import serving


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with browsing(tmp_path_factory.mktemp("profile")) as running:
        yield running


@pytest.fixture(scope="module")
def server(colours, browser):
    with serving(
        colours.model,
        SLIPWAY_PAGE=1,
        SLIPWAY_SAMPLES=colours.root / "input" / "data" / "validation",
    ) as running:
        yield running
