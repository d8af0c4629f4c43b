"""index.html of a project's results, and the links from each page to the others."""

import json
import re
import shutil
from pathlib import Path
from urllib.parse import unquote

import pytest

from artifact.pages.page import write_page
from artifact.pages.project_index import moment, refresh, refresh_above, results_above
from artifact.pages.project_pages import About, find
from tests.support.accessibility import WIDTHS, axe_source, violations
from tests.support.browser import browsing

TEMPLATE = '{% extends "page.html.j2" %}{% block main %}<h1>{{ title }}</h1>{% endblock %}'
PLACES = {
    "prepared/report.html": About("photos", {"photos": "250"}),
    "ml/output/data/report.html": About("training", {"test accuracy": "96.8 %"}, commit="abc"),
    "tune/a search/tuning.html": About("search"),
    "compare.html": About("comparison"),
    "launch/own/job-1/output/data/report.html": About("training"),
}


def project(folder: Path) -> Path:
    """The results' folder of a project with a page of each kind."""
    template = folder / "any.html.j2"
    template.write_text(TEMPLATE)
    for place, about in PLACES.items():
        write_page(folder / "out" / place, template, about=about, title=f"The {about.kind}")
    (folder / "out/ml/output/data/predictions.csv").write_text("photo,label\n")
    return folder / "out"


def hrefs(page: Path) -> list[str]:
    """A page's links, from its top."""
    return re.findall(r'href="([^"]+)"', page.read_text(encoding="utf-8"))


def assert_links_lead_somewhere(out: Path) -> None:
    for page in [out / "index.html", *(out / found.path for found in find(out))]:
        for link in hrefs(page):
            assert (page.parent / unquote(link)).is_file(), (page, link)


def test_all_pages_are_listed_and_each_links_to_the_others(tmp_path):
    out = project(tmp_path)
    refresh(out, [out / "ml/output/data/report.html"], "demo")
    listed = hrefs(out / "index.html")
    for place in PLACES:
        assert place.replace(" ", "%20") in listed
    assert "ml/output/data/predictions.csv" in listed
    text = (out / "index.html").read_text(encoding="utf-8")
    assert "96.8 %" in text
    assert "recipe demo" in text
    assert "commit abc" in text
    assert_links_lead_somewhere(out)
    report = hrefs(out / "ml/output/data/report.html")
    assert {"../../../index.html", "../../../prepared/report.html", "predictions.csv"} <= {*report}
    before = {page: page.stat().st_mtime_ns for page in out.rglob("*.html")}
    refresh(out)
    del before[out / "index.html"]
    assert before == {page: page.stat().st_mtime_ns for page in before}


def test_a_folder_may_be_moved_and_one_that_is_gone_is_listed_no_more(tmp_path):
    out = project(tmp_path)
    refresh(out, [out / "ml/output/data/report.html"], "demo")
    moved = tmp_path / "elsewhere" / "out"
    shutil.move(out, moved)
    assert_links_lead_somewhere(moved)
    shutil.rmtree(moved / "tune")
    (moved / "ml").rename(moved / "ml of monday")
    refresh(moved)
    assert_links_lead_somewhere(moved)
    assert "a%20search" not in (moved / "index.html").read_text()
    found = {page.place: page.about for page in find(moved)}
    assert found["ml of monday"].recipe == "demo"  # the note has moved with its page


def test_endpoints_are_those_of_the_notes_of_launch(tmp_path):
    out = project(tmp_path)
    facts = {"data": "s3://bucket/own/output/job-1/output/model.tar.gz"}
    entries = [
        {"kind": "model", "name": "own-1", "started": "2026-11-30T10:00:00+00:00", "facts": facts},
        {
            "kind": "endpoint",
            "name": "own-endpoint",
            "started": "2026-11-30T10:01:00+00:00",
            "facts": {"config": "own-1"},
        },
        {"kind": "tuning", "name": "own-t", "started": "2026-11-30T10:02:00+00:00", "facts": {}},
        {"kind": "alarm", "name": "own-alarm", "started": "", "facts": {}},
    ]
    (out / "launch/own.json").write_text(json.dumps({"recipe": "own", "entries": entries}))
    (out / "launch/images.json").write_text("[]")
    shutil.copy(out / "compare.html", out / "launch/other.html")
    refresh(out)
    text = (out / "index.html").read_text()
    assert text.index("own-endpoint") < text.index("own-t<")
    assert "own-alarm" not in text
    assert text.count('href="launch/own/job-1/output/data/report.html"') == 2
    (out / "launch/own.json").unlink()
    refresh(out)
    assert "own-endpoint" not in (out / "index.html").read_text()


def test_what_is_not_ours_stays_as_it_is(tmp_path):
    out = project(tmp_path)
    (out / "index.html").write_text("a site of its own")
    (out / "ml/model.html").write_text("no page of ours")
    secret = (out / "compare.html").read_text()
    (tmp_path / "secret.html").write_text(secret)
    (out / "ml/link.html").symlink_to(tmp_path / "secret.html")
    (out / "unfinished-7/ml").mkdir(parents=True)
    shutil.copy(out / "compare.html", out / "unfinished-7/ml")
    refresh(out)
    assert (out / "index.html").read_text() == "a site of its own"
    assert {page.path.as_posix() for page in find(out)} == set(PLACES)
    assert (tmp_path / "secret.html").read_text() == secret
    refresh(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


def test_a_page_belongs_to_the_folder_out_above_it(tmp_path):
    out = project(tmp_path)
    report = out / "ml/output/data/report.html"
    assert results_above(report) is None, "a folder out of other people's"
    (out / "index.html").write_text("a site of its own")
    assert results_above(report) is None
    (out / "index.html").unlink()
    (tmp_path / "recipe.yaml").touch()
    assert results_above(report) == out
    assert results_above(out / "tune/out/tuning.html") == out
    assert results_above(out / "unfinished-7/ml/output/data/report.html") is None
    assert results_above(Path("/opt/ml/output/data/report.html")) is None
    refresh_above(out / "compare.html", "other")
    (tmp_path / "recipe.yaml").unlink()
    assert results_above(report) == out, "its index says that it is a project's"
    assert "recipe other" in (out / "index.html").read_text()


def test_names_are_text_never_markup(tmp_path):
    bad = "--><script>alert(1)</script>\"'&"
    template = tmp_path / "any.html.j2"
    template.write_text(TEMPLATE)
    out = tmp_path / "out"
    about = About("training", {bad: bad}, recipe=bad, commit=bad)
    write_page(out / "a&b" / "page.html", template, about=about, title=bad)
    refresh(out)
    [page] = find(out)
    assert page.title == bad
    assert page.about.measured == {bad: bad}
    for path in out.rglob("*.html"):
        assert "<script" not in path.read_text()


@pytest.mark.verify
def test_axe_finds_nothing(tmp_path):
    out = project(tmp_path)
    refresh(out, [out / "ml/output/data/report.html"], "demo")
    axe = axe_source(tmp_path)
    with browsing(tmp_path / "profile") as browser:
        for page in (out / "index.html", out / "ml/output/data/report.html"):
            for width in WIDTHS:
                for dark in (False, True):
                    assert violations(browser, axe, page.as_uri(), width, dark) == []
                    assert browser.run("document.documentElement.scrollWidth <= innerWidth")
        browser.open((out / "index.html").as_uri())
        browser.run("document.querySelector('.results a').click()")
        browser.until("document.querySelector('nav.project a') !== null")
        browser.run("document.querySelector('nav.project a').click()")
        browser.until("document.querySelector('.results') !== null")


def test_a_moment_is_written_for_people():
    assert moment("2026-11-30T14:05:06+00:00") == "2026-11-30 14:05 UTC"
    assert moment("some day") == "some day"
