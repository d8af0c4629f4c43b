"""calibration.json and coverage.json: what a page needs to draw them."""

import json
from pathlib import Path

import pytest
import torch

from artifact.model import Description
from artifact.photos.preprocessing import Preprocessing
from train.job import Job
from train.result.measure import Answers
from train.result.reliability import BINS, write_reliability


def answers(multi_label: bool = False) -> Answers:
    """Of 200 photos: the surer an answer, the more often it is right."""
    sure = torch.linspace(0.5, 1, 201)[1:]
    probabilities = torch.stack([sure, 1 - sure], 1)
    generator = torch.Generator().manual_seed(0)
    right = torch.rand(200, generator=generator) < sure
    wanted = torch.stack([right.float(), 1 - right.float()], 1)
    known = torch.arange(200) < 190
    paths = [Path(f"{index}.jpg") for index in range(200)]
    return Answers("test", paths, probabilities, wanted, multi_label, "f32", known=known)


@pytest.mark.parametrize("multi_label", [False, True])
def test_bins_and_points_add_up(tmp_path, multi_label):
    job = Job(tmp_path)
    description = Description(("a", "b"), Preprocessing(), "resnet18", temperature=1.5)
    found = answers(multi_label)
    write_reliability(job, description, [found])
    calibration = json.loads((job.output_data / "calibration.json").read_text())
    assert calibration["temperature"] == 1.5
    reliability = calibration["channels"]["test"]
    bins = reliability["bins"]
    assert len(bins) == BINS
    total = sum(row["count"] for row in bins)
    assert total == (400 if multi_label else 200)
    gaps = [row["count"] * abs(row["accuracy"] - row["confidence"]) for row in bins if row["count"]]
    error = reliability["expected_calibration_error"]
    assert sum(gaps) / total == pytest.approx(error, abs=1e-5)
    coverage = json.loads((job.output_data / "coverage.json").read_text())["channels"]["test"]
    points = coverage["points"]
    assert len(points) == 100
    assert points[-1]["coverage"] == 1
    assert points[-1]["accuracy"] == pytest.approx(found.accuracy())
    assert points[9]["accuracy"] > points[-1]["accuracy"]
    probabilities = [point["probability"] for point in points]
    assert probabilities == sorted(probabilities, reverse=True)
    assert coverage["known"] == pytest.approx(0.95)
    sure = coverage["sure"]
    assert sure["probability"] == 0.5
    together = sure["coverage"] * (sure["accuracy"] or 0)
    if sure["others"] is not None:
        together += (1 - sure["coverage"]) * sure["others"]
    assert together == pytest.approx(points[-1]["accuracy"], abs=1e-5)


def test_an_empty_bin_has_no_means_and_nothing_is_written_without_answers(tmp_path):
    job = Job(tmp_path)
    description = Description(("a", "b"), Preprocessing(), "resnet18")
    write_reliability(job, description, [])
    assert not (job.output_data / "coverage.json").exists()
    write_reliability(job, description, [answers()])
    first = json.loads((job.output_data / "calibration.json").read_text())
    assert first["channels"]["test"]["bins"][0] == {
        "from": 0,
        "to": 1 / BINS,
        "count": 0,
        "confidence": None,
        "accuracy": None,
    }
