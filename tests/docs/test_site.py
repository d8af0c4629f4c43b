"""The built pages: every link, anchor and picture is there, and no page asks another host."""

import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import yaml

from tests.support.browser import browsing
from tests.support.jobs import REPOSITORY

# Attributes whose addresses a browser asks for by itself. `a` is followed by people.
LOADED = {"src", "srcset", "poster", "data"}
OWN_SCHEMES = ("", "file", "data", "blob", "about")
SEARCH_BOX = (
    "[...document.querySelectorAll('*')].map(e => e.shadowRoot)"
    ".find(root => root && root.querySelector('input'))"
)
SEARCHED = "temperature"  # a word of docs/explanations/calibration.md


class Page(HTMLParser):
    """The ids, links and loaded addresses of a page."""

    def __init__(self, path: Path):
        super().__init__()
        self.path = path
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        for name, value in attrs:
            if name in ("id", "name"):
                self.ids.add(value)
            elif name == "href" and tag == "a":
                self.links.append(value)
            elif name in LOADED or (name == "href" and tag == "link"):
                self.loaded.append(value)


@pytest.fixture(scope="session")
def pages(site):
    found = {path: Page(path) for path in sorted(site.rglob("*.html"))}
    del found[site / "404.html"]  # a web server sends it for any path
    return found


def test_every_link_anchor_and_picture_is_there(pages):
    missing = []
    for page in pages.values():
        for link in [*page.links, *page.loaded]:
            parts = urlsplit(link)
            if parts.scheme:
                continue
            target = page.path
            if parts.path:
                target = (page.path.parent / unquote(parts.path)).resolve()
            anchors = pages[target].ids if target in pages else set()
            if not target.is_file() or (parts.fragment and parts.fragment not in anchors):
                missing.append(f"{page.path.name}: {link}")
    assert missing == []


def test_no_page_loads_anything_from_another_host(pages, site):
    for page in pages.values():
        foreign = [url for url in page.loaded if urlsplit(url).scheme not in OWN_SCHEMES]
        assert foreign == [], page.path
    for path in site.rglob("*.css"):
        named = re.findall(r"url\(['\"]?(?:https?:)?//", path.read_text(encoding="utf-8"))
        assert named == [], path


def test_every_page_is_in_the_menu():
    menu = yaml.safe_load((REPOSITORY / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]
    listed = re.findall(r"[\w/-]+\.md", str(menu))
    docs = REPOSITORY / "docs"
    found = {str(path.relative_to(docs)) for path in docs.rglob("*.md")}
    assert set(listed) == found
    assert len(listed) == len(set(listed))


@pytest.mark.verify
def test_a_browser_asks_no_other_host(pages, tmp_path):
    with browsing(tmp_path) as browser:
        for path in pages:
            browser.open(path.as_uri())
            assert browser.errors == [], path
            schemes = {urlsplit(url).scheme for url in browser.asked}
            assert schemes <= {"file", "data", "blob"}, browser.asked


@pytest.mark.verify
def test_the_search_of_a_page_that_is_opened_as_a_file_finds_a_word(site, tmp_path):
    with browsing(tmp_path) as browser:
        browser.open((site / "index.html").as_uri())
        browser.run("document.querySelector('.md-search__button').click()")
        browser.until(f"({SEARCH_BOX})?.querySelector('input')")
        browser.run(
            f"(box => {{ box.value = '{SEARCHED}';"
            " box.dispatchEvent(new Event('input', { bubbles: true })); return 1; })"
            f"(({SEARCH_BOX}).querySelector('input'))"
        )
        browser.until(f"({SEARCH_BOX}).textContent.includes('Calibration')")
        assert browser.errors == []
