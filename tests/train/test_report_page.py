"""The training report in a browser: axe-core finds nothing, and its filter and links work."""

from pathlib import Path

import numpy as np
import pytest

from local_test.stick_figures import picture as figure
from tests.support.accessibility import WIDTHS, axe_source, violations
from tests.support.browser import browsing
from tests.train.test_reliability_charts import COVERAGE, RELIABILITY
from tests.train.test_training_report import history
from train.result.report_doubts import InDoubt, head_values
from train.result.report_photos import Seen
from train.result.training_report import ReportedAnswers, write_training_report

pytestmark = pytest.mark.verify


def in_doubt(paths: list[Path]) -> InDoubt:
    """Both plots, a doubtful label, a linear head, and maps of all photos."""
    labels = {"photos": 40, "doubted": 1, "features": "frozen backbone"}
    label = {
        "photo": str(paths[0]),
        "channel": "train",
        "label": "a",
        "suggested": "b",
        "label_probability": 0.01,
        "suggested_probability": 0.97,
    }
    choice = {
        "strength": 0.1,
        "train_accuracy": 1.0,
        "validation_accuracy": 0.9,
        "validation_loss": 0.2,
    }
    document = {"accuracy": {"test": 0.8}, "path": [choice], "chosen": choice}
    seen = Seen(np.eye(7, dtype=np.float32), 0.875)
    return InDoubt(
        {"channels": {"test": RELIABILITY}},
        {"channels": {"test": COVERAGE}},
        labels | {"labels": [label]},
        head_values(document, {"test": 0.9}, "adamw"),
        dict.fromkeys(paths, seen),
    )


def report(folder: Path, classes: int, photos: int) -> str:
    """The address of a report on drawn photos, a third of them answered wrongly."""
    random = np.random.default_rng(0)
    paths = []
    for index in range(photos):
        path = folder / f"photo {index}.jpg"
        figure(("chair", "tree")[index % 2], index).save(path)
        paths.append(path)
    labels = np.arange(photos) % classes
    probabilities = random.dirichlet(np.ones(classes), photos).astype(np.float32)
    right = np.arange(photos) % 3 > 0
    probabilities[right, labels[right]] += 1
    path = folder / f"report-{classes}.html"
    write_training_report(
        path,
        title="Training of a network",
        classes=[f"class {index:03d}" for index in range(classes)],
        history=history(3),
        answers=ReportedAnswers("test", paths, labels, probabilities),
        facts={"Time": "3 s"},
        hyperparameters={"lr": 0.1, "model": "resnet18"},
        best_epoch=2,
        in_doubt=in_doubt(paths),
    )
    return path.as_uri()


@pytest.mark.parametrize("classes, photos", [(8, 40), (107, 220)])
def test_axe_core_finds_nothing_in_the_report(tmp_path, classes, photos):
    axe = axe_source(tmp_path)
    page = report(tmp_path, classes, photos)
    with browsing(tmp_path / "profile") as browser:
        for width in WIDTHS:
            for dark in (False, True):
                assert violations(browser, axe, page, width, dark) == []
            assert int(str(browser.run("document.documentElement.scrollWidth"))) <= width
        assert browser.errors == []


SHOWN = "[...document.querySelectorAll('#all li')].filter(e => e.offsetParent).length"


def test_a_cell_of_the_matrix_leads_to_its_photos(tmp_path):
    page = report(tmp_path, 8, 60)
    with browsing(tmp_path / "profile") as browser:
        browser.open(page)
        everything = browser.run(SHOWN)
        assert everything == browser.run("document.querySelectorAll('#all li').length")
        browser.run("document.querySelector('.heat td.miss a').click()")
        count = browser.run("Number(document.querySelector('.heat td.miss a').textContent)")
        browser.until(f"{SHOWN} === {count}")
        assert browser.run("document.querySelector('#all output').textContent") == f"{count} shown"
        browser.run("document.querySelector('.filter button').click()")
        browser.until(f"{SHOWN} === {everything}")
        browser.run(
            "document.querySelector('.filter input').value = 'PHOTO 36.';"
            "document.querySelector('.filter').dispatchEvent(new Event('input'))"
        )
        browser.until(f"{SHOWN} === 1")


def test_without_javascript_a_cell_leads_to_its_photos_too(tmp_path):
    page = report(tmp_path, 8, 60)
    with browsing(tmp_path / "profile") as browser:
        browser.call("Emulation.setScriptExecutionDisabled", value=True)
        browser.open(page)
        assert browser.run("document.querySelectorAll('.filter').length") == 0
        links = "[...document.querySelectorAll('.heat td.miss a, .list th a')]"
        target = "e => document.querySelector(e.getAttribute('href'))"
        assert browser.run(f"{links}.every({target})")
        assert browser.run(f"{links}.length") >= 8


def test_what_speaks_for_an_answer_can_be_hidden_without_javascript(tmp_path):
    page = report(tmp_path, 8, 40)
    with browsing(tmp_path / "profile") as browser:
        browser.call("Emulation.setScriptExecutionDisabled", value=True)
        browser.open(page)
        strength = "getComputedStyle(document.querySelector('.seen')).opacity"
        browser.until(f"{strength} === '1'")
        # It lies over its photo, and nowhere else.
        over = "document.querySelector('.seen').parentElement.querySelector('img:not(.seen)')"
        assert browser.run(f"{over}.getBoundingClientRect().width") == browser.run(
            "document.querySelector('.frame').getBoundingClientRect().width"
        )
        browser.run("document.querySelector('#look').click()")
        browser.until(f"{strength} === '0'")


def test_the_matrix_of_many_classes_can_be_zoomed_without_javascript(tmp_path):
    page = report(tmp_path, 107, 220)
    with browsing(tmp_path / "profile") as browser:
        browser.call("Emulation.setScriptExecutionDisabled", value=True)
        browser.open(page)
        width = "document.querySelector('.matrix').getBoundingClientRect().width"
        own = float(str(browser.run(width)))
        browser.run("document.querySelector('#zoom-0').click()")
        assert 600 < float(str(browser.run(width))) <= 900  # the window's height
        browser.run("document.querySelector('#zoom-3').click()")
        assert float(str(browser.run(width))) == pytest.approx(3 * own, abs=1)
