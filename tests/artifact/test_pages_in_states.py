"""Pages in the states that people meet: axe-core finds nothing, and nothing is too wide."""

from pathlib import Path

import numpy as np
import pytest

from diagnose.findings import Finding
from diagnose.findings_page import write_findings_page
from diagnose.verdict import Verdict
from slipway.compare import main
from tests.slipway.test_compare import training
from tests.support.accessibility import WIDTHS, axe_source, violations
from tests.support.browser import browsing
from tests.support.searches import alone, many, trial
from tests.train.test_training_report import history
from train.result.training_report import ReportedAnswers, write_training_report
from tune.page import write_page

pytestmark = pytest.mark.verify
NAMES = [
    "طائر السنونو في الحديقة",
    "עוגת שוקולד עם אגוזים",
    "紅嘴藍鵲（台灣特有種）",
    "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft",
    "a",
]


def reports(folder: Path) -> list[Path]:
    """Trainings of one epoch and of several, whose classes have names of all kinds."""
    made = []
    for epochs in (1, 4):
        path = folder / f"epochs-{epochs}.html"
        labels = np.arange(20) % len(NAMES)
        probabilities = np.random.default_rng(0).dirichlet(np.ones(len(NAMES)), 20).astype("f4")
        answers = ReportedAnswers(
            "test", [folder / f"{one}.jpg" for one in range(20)], labels, probabilities
        )
        write_training_report(
            path,
            title="Training of a network",
            classes=NAMES,
            history=history(epochs),
            answers=answers,
            facts={"Test accuracy": "66.7 %", "Train / validation / test": "2151 / 431 / 422"},
            hyperparameters={"lr": 0.1},
            best_epoch=1,
        )
        made.append(path)
    return made


def others(folder: Path) -> list[Path]:
    """A comparison without a difference, findings of nothing, searches of one trial and of none."""
    pages = [folder / f"{name}.html" for name in ("compare", "one", "failed")]
    first = training(folder / "a training with a long name", "1101111111", lr=0.1)
    second = training(folder / NAMES[0], "1101111111", lr=0.2)
    assert main([str(first), str(second), "--page", str(pages[0])]) == 0
    write_page(pages[1], alone(many(1, 3), "Minimize", 3))
    write_page(pages[2], alone([trial("a", None, "Failed", h0="1")], names=1))
    fine = [Finding("Overfit", "NoIssuesFound", "no issue in 3 saved steps")]
    for name, answers in (("nothing", []), ("fine", fine)):
        pages.append(write_findings_page(folder / name, Verdict(answers)))
    return pages


def test_axe_core_finds_nothing_in_any_state(tmp_path):
    axe = axe_source(tmp_path)
    with browsing(tmp_path / "profile") as browser:
        for page in [*reports(tmp_path), *others(tmp_path)]:
            for width in WIDTHS:
                for dark in (False, True):
                    found = violations(browser, axe, page.as_uri(), width, dark)
                    assert found == [], (page.name, width, dark)
                assert browser.run("document.documentElement.scrollWidth <= innerWidth"), page.name
