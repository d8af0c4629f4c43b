"""Our own images keep every clause. Needs Docker.

tests/docker shows the most important clauses of them in `make test`.
"""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from conformance.catalog import of_kind
from conformance.clauses import CLAUSES, IMAGE, SERVING, Kept, look
from conformance.image_facts import ImageFacts
from conformance.targets import Image
from tests.support.jobs import REPOSITORY

pytestmark = [pytest.mark.docker, pytest.mark.verify]
# Of training's clauses: those of the plain job, of the job that fails, of the one that is stopped,
# and what only a container can break. Of the training image's: those on its description, since
# reading all of its layers takes a minute. `make conformance` looks at all clauses.
CHOSEN = (
    "starts_with_train",
    "writes_a_model",
    "model_holds_plain_files",
    "output_sizes",
    "no_failure_file_after_success",
    "input_is_left_alone",
    "writes_only_where_allowed",
    "metric_definitions",
    "metric_lines",
    "log_is_flat",
    "failure_exit_code",
    "failure_file",
    "failure_file_length",
    "failure_file_is_text",
    "failure_without_a_failure_file",
    "unknown_hyperparameter",
    "sigterm_within_120_s",
    "sigterm_keeps_the_model",
    "sigterm_during_start",
    "restart_with_checkpoints",
    "runs_without_root",
    "trains_without_network",
    "manifest_type",
    "size_under_10_gb",
    "capability_labels",
    "exec_form_entrypoint",
    "no_init_as_entrypoint",
    "no_secrets_in_the_history",
    "base_is_not_latest",
)
SERVING_IMAGES = ("serve", "serve-mms", "serve-mms-torch")
IDLE = "stays_loaded_when_idle"
# they need a label or an option
OPTIONAL = {"base_is_not_latest", "cuda_fits_the_driver", "bill_of_materials"}


def conformance(folder: Path, *arguments: str) -> list[dict]:
    """The results of the whole command, one object for each clause."""
    path = folder / "results.json"
    done = subprocess.run(
        [sys.executable, "-m", "conformance", *arguments, f"--json={path}"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return json.loads(path.read_text())["clauses"]


def seen(rows: list[dict], outcome: str) -> dict[str, str]:
    """What was seen of the clauses with this outcome, by name."""
    return {row["clause"]: row["seen"] for row in rows if row["outcome"] == outcome}


def test_our_training_image_keeps_the_clauses_that_a_container_shows(images, tmp_path):
    rows = conformance(
        tmp_path,
        f"--train={images['train']}",
        "--job=conformance/slipway.json",
        f"--only={','.join(CHOSEN)}",
    )
    assert seen(rows, "broken") == {}
    assert set(seen(rows, "n/a")) <= OPTIONAL, seen(rows, "n/a")
    assert len(seen(rows, "kept")) >= len(CHOSEN) - 1


@pytest.mark.parametrize("name", SERVING_IMAGES)
def test_our_serving_images_keep_every_clause(images, trained, tmp_path, name):
    names = {clause.name for clause in of_kind(SERVING) + of_kind(IMAGE)} - {IDLE}
    rows = conformance(
        tmp_path,
        f"--serve={images[name]}",
        f"--model={trained.root / 'model'}",
        f"--only={','.join(sorted(names))}",
    )
    assert seen(rows, "broken") == {}
    assert set(seen(rows, "n/a")) <= OPTIONAL, seen(rows, "n/a")
    assert len(seen(rows, "kept")) >= len(names) - len(OPTIONAL)


def test_our_serving_images_stay_loaded_when_nobody_asks(images, trained, tmp_path):
    def kept(name: str) -> dict[str, str]:
        folder = tmp_path / name
        folder.mkdir()
        model = f"--model={trained.root / 'model'}"
        return seen(conformance(folder, f"--serve={images[name]}", model, f"--only={IDLE}"), "kept")

    # Side by side: they wait for two minutes each.
    with ThreadPoolExecutor() as pool:
        for found in pool.map(kept, SERVING_IMAGES):
            assert set(found) == {IDLE}


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
