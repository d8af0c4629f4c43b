"""The page in a browser, one browser and one server per module of tests; the function's AWS."""

from collections.abc import Iterator

import pytest

from tests.support.aws import aws
from tests.support.browser import browsing
from tests.support.servers import serving
from web.aws import handler
from web.site import Site


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


@pytest.fixture
def page(browser, server):
    """The page, freshly loaded."""
    browser.fulfil.clear()
    browser.open(f"http://127.0.0.1:{server.port}/")
    return browser


@pytest.fixture(scope="module")
def cloud(colours):
    with serving(colours.model) as server, aws(server, colours.root / "input" / "data") as running:
        yield running


@pytest.fixture
def site(cloud, monkeypatch) -> Iterator[Site]:
    """The routes as Lambda makes them from its environment; AWS is on this machine."""
    for name, value in cloud.environment().items():
        monkeypatch.setenv(name, value)
    cloud.trouble = None
    cloud.invoked.clear()
    handler.site.cache_clear()
    yield handler.site()
    handler.site.cache_clear()
