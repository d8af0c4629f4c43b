"""Each image clause catches its offender, and nothing else is broken. Needs Docker."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from conformance.catalog import of_kind
from conformance.clauses import IMAGE, Kept, Result, look
from conformance.image_clauses import BASE, CAPABILITIES
from conformance.image_facts import ImageFacts
from conformance.targets import Image
from tests.support.clause_results import broken, by_name
from tests.support.keys import PRIVATE_KEY
from tests.support.planted_images import PlantedImage, built

pytestmark = pytest.mark.docker
AMI = "al2-ami-sagemaker-inference-gpu-3-1"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"


@dataclass(frozen=True)
class Offender:
    """What an image from scratch holds and says beside being good.

    lines: of its Dockerfile; changes: of its description; ami: of its hosts; bills: whether there
    is a folder of bills of materials, without its own.
    """

    files: dict[str, str] = field(default_factory=dict)
    lines: str = ""
    changes: dict[str, object] = field(default_factory=dict)
    ami: str = ""
    bills: bool = False


OFFENDERS = {
    "manifest_type": Offender(changes={"Descriptor": {"mediaType": OCI_INDEX}}),
    "size_under_10_gb": Offender(changes={"Size": 11 * 10**9}),
    "capability_labels": Offender(lines=f"LABEL {CAPABILITIES}multi-model=true"),
    "exec_form_entrypoint": Offender(lines="ENTRYPOINT serve"),
    "no_init_as_entrypoint": Offender(lines='ENTRYPOINT ["/usr/bin/tini", "--", "serve"]'),
    "nothing_under_opt_ml": Offender({"opt/ml/code/inference.py": "pass"}),
    "no_secrets_in_layers": Offender({"srv/server.key": PRIVATE_KEY}),
    "no_secrets_in_the_history": Offender(lines="ENV API_TOKEN=abcdef0123456789"),
    "no_caches_in_layers": Offender({"var/lib/apt/lists/deb.example_Packages": "x" * 2_000_000}),
    "base_is_not_latest": Offender(lines=f"LABEL {BASE}=python:latest"),
    "no_driver_inside": Offender({"usr/lib/x86_64-linux-gnu/libcuda.so.535.1": "x"}),
    "cuda_fits_the_driver": Offender(lines="ENV CUDA_VERSION=13.0.1", ami=AMI),
    "bill_of_materials": Offender(bills=True),
}
# what looks like a fault and is none: folders without files below /opt/ml, a key that a package's
# tests are published with, words that only hold "token"
GOOD = PlantedImage(
    "good",
    "FROM scratch\n"
    "COPY . /\n"
    f"LABEL {BASE}=debian:bookworm-slim\n"
    "ENV CUDA_VERSION=12.4.1 TOKENIZER=wordpiece MAX_TOKENS=1000000\n"
    "ENV GOOGLE_APPLICATION_CREDENTIALS=/run/secrets/google\n"
    "WORKDIR /opt/ml/model\n"
    "WORKDIR /\n"
    'ENTRYPOINT ["/serve"]\n',
    {"opt/conda/lib/python3.9/site-packages/tornado/test/test.key": PRIVATE_KEY},
)


def results_of(facts: ImageFacts) -> dict[str, Result]:
    return by_name(look(clause, facts, facts.uri) for clause in of_kind(IMAGE))


def test_every_image_clause_has_an_offender():
    assert set(OFFENDERS) == {clause.name for clause in of_kind(IMAGE)}


@pytest.mark.parametrize("fault", OFFENDERS)
def test_the_offender_is_caught_and_nothing_else(fault, images, tmp_path):
    offender = OFFENDERS[fault]
    dockerfile = f"FROM scratch\nCOPY . /\n{offender.lines}\n"
    bills: Path | None = None
    if offender.bills:
        bills = tmp_path / "bills"
        bills.mkdir()
    with built(PlantedImage(fault, dockerfile, offender.files), tmp_path) as tag:
        description = Image(tag, tmp_path).description | offender.changes
        found = broken(results_of(ImageFacts(tag, description, offender.ami, bills)))
    assert set(found) == {fault}, found


def test_a_good_image_keeps_every_clause(images, tmp_path):
    with built(GOOD, tmp_path) as tag:
        description = Image(tag, tmp_path).description
        document = {
            "bomFormat": "CycloneDX",
            "metadata": {"component": {"version": description["Id"]}},
            "components": [{"name": "hello"}],
        }
        (tmp_path / "bom.json").write_text(json.dumps(document))
        results = results_of(ImageFacts(tag, description, AMI, tmp_path))
    outcomes = {name: result.outcome for name, result in results.items()}
    assert all(isinstance(outcome, Kept) for outcome in outcomes.values()), outcomes
