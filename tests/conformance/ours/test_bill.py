"""The bill of materials of our own images. Needs Docker."""

import json
import subprocess
import sys
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from conformance.clauses import CLAUSES, Kept, look
from conformance.image_facts import ImageFacts
from conformance.targets import Image
from tests.support.jobs import REPOSITORY

pytestmark = [pytest.mark.docker, pytest.mark.verify]


def schema() -> jsonschema_rs.Draft7Validator:
    """CycloneDX's own, of the version that we write, with those that it refers to."""
    folder = resources.files("cyclonedx.schema") / "_res"

    def retrieve(url: str) -> Any:  # Any: JSON
        return json.loads((folder / url.rpartition("/")[2]).read_text())

    own = json.loads((folder / "bom-1.6.SNAPSHOT.schema.json").read_text())
    return jsonschema_rs.Draft7Validator(own, retriever=retrieve)


def write_bill(image: str, folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "conformance.sbom", image, f"--out={folder}"]
    subprocess.run(command, cwd=REPOSITORY, check=True)
    (path,) = folder.glob("*.json")
    return path


@pytest.fixture(scope="module")
def bill(images, tmp_path_factory) -> Path:
    """The bill of materials of our serving image."""
    return write_bill(images["serve"], tmp_path_factory.mktemp("bill"))


def test_the_bill_of_materials_is_the_same_for_the_same_image(images, bill, tmp_path):
    assert write_bill(images["serve"], tmp_path).read_text() == bill.read_text()


def test_the_bill_of_materials_follows_the_schema(bill):
    assert [str(error) for error in schema().iter_errors(json.loads(bill.read_text()))] == []
    nameless = {"bomFormat": "CycloneDX", "specVersion": "1.6", "components": [{"name": "x"}]}
    assert not schema().is_valid(nameless)  # a component needs a type


def test_the_bill_of_materials_lists_what_is_in_the_image(bill):
    components = json.loads(bill.read_text())["components"]
    names = {component["purl"].partition("@")[0] for component in components}
    assert {"pkg:pypi/flask", "pkg:pypi/openvino", "pkg:deb/debian/bash"} <= names
    assert "pkg:pypi/pip" not in names


def test_the_clause_finds_the_bill_of_materials(images, bill, tmp_path):
    description = Image(images["serve"], tmp_path).description
    facts = ImageFacts("x", description, sbom=bill.parent)
    result = look(CLAUSES["bill_of_materials"], facts, "x")
    assert isinstance(result.outcome, Kept), result.outcome
