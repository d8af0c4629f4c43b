"""Answers, metric lines, and the report's sentences and plots."""

import json
import math

import numpy as np
import pytest
import torch

from artifact.model import Description
from artifact.photos.preprocessing import Preprocessing
from artifact.text import people_csv
from train.job import Job
from train.learning.state import State
from train.result.measure import Answers
from train.result.output_files import _metrics, _predictions, _write_predictions
from train.result.report_charts import charts
from train.result.report_notes import facts, notes

CLASSES = ("a", "b", "c")


def answers(
    probabilities: list[list[float]], wanted: list[list[int]], multi_label: bool = False, **given
) -> Answers:
    return Answers(
        given.get("channel", "test"),
        given.get("paths", ["photo.jpg"] * len(wanted)),
        torch.tensor(probabilities),
        torch.tensor(wanted, dtype=torch.float32),
        multi_label,
        "f32",
    )


ONE_LABEL = answers([[0.7, 0.2, 0.1], [0.5, 0.3, 0.2]], [[1, 0, 0], [0, 1, 0]])
SEVERAL = answers([[0.7, 0.6, 0.5], [0.4, 0.6, 0.1]], [[1, 1, 0], [1, 1, 0]], True)


def test_accuracy_and_loss_of_one_label():
    assert ONE_LABEL.accuracy() == 0.5
    # Of the right class's probability in each photo.
    assert ONE_LABEL.loss() == pytest.approx(-(math.log(0.7) + math.log(0.3)) / 2)


def test_accuracy_and_loss_of_several_labels():
    """A probability of one half is no answer."""
    assert SEVERAL.accuracy() == 0.5
    right = [0.7, 0.6, 0.5, 0.4, 0.6, 0.9]
    assert SEVERAL.loss() == pytest.approx(-sum(map(math.log, right)) / 6, rel=1e-5)


def test_a_certain_and_wrong_answer_has_a_finite_loss():
    certain = answers([[1.0, 0.0, 0.0]], [[0, 1, 0]])
    # Clamped: the loss of a certain mistake would be infinite.
    assert certain.loss() == pytest.approx(-math.log(1e-7), rel=1e-5)
    right = answers([[1.0, 0.0, 0.0]], [[1, 0, 0]])
    assert right.loss() == pytest.approx(1e-7, rel=1e-3)


@pytest.mark.parametrize(
    "top_k, expected",
    [
        (0, "test: photos=2 test_loss=0.78032 test_accuracy=0.50000 precision=f32"),
        (
            2,
            "test: photos=2 test_loss=0.78032 test_accuracy=0.50000 "
            "test_top_2_accuracy=1.00000 precision=f32",
        ),
    ],
)
def test_the_metric_line_of_a_channel(top_k, expected):
    assert ONE_LABEL.line(top_k) == expected


def test_the_report_has_one_label_for_each_photo():
    found = answers(
        [[0.1, 0.7, 0.2], [0.8, 0.1, 0.1], [0.2, 0.2, 0.6]],
        [[1, 1, 0], [0, 1, 1], [0, 0, 1]],
        True,
    ).for_report()
    # The most probable of the right labels.
    assert found.labels.tolist() == [1, 1, 2]
    assert found.channel == "test"
    assert found.probabilities.dtype == np.float32


def test_predictions_are_a_table():
    paths = ["x.jpg", "y.jpg"]
    found = answers([[0.7, 0.1, 0.2], [0.2, 0.5, 0.3]], [[1, 0, 1], [0, 1, 0]], paths=paths)
    description = Description(CLASSES, Preprocessing(), "resnet18")
    assert people_csv.table(_predictions(found, description)) == (
        "photo,label,predicted,probability,"
        "predicted_2,probability_2,predicted_3,probability_3\n"
        "x.jpg,a;c,a,0.700000,c,0.200000,b,0.100000\ny.jpg,b,b,0.500000,c,0.300000,a,0.200000\n"
    )
    # A cell with a comma is quoted.
    assert people_csv.table([["a"], ["1,2"], [None]]) == 'a\n"1,2"\n""\n'


def test_predictions_hold_no_formulas_and_their_true_names_lie_beside(tmp_path):
    found = answers([[0.7, 0.3], [0.2, 0.8]], [[1, 0], [0, 1]], paths=["=1+1.jpg", "b.jpg"])
    description = Description(("@a", "b"), Preprocessing(), "resnet18")
    job = Job(tmp_path)
    job.output_data.mkdir(parents=True)
    _write_predictions(job, _predictions(found, description))
    lines = (job.output_data / "predictions.csv").read_text().splitlines()
    assert lines[1:] == [
        "'=1+1.jpg,'@a,'@a,0.700000,b,0.300000",
        "b.jpg,b,b,0.800000,'@a,0.200000",
    ]
    names = json.loads((job.output_data / "predictions.names.json").read_text())
    assert names == {"'=1+1.jpg": "=1+1.jpg", "'@a": "@a"}


def description(**changes) -> Description:
    provenance = {
        "data": {"train": 30, "validation": 10, "test": 5},
        "weights": "random weights",
        "measured_precision": "f32",
        **changes.pop("provenance", {}),
    }
    return Description(CLASSES, Preprocessing(), "resnet18", provenance=provenance, **changes)


def test_the_reports_facts():
    found = facts(description(accuracy={"test": 0.8764}), State(5, [], 3), 12.6)
    assert found == {
        "Test accuracy": "87.6 %",
        "Train / validation / test": "30 / 10 / 5",
        "Classes": "3",
        "Epochs": "5, best 3",
        "Time": "12.6 s",
    }


INT8 = {
    "kept": True,
    "calibration_photos": 300,
    "photos": 1000,
    "agreement": 0.9931,
    "int8_accuracy": 0.9012,
    "f32_accuracy": 0.9021,
    "loss": 0.0009,
    "loss_interval": [-0.0011, 0.0029],
    "processor": "EPYC with VNNI",
}


def test_the_reports_notes():
    began = "It began with random weights."
    assert notes(description(provenance={"measured_precision": None}), []) == [began]
    assert notes(description(), []) == [
        began,
        "The accuracies above are of the artifact's own answers in f32, "
        "as an endpoint on such a machine gives them.",
    ]
    kept = notes(description(quantization=INT8), [])
    assert kept[2] == (
        "The int8 model, calibrated on 300 photos, was kept: it answers 99.3 % of 1000 validation "
        "and training photos as f32 does. Its accuracy on them is 90.1 %, that of f32 90.2 %; the "
        "difference is -0.11 to 0.29 percentage points. Both were measured on EPYC with VNNI."
    )
    same = notes(description(quantization=INT8 | {"loss_interval": [0.0, -0.0]}), [])
    assert "accuracy on them is 90.1 %, and so is that of f32. Both" in same[2]
    refused = description(quantization={"kept": False, "reason": "it is slower"})
    assert notes(refused, [])[2] == "No int8 model was kept: it is slower."


def test_the_reports_note_on_probabilities():
    figures = {"photos": 10, "ece_before": 0.1234, "ece_after": 0.0512}
    found = notes(description(temperature=1.234, calibration=figures), [])
    sentence = (
        "The expected calibration error is the mean gap between a probability and the share of "
        "answers that are right. A temperature of 1.23, fitted on 10 validation photos, changed "
        "that error on them from 12.3 % to 5.1 %."
    )
    assert found[2] == sentence
    unchanged = figures | {"ece_after": 0.1229}
    found = notes(description(temperature=1.02, calibration=unchanged), [])
    assert "leaves that error on them at 12.3 %." in found[2]
    # A certain mistake: the gap is as large as it can be.
    validation = answers([[1.0, 0, 0]], [[0, 1, 0]], channel="validation")
    test = answers([[1.0, 0, 0]], [[0, 1, 0]])
    found = notes(description(temperature=1.234, calibration=figures), [validation, test])
    assert found[2] == f"{sentence} On the test photos it is 100.0 %."


def test_the_metrics_of_a_training():
    found = _metrics(description(temperature=1.5), State(5, [], 3), [ONE_LABEL], 12.345)
    assert json.loads(json.dumps(found)) == {
        "epochs": 5,
        "best_epoch": 3,
        "seconds": 12.3,
        "test_photos": 2,
        "test_loss": pytest.approx(0.780324, abs=1e-5),
        "test_accuracy": 0.5,
        "test_ece": pytest.approx(0.4),
        "precision": "f32",
        "temperature": 1.5,
        "calibration": {},
        "quantization": {},
    }


def history(epochs: int) -> list[dict[str, float | None]]:
    rows: list[dict[str, float | None]] = []
    for epoch in range(1, epochs + 1):
        accuracy = 1 - 1 / (epoch + 1)
        rows.append({"epoch": epoch, "train_loss": 2 / epoch, "train_accuracy": accuracy})
    return rows


def test_the_plots_of_a_history():
    assert charts([], 0) == []
    error, loss = charts(history(3), 2)
    assert error["name"] == "Error"
    assert loss["name"] == "Loss"
    bands = loss["bands"]
    assert isinstance(bands, list)
    assert [words for _, words in bands] == [
        "epoch 1: training 2",
        "epoch 2: training 1",
        "epoch 3: training 0.6667",
    ]
    places = [place for place, _ in bands]
    assert places == [66, 253, 440]  # eight units from both sides of the plot
    assert loss["band"] == 130
    assert loss["best"] == (253, "training 1")
    best = error["best"]
    assert best == (253, "training 33.3 %")
    # An epoch that was not recorded has no mark.
    assert charts(history(3), 9)[0]["best"] is None


@pytest.mark.parametrize("epochs, bands, width", [(500, 500, 0.78), (501, 251, 780 / 501)])
def test_a_plot_has_no_more_than_500_tooltips(epochs, bands, width):
    chart = charts(history(epochs), 1)[0]
    shown = chart["bands"]
    assert isinstance(shown, list)
    assert len(shown) == bands
    assert chart["band"] == pytest.approx(width)
