"""build_and_push.sh against a real registry, and against moto's ECR."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from launch.ecr import Ecr, published
from launch.errors import LaunchError, Missing
from launch.registry import (
    DOCKER_MANIFEST,
    OCI_INDEX,
    OCI_MANIFEST,
    HttpRegistry,
    Manifest,
    as_docker,
)
from runtime import docker
from runtime.ports import free_port
from tests.support.registries import aws, docker_registry, fake_docker, needed, no_credentials
from tests.support.tiny_checkout import IMAGE, git, tiny_checkout

HOST = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"


@pytest.fixture
def checkout(tmp_path) -> Path:
    return tiny_checkout(tmp_path / "checkout")


def push(root: Path, *words: str, **variables: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        ["./build_and_push.sh", *words],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "VENV": sys.prefix, "BASE_IMAGE": "scratch", **variables},
    )


def test_a_folder_whose_commit_git_does_not_say_is_named_with_the_cure(checkout):
    """Such as another user's, or what a browser downloads as a zip file."""
    strange = {
        "GIT_TEST_ASSUME_DIFFERENT_OWNER": "1",  # git's own, for its tests
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_SYSTEM": os.devnull,
    }
    said = push(checkout, **strange).stderr
    cure = f"type: git config --global --add safe.directory '{checkout}'"
    assert said == f"build_and_push.sh: git reads no checkout of another user; {cure}\n"
    shutil.rmtree(checkout / ".git")
    said = push(checkout, GIT_CEILING_DIRECTORIES=str(checkout.parent)).stderr
    assert said.startswith("build_and_push.sh: this folder has no commit, and the images' tags")
    assert said.endswith(
        "; clone the repository, or type: git init; git add --all; git commit --message Slipway\n"
    )


@pytest.mark.parametrize("hangs, said", [("rev-parse", "git"), ("status", "git status")])
def test_a_git_that_hangs_is_ended(checkout, tmp_path, hangs, said):
    program = tmp_path / "git"
    real = shutil.which("git")
    program.write_text(f'#!/bin/sh\n[ "$1" = {hangs} ] && exec sleep 60\nexec "{real}" "$@"\n')
    program.chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    done = push(checkout, PATH=path, GIT_S="1")
    assert done.returncode != 0
    sentence = f"{said} does not answer within 1 s; look at the disk of '{checkout}'"
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.fixture
def registry(tmp_path):
    needed(docker.answers(), "no Docker engine answers `docker info`: the push is not tested")
    with docker_registry(tmp_path) as host:
        yield host
    tags = subprocess.run(
        ["docker", "image", "ls", "--format", "{{.Repository}}:{{.Tag}}", IMAGE],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    subprocess.run(["docker", "image", "rm", *tags], capture_output=True, check=False)


@pytest.mark.docker
def test_a_push_to_a_registry(checkout, registry):
    done = push(checkout, REGISTRY=registry, LATEST="1")
    assert done.returncode == 0, done.stdout + done.stderr
    tag = git(checkout, "rev-parse", "--short=12", "HEAD")
    uri = json.loads((checkout / "out/images.json").read_text())["tiny"]
    assert f"push: tiny={uri}\n" in done.stdout
    assert uri.startswith(f"{registry}/{IMAGE}@sha256:")
    facts = json.loads((checkout / "out/image-facts.json").read_text())
    assert facts[uri] == {"architecture": "amd64", "cuda": "", "gpus": []}
    asked = HttpRegistry(registry)
    # By both of its tags, and by its digest.
    for reference in (tag, "latest", uri.partition("@")[2]):
        found = asked.manifest(IMAGE, reference)
        assert found.media_type == DOCKER_MANIFEST
        assert uri.endswith(found.digest)
    subprocess.run(["docker", "pull", "-q", uri], check=True, capture_output=True)
    # Else it would stay in the engine.
    subprocess.run(["docker", "image", "rm", uri], check=True, capture_output=True)
    with pytest.raises(Missing, match="has no slipway-tiny:other"):
        asked.manifest(IMAGE, "other")
    changed = push_changed(checkout, registry, uri)
    converted(registry, asked, changed)


def push_changed(checkout: Path, registry: str, before: str) -> str:
    """The digest URI of the second push.

    Uncommitted changes are refused, or named in the tag; a build that fails pushes nothing.
    """
    (checkout / "hello").write_text("changed\n")
    refused = push(checkout, "tiny", REGISTRY=registry)
    assert refused.returncode == 1
    assert "uncommitted changes (hello…)" in refused.stderr
    done = push(checkout, "tiny", REGISTRY=registry, DIRTY="1")
    assert done.returncode == 0
    assert f"tag {git(checkout, 'rev-parse', '--short=12', 'HEAD')}-dirty" in done.stdout
    after = json.loads((checkout / "out/images.json").read_text())["tiny"]
    assert after != before
    (checkout / "docker/tiny.Dockerfile").write_text("FROM scratch\nCOPY missing /\n")
    broken = push(checkout, REGISTRY=registry, DIRTY="1", LATEST="1")
    assert broken.returncode != 0
    assert "push: tiny" not in broken.stdout
    assert json.loads((checkout / "out/images.json").read_text()) == {"tiny": after}
    return after


def converted(registry: str, asked: HttpRegistry, uri: str) -> None:
    """An OCI index, as the containerd store pushes it, becomes a Docker v2 manifest."""
    docker = json.loads(asked.manifest(IMAGE, uri.partition("@")[2]).content)
    oci = as_oci(docker)
    asked.put(IMAGE, "oci", oci)
    entry = {"mediaType": OCI_MANIFEST, "digest": oci.digest, "size": len(oci.content)}
    index = {
        "schemaVersion": 2,
        "mediaType": OCI_INDEX,
        "manifests": [
            {**entry, "platform": {"os": "linux", "architecture": "amd64"}},
            # What a builder's attestations look like in an index.
            {**entry, "platform": {"os": "unknown", "architecture": "unknown"}},
        ],
    }
    asked.put(IMAGE, "index", Manifest(json.dumps(index).encode(), OCI_INDEX))
    for tag in ("oci", "index"):
        assert asked.manifest(IMAGE, tag).media_type != DOCKER_MANIFEST
        name, _, digest = published(f"{registry}/{IMAGE}:{tag}").partition("@")
        now = json.loads(asked.manifest(IMAGE, tag).content)
        assert (now["mediaType"], now["layers"], now["config"]) == (
            DOCKER_MANIFEST,
            docker["layers"],
            docker["config"],
        )
        # A real engine must be able to pull what was converted.
        subprocess.run(
            ["docker", "pull", "-q", f"{name}@{digest}"], check=True, capture_output=True
        )
        subprocess.run(
            ["docker", "image", "rm", f"{name}@{digest}"], check=True, capture_output=True
        )


def never(digest: str) -> Manifest:
    raise AssertionError(f"{digest} is not needed")


def as_oci(docker: dict, layer: str = "application/vnd.oci.image.layer.v1.tar+gzip") -> Manifest:
    document = {
        **docker,
        "mediaType": OCI_MANIFEST,
        "config": {**docker["config"], "mediaType": "application/vnd.oci.image.config.v1+json"},
        "layers": [{**entry, "mediaType": layer} for entry in docker["layers"]],
    }
    return Manifest(json.dumps(document).encode(), OCI_MANIFEST)


@pytest.mark.docker
def test_a_push_that_fails_leaves_no_name_in_the_engine(checkout, registry):
    nobody = f"localhost:{free_port()}"
    done = push(checkout, "tiny", REGISTRY=nobody)
    assert done.returncode
    assert "push: tiny=" not in done.stdout
    named = subprocess.run(
        ["docker", "image", "ls", "--quiet", "--filter", f"reference={nobody}/*"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert named == ""
    assert not (checkout / "out/images.json").exists()


def test_what_cannot_be_converted_is_an_error():
    docker = {
        "schemaVersion": 2,
        "config": {"size": 1, "digest": "sha256:1"},
        "layers": [{"size": 1, "digest": "sha256:2"}],
    }
    with pytest.raises(LaunchError, match=r"tar\+zstd', which SageMaker does not take"):
        as_docker(as_oci(docker, "application/vnd.oci.image.layer.v1.tar+zstd"), fetch=never)
    arm = {
        "manifests": [{"digest": "sha256:3", "platform": {"os": "linux", "architecture": "arm64"}}]
    }
    with pytest.raises(LaunchError, match="names 0 for linux/amd64"):
        as_docker(Manifest(json.dumps(arm).encode(), OCI_INDEX), fetch=never)


@pytest.mark.parametrize(
    "words, expected",
    [
        (("nothing",), "unknown image 'nothing'; known: tiny all"),
        ((), "uncommitted changes (hello…)"),
    ],
)
def test_what_is_refused_before_anything_is_built(checkout, words, expected):
    (checkout / "hello").write_text("changed\n")
    # Nobody answers at port 1: it must not come that far.
    done = push(checkout, *words, REGISTRY="localhost:1")
    assert done.returncode == 1
    assert expected in done.stderr
    assert done.stdout == ""


@pytest.mark.slow
def test_a_push_without_credentials_or_region(checkout, monkeypatch):
    no_credentials(monkeypatch)
    assert "no region is given" in push(checkout).stderr
    assert "no usable AWS credentials" in push(checkout, AWS_REGION="eu-west-1").stderr


def test_own_recipes_do_not_block_a_push(checkout, monkeypatch):
    """No image holds them, so that images are those of the commit all the same."""
    no_credentials(monkeypatch)
    (checkout / "recipes/mine.yaml").write_text("name: mine\n")
    (checkout / "recipes/demo.yaml").write_text("name: mine, too\n")
    assert "no region is given" in push(checkout).stderr
    (checkout / "recipes/recipe.py").write_text("raise SystemExit\n")
    assert "uncommitted changes (recipes/recipe.py…)" in push(checkout).stderr


@pytest.mark.slow
def test_a_push_to_ecr(checkout, monkeypatch, tmp_path):
    """By an engine that pushes OCI manifests."""
    log = fake_docker(tmp_path / "bin", OCI_MANIFEST)
    with aws(monkeypatch):
        monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
        done = push(checkout, LATEST="1")
        assert done.returncode == 0, done.stdout + done.stderr
        found = Ecr(HOST).client.describe_images(repositoryName=IMAGE)["imageDetails"]
        tag = git(checkout, "rev-parse", "--short=12", "HEAD")
        newest = [image for image in found if tag in image.get("imageTags", [])]
        assert [image["imageManifestMediaType"] for image in newest] == [DOCKER_MANIFEST]
        assert json.loads((checkout / "out/images.json").read_text()) == {
            "tiny": f"{HOST}/{IMAGE}@{newest[0]['imageDigest']}"
        }
        # A repository may be set up so that tags cannot move.
        Ecr(HOST).client.put_image_tag_mutability(
            repositoryName=IMAGE, imageTagMutability="IMMUTABLE"
        )
        again = push(checkout)
        assert again.returncode == 0, again.stderr
        assert f"push: {IMAGE}:{tag} is there already and cannot move" in again.stdout, again.stderr
        refused = push(checkout, LATEST="1")
        assert refused.returncode == 1
        assert "LATEST=1, but the tags of the repository slipway-tiny cannot move" in refused.stderr
    said = log.read_text().splitlines()
    assert f"login --username AWS --password-stdin {HOST}" in said
    assert f"push {HOST}/{IMAGE}:{tag}" in said
    # The refused run has pushed nothing.
    assert said.count(f"push {HOST}/{IMAGE}:latest") == 1
