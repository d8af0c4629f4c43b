"""The training report: its numbers, and that any history and any names make a page."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from tests.support.jobs import draw_photo
from train.result.confusion import confusion, per_class
from train.result.training_report import ReportedAnswers, write_training_report


class Balance(HTMLParser):
    """Fails on tags that do not close; collects scripts and addresses."""

    VOID = {
        "meta",
        "img",
        "br",
        "hr",
        "input",
        "link",
        "path",
        "rect",
        "circle",
        "line",
        "col",
        "image",
        "use",
    }

    def __init__(self):
        super().__init__()
        self.open, self.outside, self.scripts = [], [], 0

    def handle_starttag(self, tag, attributes):
        self.scripts += tag == "script"
        # All that a page would load from elsewhere.
        self.outside += [
            value
            for name, value in attributes
            if name in ("src", "href") and value and not value.startswith(("data:", "#"))
        ]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        pass

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag


def history(epochs: int, **changes) -> list[dict]:
    return [
        {
            "epoch": epoch,
            "train_loss": 2 / epoch,
            "train_accuracy": 1 - 1 / (epoch + 1),
            "validation_loss": 2.5 / epoch,
            "validation_accuracy": 1 - 1.2 / (epoch + 1),
            "lr": 0.001,
            "seconds": 1.5,
            **changes,
        }
        for epoch in range(1, epochs + 1)
    ]


def answers(tmp_path, classes: int, photos: int) -> ReportedAnswers:
    random = np.random.default_rng(0)
    draw_photo(tmp_path / "photo.jpg", (10, 20, 30), 0)
    paths = [
        # Every other photo is missing.
        tmp_path / ("photo.jpg" if index % 2 else f"gone <{index}>.jpg")
        for index in range(photos)
    ]
    return ReportedAnswers(
        "test",
        paths,
        # Labels and probabilities are drawn apart: all kinds of mistakes.
        random.integers(0, classes, photos),
        random.dirichlet(np.ones(classes), photos).astype(np.float32),
    )


def page(tmp_path, classes, rows, measured, best_epoch=1) -> str:
    write_training_report(
        tmp_path / "report.html",
        title="A training",
        classes=classes,
        history=rows,
        answers=measured,
        facts={"Time": "3 s"},
        hyperparameters={"lr": 0.1, "head": ()},
        best_epoch=best_epoch,
    )
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    checker = Balance()
    checker.feed(text)
    assert checker.open == []
    assert checker.outside == []
    return text


def test_the_confusion_matrix_counts_labels_by_predictions():
    matrix = confusion(np.array([0, 0, 1, 2, 2]), np.array([0, 1, 1, 2, 0]), 4)
    assert matrix.tolist() == [[1, 1, 0, 0], [0, 1, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0]]


def test_per_class_figures_and_classes_without_photos():
    precision, recall, f1, support = per_class(
        confusion(np.array([0, 0, 1, 2, 2]), np.array([0, 1, 1, 2, 0]), 4)
    )
    np.testing.assert_allclose(precision[:3], [0.5, 0.5, 1])
    np.testing.assert_allclose(recall[:3], [0.5, 1, 0.5])
    np.testing.assert_allclose(f1[:3], [0.5, 2 / 3, 2 / 3])
    assert support.tolist() == [2, 1, 2, 0]
    assert np.isnan(recall[3])


@pytest.mark.parametrize("epochs", [0, 1, 2, 20, 500])
def test_any_number_of_epochs_is_drawn(tmp_path, epochs):
    text = page(
        tmp_path, ["a", "b"], history(epochs), answers(tmp_path, 2, 10), best_epoch=min(epochs, 3)
    )
    assert text.count("<svg") >= (2 if epochs > 1 else 0)
    # One epoch makes no curve: its numbers stand in a table.
    assert ("no curve to draw" in text) == (epochs == 1)
    if epochs == 20:
        assert "best: 3" in text


@pytest.mark.parametrize(
    "changes",
    [
        {"validation_loss": None, "validation_accuracy": None},
        {"train_loss": float("nan")},
        {"train_loss": float("inf")},
        {
            "train_loss": 0.0,
            "train_accuracy": 1.0,
            "validation_loss": 0.0,
            "validation_accuracy": 1.0,
        },
        {"train_loss": 1e30},
        {"train_loss": 1e-30},
    ],
)
def test_odd_values_make_a_page(tmp_path, changes):
    text = page(tmp_path, ["a", "b"], history(5, **changes), None)
    # A browser draws no path with NaN in it.
    assert not re.search(r'\b(d|cx|cy|x|y)="[^"]*(nan|inf)', text)


@pytest.mark.parametrize("classes", [2, 8, 30, 31, 107, 133])
def test_any_number_of_classes_is_shown(tmp_path, classes):
    names = [f"class {index}" for index in range(classes)]
    text = page(tmp_path, names, history(3), answers(tmp_path, classes, 400))
    assert all(name in text for name in names)
    assert len(text) < 3_000_000


def test_names_are_text_never_markup(tmp_path):
    names = ["<script>alert(1)</script>", "a & b", '"quoted"', "ünïcödé"]
    text = page(tmp_path, names, history(2), answers(tmp_path, 4, 40))
    assert "<script>alert" not in text
    assert "a &amp; b" in text
    assert "ünïcödé" in text


def test_photos_that_are_gone_are_named_gaps(tmp_path):
    text = page(tmp_path, ["a", "b", "c"], history(2), answers(tmp_path, 3, 30))
    assert "data:image/jpeg;base64," in text
    assert "gone &lt;" in text


def test_no_photos_measured_is_said(tmp_path):
    assert "measured" in page(tmp_path, ["a", "b"], history(2), None).lower()
