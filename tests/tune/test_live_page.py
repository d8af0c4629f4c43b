"""tuning.html of a search under way, in a real browser, from the disk."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support.accessibility import WIDTHS, axe_source, violations
from tests.support.browser import browsing
from tests.support.searches import alone, chain, trial
from tune.live_page import LivePage
from tune.page import Live, write_page


def under_way(trials: int) -> tuple:
    """A search of which so many trials of the last job have begun."""
    *before, last = chain()
    return (*before, replace(last, status="InProgress", trials=last.trials[:trials]))


def test_a_page_is_written_when_there_is_news_and_at_the_end(tmp_path):
    page = LivePage(tmp_path, "yoga")
    path = tmp_path / "tuning.html"
    one = trial("one", 0.5, h0="1")
    two = trial("two", 0.4, h0="2")
    page.end(())
    assert not path.exists()
    page.show(alone([one], names=1))
    first = path.read_bytes()
    assert b"The search is under way" in first
    assert b'<noscript><meta http-equiv="refresh" content="5">' in first
    page.show(alone([one, two], names=1))  # too soon
    assert path.read_bytes() == first
    page.end(alone([one, two], names=1))
    last = path.read_text()
    assert "two" in last
    assert "under way" not in last
    assert 'http-equiv="refresh"' not in last
    assert "location.reload" not in last


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with browsing(tmp_path_factory.mktemp("profile")) as running:
        yield running


def order(browser) -> list[str]:
    found = browser.run(
        "JSON.stringify([...document.querySelectorAll('.trials tbody th')]"
        ".map(head => head.dataset.key))"
    )
    return json.loads(found)


@pytest.mark.verify
def test_an_open_page_follows_the_search_and_stops_at_its_end(browser, tmp_path):
    path = tmp_path / "tuning.html"

    def write(jobs: tuple, live: bool) -> None:
        write_page(path, jobs, Live(datetime.now(UTC), 0.3) if live else None)

    write(under_way(3), live=True)
    browser.open(path.as_uri())
    assert browser.text("live").startswith("The search is under way.")
    # The whole head sorts, and the order outlives the page's loading itself.
    box = "document.querySelector('.trials thead th:nth-child(4)').getBoundingClientRect()"
    x, y = browser.run(f"(b => [b.right - 3, b.bottom - 3])({box})")
    for kind in ("mousePressed", "mouseReleased"):
        browser.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)
    sorted_by_lr = order(browser)
    assert browser.text("order") == "By lr, the lowest first."
    write(under_way(4), live=True)
    browser.until("document.querySelectorAll('.trials tbody tr').length === 26")
    assert browser.text("order") == "By lr, the lowest first."
    assert order(browser)[:3] == sorted_by_lr[:3]
    # Its reader may stop it.
    browser.run("document.querySelector('#live input').click(); window.mark = 1")
    write(chain(), live=False)
    browser.run("new Promise(done => setTimeout(done, 900))")
    assert browser.run("window.mark") == 1
    browser.run("document.querySelector('#live input').click()")
    browser.until("document.getElementById('live') === null")
    browser.run("window.mark = 2")
    write(under_way(3), live=True)
    browser.run("new Promise(done => setTimeout(done, 900))")
    assert browser.run("window.mark") == 2  # what has ended loads nothing again
    assert browser.errors == []


@pytest.mark.verify
def test_without_javascript_it_follows_too_and_promises_nothing(browser, tmp_path):
    path = tmp_path / "tuning.html"
    write_page(path, under_way(3), Live(datetime.now(UTC), 1.0))
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(path.as_uri())
        assert "Click a head" not in str(browser.run("document.body.innerText"))
        assert "Follow" not in browser.text("live")
        assert browser.run("document.querySelectorAll('thead button').length") == 0
        write_page(path, chain())
        browser.until("document.getElementById('live') === null")
    finally:
        browser.call("Emulation.setScriptExecutionDisabled", value=False)


@pytest.mark.verify
def test_a_search_that_was_killed_is_not_said_to_run(browser, tmp_path):
    path = tmp_path / "tuning.html"
    write_page(path, under_way(3), Live(datetime.now(UTC) - timedelta(minutes=7), 60.0))
    browser.open(path.as_uri())
    assert browser.text("live").startswith(
        "The search was under way, and has written nothing for 7 min"
    )


@pytest.mark.verify
@pytest.mark.parametrize("live", [None, Live(datetime(2026, 11, 30, tzinfo=UTC), 600.0)])
def test_axe_finds_nothing(browser, tmp_path, live: Live | None):
    axe = axe_source(tmp_path)
    path: Path = tmp_path / "tuning.html"
    write_page(path, chain(), live)
    for width in WIDTHS:
        for dark in (False, True):
            assert violations(browser, axe, path.as_uri(), width, dark) == []
