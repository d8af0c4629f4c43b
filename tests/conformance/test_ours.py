"""Our own images keep every clause; what multi-model-server cannot; the bill of materials. Needs Docker."""

import json
import subprocess
import sys
from importlib import resources
from pathlib import Path

import jsonschema_rs
import pytest

from conformance.catalog import of_kind
from conformance.clauses import IMAGE, SERVING, Kept, look
from conformance.image_facts import ImageFacts
from conformance.targets import Image
from tests.support.jobs import REPOSITORY

pytestmark = pytest.mark.docker


def conformance(folder: Path, *arguments: str) -> tuple[dict, dict[str, dict]]:
    """The whole command: the counts, and the clauses by name."""
    done = subprocess.run(
        [sys.executable, "-m", "conformance", *arguments, "--json", str(folder / "table.json")],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr
    table = json.loads((folder / "table.json").read_text())
    return {name: table[name] for name in ("kept", "broken", "not_applicable")}, {
        f"{row['subject']} {row['clause']}": row for row in table["clauses"]
    }


# of training's clauses those of the plain job, of the job that fails and of the one that is stopped, and what only a container can break;
# of the training image's what its description tells: reading all of its layers takes a minute. `make conformance` holds all of them
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
OPTIONAL = {
    "base_is_not_latest",
    "cuda_fits_the_driver",
    "bill_of_materials",
}  # they need a label or an option


def outcomes(rows: dict[str, dict], word: str) -> dict[str, str]:
    return {name.split()[1]: row["seen"] for name, row in rows.items() if row["outcome"] == word}


def test_our_training_image_keeps_the_clauses_that_a_container_shows(images, tmp_path):
    counts, rows = conformance(
        tmp_path,
        "--train",
        images["train"],
        "--job",
        "conformance/slipway.json",
        "--only",
        ",".join(CHOSEN),
    )
    assert outcomes(rows, "broken") == {} and set(outcomes(rows, "n/a")) <= OPTIONAL, rows
    assert counts["kept"] >= len(CHOSEN) - 1


def test_our_serving_image_keeps_every_clause(images, trained, tmp_path):
    counts, rows = conformance(
        tmp_path, "--serve", images["serve"], "--model", str(trained.root / "model")
    )
    assert outcomes(rows, "broken") == {} and set(outcomes(rows, "n/a")) <= OPTIONAL, rows
    assert counts["kept"] >= len(of_kind(SERVING)) + len(of_kind(IMAGE)) - len(OPTIONAL)


def test_multi_model_server_keeps_all_but_what_it_cannot(images, trained, tmp_path):
    """Those that the file names, and no others; memory, which is Java's, is not looked at: some runs see it grow and others do not."""
    known = json.loads((REPOSITORY / "conformance" / "multi_model_server.json").read_text())
    only = [
        clause.name
        for clause in (*of_kind(SERVING), *of_kind(IMAGE))
        if clause.name != "memory_is_flat"
    ]
    _, rows = conformance(
        tmp_path,
        "--serve",
        images["serve-mms"],
        "--model",
        str(trained.root / "model"),
        "--only",
        ",".join(only),
    )
    assert {*outcomes(rows, "broken"), "memory_is_flat"} == set(known), outcomes(rows, "broken")
    assert set(outcomes(rows, "n/a")) <= OPTIONAL, outcomes(rows, "n/a")


def schema() -> jsonschema_rs.Draft7Validator:
    """CycloneDX's own, of the version that we write, with those that it refers to."""
    folder = resources.files("cyclonedx.schema") / "_res"
    return jsonschema_rs.Draft7Validator(
        json.loads((folder / "bom-1.6.SNAPSHOT.schema.json").read_text()),
        retriever=lambda url: json.loads((folder / url.rpartition("/")[2]).read_text()),
    )


def test_a_bill_of_materials_lists_what_is_in_the_image(images, tmp_path):
    texts = set()
    for _ in range(2):
        subprocess.run(
            [sys.executable, "-m", "conformance.sbom", images["serve"], "--out", str(tmp_path)],
            cwd=REPOSITORY,
            check=True,
        )
        (path,) = tmp_path.glob("*.json")
        texts.add(path.read_text())
    assert len(texts) == 1  # the same for the same image
    assert [str(error) for error in schema().iter_errors(json.loads(path.read_text()))] == []
    assert not schema().is_valid(
        {"bomFormat": "CycloneDX", "specVersion": "1.6", "components": [{"name": "nameless"}]}
    )
    names = {
        component["purl"].partition("@")[0]
        for component in json.loads(path.read_text())["components"]
    }
    assert {
        "pkg:pypi/flask",
        "pkg:pypi/openvino",
        "pkg:deb/debian/bash",
    } <= names and "pkg:pypi/pip" not in names
    results = {
        clause.name: look(
            clause,
            ImageFacts("x", Image(images["serve"], tmp_path).description, sbom=tmp_path),
            "x",
        )
        for clause in of_kind(IMAGE)
        if clause.name == "bill_of_materials"
    }
    assert isinstance(results["bill_of_materials"].outcome, Kept)
