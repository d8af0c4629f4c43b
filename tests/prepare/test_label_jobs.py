"""Manifests of labelling jobs: which of several attributes counts, and labels that are no names."""

import json

import pytest

from prepare.labelled import lists_beside, scan_lists
from prepare.scan import PrepareError
from tests.prepare.test_labelled import BREEDS, folder, labels

__all__ = ["folder"]  # a fixture


def test_custom_labels_have_an_attribute_for_each_label(folder):
    rows = [
        {
            "source-ref": f"s3://bucket/{name}.jpg",
            f"set_{breed}": 1,
            f"set_{breed}-metadata": {
                "class-name": breed,
                "type": "groundtruth/image-classification",
            },
        }
        for name, breed in [*BREEDS[:3], ("four", "collie")]
    ]
    (folder / "train.manifest").write_text("\n".join(map(json.dumps, rows)))
    found = scan_lists(folder, lists_beside(folder))
    assert labels(found) == {**{name: (breed,) for name, breed in BREEDS}, "four": ("collie",)}


def of_job(name: str, breed: str, job: str) -> dict[str, object]:
    """A row as a labelling job writes it."""
    metadata = {"class-name": breed, "type": "groundtruth/image-classification"}
    return {"source-ref": f"s3://b/{name}.jpg", job: 0, f"{job}-metadata": metadata}


def test_a_later_job_corrects_the_few_rows_that_it_has(folder):
    rows = [of_job(name, breed, "first") for name, breed in BREEDS]
    rows[2] |= of_job("three", "collie", "second")
    (folder / "out.manifest").write_text("\n".join(map(json.dumps, rows)))
    found = scan_lists(folder, lists_beside(folder))
    assert labels(found) == {**{name: (breed,) for name, breed in BREEDS}, "three": ("collie",)}
    assert found.said[0].endswith("labels in 'first', 'second' (the last one that a row has)")


def test_a_label_that_is_an_object_is_no_name(folder):
    rows = [{"file": name, "label": {"name": breed}} for name, breed in BREEDS]
    (folder / "labels.jsonl").write_text("\n".join(map(json.dumps, rows)))
    with pytest.raises(PrepareError, match="its label is a JSON object, not a name"):
        scan_lists(folder, [folder / "labels.jsonl"])
