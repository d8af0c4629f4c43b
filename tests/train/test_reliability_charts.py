"""The report's plots on probabilities, and its values on doubtful labels and the linear head."""

import re

import pytest

from tests.support.jobs import draw_photo
from tests.train.test_training_report import answers, history
from train.result.report_charts import PLOT, coverage_chart, reliability_chart
from train.result.report_doubts import InDoubt, head_values, label_values, trust_values
from train.result.training_report import write_training_report

EMPTY = {"from": 0.0, "to": 0.5, "count": 0, "confidence": None, "accuracy": None}
BINS = [EMPTY, {"from": 0.5, "to": 1.0, "count": 4, "confidence": 0.75, "accuracy": 0.5}]
RELIABILITY = {"bins": BINS, "expected_calibration_error": 0.25}
POINTS = [
    {"coverage": 0.05, "accuracy": 0.0, "probability": 0.99},
    {"coverage": 0.5, "accuracy": 0.98, "probability": 0.9},
    {"coverage": 1.0, "accuracy": 0.9, "probability": 0.4},
]
SURE = {"probability": 0.5, "coverage": 0.8, "accuracy": 0.95, "others": 0.7}
COVERAGE = {"points": POINTS, "sure": SURE}


def test_a_bin_of_answers_is_a_dot_over_its_probability():
    chart = reliability_chart(RELIABILITY)
    assert chart is not None
    [point] = chart["points"]
    assert point["x"] == pytest.approx(
        PLOT["left"] + 0.75 * (PLOT["right"] - PLOT["left"]), abs=0.1
    )
    assert point["y"] == (PLOT["top"] + PLOT["bottom"]) / 2
    assert point["high"] < point["y"] < point["low"]
    assert [text for _, text in chart["x_ticks"]] == [
        *("0 %", "20 %", "40 %", "60 %", "80 %", "100 %")
    ]
    assert reliability_chart({"bins": [EMPTY]}) is None


def test_the_coverage_marks_sure_from_and_says_which_threshold_gives_which_accuracy():
    chart = coverage_chart(COVERAGE)
    assert chart is not None
    assert chart["mark"][0] == pytest.approx(PLOT["left"] + 0.8 * (PLOT["right"] - PLOT["left"]))
    # The surest photo alone is wrong: it does not set the axis.
    assert chart["y_ticks"][0][1] == "90 %"
    wanted = {row["accuracy"]: row["coverage"] for row in chart["wanted"]}
    assert wanted == {0.9: 1.0, 0.95: 0.5, 0.98: 0.5, 0.99: None}
    assert coverage_chart({}) is None


@pytest.mark.parametrize("accuracy, weak", [(0.29, 0.29), (0.94, None)])
def test_doubts_of_features_that_tell_little_are_called_so(accuracy, weak):
    labels = {"photos": 9, "doubted": 0, "features": "trained network", "labels": []}
    found = label_values(labels | {"accuracy": accuracy})
    assert found is not None
    assert found["weak"] == weak


def test_what_was_not_measured_has_no_section():
    assert trust_values(InDoubt(), "test") is None
    assert label_values({}) is None
    assert head_values({}, {}, "adamw") is None
    left_out = head_values({"left_out": "the first weights are random"}, {}, "adamw")
    assert left_out == {"left_out": "the first weights are random"}


def test_the_report_has_both_plots_doubtful_labels_and_the_linear_head(tmp_path):
    draw_photo(tmp_path / "odd.jpg", (10, 20, 30), 0)
    label = {
        "photo": str(tmp_path / "odd.jpg"),
        "channel": "train",
        "label": "a",
        "suggested": "b",
        "label_probability": 0.01,
        "suggested_probability": 0.97,
    }
    labels = {"photos": 40, "doubted": 1, "features": "frozen backbone", "labels": [label]}
    choice = {"strength": 0.1, "train_accuracy": 1.0, "validation_accuracy": None}
    document = {
        "accuracy": {"validation": None, "test": 0.8},
        "path": [choice | {"validation_loss": None}],
        "chosen": choice,
    }
    found = answers(tmp_path, 2, 10)
    write_training_report(
        tmp_path / "report.html",
        title="A training",
        classes=["a", "b"],
        history=history(2),
        answers=found,
        facts={},
        hyperparameters={},
        best_epoch=1,
        in_doubt=InDoubt(
            {"channels": {"test": RELIABILITY}},
            {"channels": {"test": COVERAGE}},
            labels,
            head_values(document, {"test": 0.9}, "adamw"),
        ),
    )
    text = re.sub(r"\s+", " ", (tmp_path / "report.html").read_text(encoding="utf-8"))
    assert "sure_from 0.5</text>" in text
    assert "<strong>80.0 %</strong> of the photos get one, and 95.0 % of those are right." in text
    assert "1 of 40 labels, of all channels, is likely wrong" in text
    assert "train: odd.jpg" in text
    assert "0.1 (taken)" in text
