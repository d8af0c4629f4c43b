"""Image clauses and their offenders, and what only a container can break. Needs Docker."""

import dataclasses
import json
import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from conformance.catalog import of_kind
from conformance.clauses import IMAGE, Broken, Kept, NotApplicable, Result, look
from conformance.image_clauses import BASE, CAPABILITIES, manifest_type
from conformance.image_facts import ImageFacts
from conformance.jobs import Job
from conformance.layers import taken_away
from conformance.limits import ContractLimits
from conformance.runner import Wanted, examine, workplace
from conformance.server import Sample
from conformance.servings import Servings
from conformance.targets import Image
from tests.conformance.test_training import METRICS, broken
from tests.support.jobs import REPOSITORY

pytestmark = pytest.mark.docker
SUPPORT = REPOSITORY / "tests" / "support"
LIMITS = ContractLimits(
    train_stop_s=10,
    train_s=60,
    serve_stop_s=10,
    start_s=30,
    again_s=5,
    serverless_start_s=30,
    broken_s=5,
    load_s=1,
    recover_s=5,
    flat_requests=50,
)
KEY = (
    "-----BEGIN RSA PRIVATE KEY-----\n"
    + ("MIIEpAIBAAKCAQEAabcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKL\n" * 4)
    + "-----END RSA PRIVATE KEY-----\n"
)
# what an image from scratch holds and says beside being good: files, lines of its Dockerfile, changes of its description, options
OFFENDERS = {
    "manifest_type": (
        {},
        "",
        {"Descriptor": {"mediaType": "application/vnd.oci.image.index.v1+json"}},
        {},
    ),
    "size_under_10_gb": ({}, "", {"Size": 11 * 10**9}, {}),
    "capability_labels": ({}, f"LABEL {CAPABILITIES}multi-model=true", {}, {}),
    "exec_form_entrypoint": ({}, "ENTRYPOINT serve", {}, {}),
    "no_init_as_entrypoint": ({}, 'ENTRYPOINT ["/usr/bin/tini", "--", "serve"]', {}, {}),
    "nothing_under_opt_ml": ({"opt/ml/code/inference.py": "pass"}, "", {}, {}),
    "no_secrets_in_layers": ({"srv/server.key": KEY}, "", {}, {}),
    "no_secrets_in_the_history": ({}, "ENV API_TOKEN=abcdef0123456789", {}, {}),
    "no_caches_in_layers": (
        {"var/lib/apt/lists/deb.example_Packages": "x" * 2_000_000},
        "",
        {},
        {},
    ),
    "base_is_not_latest": ({}, f"LABEL {BASE}=python:latest", {}, {}),
    "no_driver_inside": ({"usr/lib/x86_64-linux-gnu/libcuda.so.535.1": "x"}, "", {}, {}),
    "cuda_fits_the_driver": (
        {},
        "ENV CUDA_VERSION=13.0.1",
        {},
        {"ami": "al2-ami-sagemaker-inference-gpu-3-1"},
    ),
    "bill_of_materials": ({}, "", {}, {"sbom": "empty"}),
}


def build(folder: Path, name: str, lines: str, files: dict[str, str] = {}) -> Iterator[str]:
    """An image of these files and lines of a Dockerfile."""
    context = folder / "context"
    context.mkdir()
    for path, content in {"hello.txt": "hello\n", **files}.items():
        (context / path).parent.mkdir(parents=True, exist_ok=True)
        (context / path).write_text(content)
    tag = f"slipway-planted-{os.getpid()}-{name.replace('_', '-')}"
    (folder / "Dockerfile").write_text(lines)
    done = subprocess.run(
        [
            "docker",
            "build",
            "--quiet",
            "--tag",
            tag,
            "--file",
            str(folder / "Dockerfile"),
            str(context),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    yield tag
    subprocess.run(["docker", "rmi", "--force", tag], capture_output=True, check=False)


@pytest.fixture
def built(request, tmp_path, images):
    yield from build(tmp_path, *request.param)


def results_of(image: str, changes: dict, options: dict, folder: Path) -> dict[str, Result]:
    (folder / "empty").mkdir()
    options = {name: folder / value if name == "sbom" else value for name, value in options.items()}
    facts = ImageFacts(image, Image(image, folder).description | changes, **options)
    return {clause.name: look(clause, facts, image) for clause in of_kind(IMAGE)}


def test_every_image_clause_has_an_offender():
    assert set(OFFENDERS) == {clause.name for clause in of_kind(IMAGE)}


@pytest.mark.parametrize(
    "built, fault",
    [
        ((name, f"FROM scratch\nCOPY . /\n{lines}\n", files), name)
        for name, (files, lines, *_) in OFFENDERS.items()
    ],
    indirect=["built"],
)
def test_the_offender_is_caught_and_nothing_else(built, fault, tmp_path):
    results = results_of(built, *OFFENDERS[fault][2:], tmp_path)
    assert set(broken(results)) == {fault}, broken(results)


# what looks like a fault and is none: folders without files below /opt/ml, a key that a package's tests are published with, words that only hold "token"
GOOD = (
    f"FROM scratch\nCOPY . /\nLABEL {BASE}=debian:bookworm-slim\nENV CUDA_VERSION=12.4.1 TOKENIZER=wordpiece MAX_TOKENS=1000000 "
    'GOOGLE_APPLICATION_CREDENTIALS=/run/secrets/google\nWORKDIR /opt/ml/model\nWORKDIR /\nENTRYPOINT ["/serve"]\n'
)
HARMLESS = {"opt/conda/lib/python3.9/site-packages/tornado/test/test.key": KEY}


@pytest.mark.parametrize("built", [("good", GOOD, HARMLESS)], indirect=True)
def test_a_good_image_keeps_every_clause(built, tmp_path):
    document = {
        "bomFormat": "CycloneDX",
        "metadata": {"component": {"version": Image(built, tmp_path).description["Id"]}},
        "components": [{"name": "hello"}],
    }
    (tmp_path / "bom.json").write_text(json.dumps(document))
    results = results_of(
        built, {}, {"ami": "al2-ami-sagemaker-inference-gpu-3-1", "sbom": "."}, tmp_path
    )
    assert {
        name: result.outcome
        for name, result in results.items()
        if not isinstance(result.outcome, Kept)
    } == {}
    arm = {
        **Image(built, tmp_path).description,
        "Architecture": "arm64",
    }  # hosting has instances for it, training has none
    assert [
        type(manifest_type(ImageFacts(built, arm, trains=trains))) for trains in (False, True)
    ] == [Kept, Broken]


@pytest.mark.parametrize(
    "path, gone",
    [
        ("opt/ml/model", None),
        ("opt/.wh.ml", "opt/ml"),
        (".wh.opt", "opt"),
        ("opt/ml/.wh..wh..opq", "opt/ml"),
    ],
)
def test_what_an_entry_of_a_layer_takes_away(path, gone):
    assert taken_away(path) == gone


def planted(fault: str, program: str) -> tuple[str, str, dict[str, str]]:
    """An image of a planted program, on the serving image's Python: name, Dockerfile, files."""
    entrypoint = json.dumps(["/opt/venv/bin/python", "-ISB", f"/srv/{program}", fault])
    lines = f"FROM slipway-serve\nCOPY srv /srv\nENTRYPOINT {entrypoint}\n"
    sources = [program]
    if program == "planted_server.py":
        sources.append("planted_requests.py")
    files = {f"srv/{name}": (SUPPORT / name).read_text() for name in sources}
    name = program.removeprefix("planted_").removesuffix(".py")
    return f"{name}-{fault}", lines, files


TRAINED = (
    "starts_with_train",
    "host_name_is_not_trusted",
    "starts_by_container_entrypoint",
    "runs_without_root",
    "read_only_input",
    "trains_without_network",
    "small_shared_memory",
    "two_hosts",
    "sigterm_during_start",
    "writes_only_where_allowed",
)
SERVED = (
    "starts_with_serve",
    "answers_the_sample",
    "binds_to_the_port_it_is_given",
    "serverless_environment",
    "serves_without_network",
    "read_only_model_folder",
    "multi_model_invokes",
    "multi_model_out_of_memory",
    "restarts_crashed_workers",
    "sigterm_within_30_s",
)
TRAIN_FAULTS = ("none", "starts_by_container_entrypoint", "runs_without_root")
SERVE_FAULTS = (
    "none",
    "binds_to_the_port_it_is_given",
    "serverless_environment",
    "serves_without_network",
    "multi_model_out_of_memory",
)


def contained(tag: str, program: str, folder: Path) -> dict[str, Result]:
    """A planted program's image, under the clauses that show in a container."""
    for name, text in {"train/data.txt": "1\n", "model/model.txt": "7\n"}.items():
        (folder / name).parent.mkdir()
        (folder / name).write_text(text)
    with workplace() as work:
        image = Image(tag, work)
        if program == "planted_training.py":
            wanted = Wanted(
                train=image,
                job=Job({"train": folder / "train"}, {"epochs": "2"}, {"epochs": "2000"}, METRICS),
                only=TRAINED,
            )
        else:
            wanted = Wanted(
                serve=image, sample=Sample(b"123", "text/plain", folder / "model"), only=SERVED
            )
        return {result.clause.name: result for result in examine(wanted, LIMITS, work)}


@pytest.fixture(scope="module")
def offenders(tmp_path_factory, images) -> Iterator[dict[tuple[str, str], Future]]:
    """All of them, a few side by side: they mostly wait for the engine. It builds one by one, for they have layers in common."""
    with ExitStack() as stack, ThreadPoolExecutor(3) as pool:
        futures = {}
        for program, faults in (
            ("planted_training.py", TRAIN_FAULTS),
            ("planted_server.py", SERVE_FAULTS),
        ):
            for fault in faults:
                folder = tmp_path_factory.mktemp(fault)
                tag = stack.enter_context(contextmanager(build)(folder, *planted(fault, program)))
                futures[program, fault] = pool.submit(contained, tag, program, folder)
        yield futures


@pytest.mark.parametrize("fault", TRAIN_FAULTS)
def test_what_only_a_container_can_break_in_training(offenders, fault):
    _caught_alone(offenders["planted_training.py", fault].result(), fault)


@pytest.mark.parametrize("fault", SERVE_FAULTS)
def test_what_only_a_container_can_break_in_serving(offenders, fault):
    _caught_alone(offenders["planted_server.py", fault].result(), fault)


def _caught_alone(results: dict[str, Result], fault: str) -> None:
    assert set(broken(results)) == {fault} - {"none"}, broken(results)
    assert not any(isinstance(result.outcome, NotApplicable) for result in results.values())


@pytest.mark.parametrize(
    "built", [planted("connects_within_250_ms", "planted_server.py")], indirect=True
)
def test_connections_are_the_server_s_own_and_not_the_engine_s_proxy_s(built, tmp_path):
    limits = dataclasses.replace(LIMITS, connect_s=0.9, ping_s=2.5, load_s=3, connections=6)
    with workplace() as work:
        image = Image(built, work)
        servings = Servings(image, Sample(b"123", "text/plain"), limits, work)
        (work / "ml" / "model").mkdir(parents=True)
        (work / "ml" / "model" / "model.txt").write_text("7")
        with servings.started(work / "ml" / "model") as server:
            assert (
                server.wait_ready(30, 2) and not server.url.startswith("http://127.") and image.near
            )
            assert server.pids() and not image.sees(server.machine, os.getpid())
        wanted = Wanted(
            serve=image,
            sample=Sample(b"123", "text/plain", work / "ml" / "model"),
            only=("connects_within_250_ms",),
        )
        assert set(
            broken({result.clause.name: result for result in examine(wanted, limits, work)})
        ) == {"connects_within_250_ms"}
