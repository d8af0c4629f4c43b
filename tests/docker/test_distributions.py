"""docker/base.sh and docker/build.sh: which Debian they take. The engine is a stand-in."""

import os
import subprocess

import pytest

from tests.support.fake_engines import only
from tests.support.jobs import REPOSITORY
from tests.support.tiny_checkout import tiny_checkout

# It has the stand-ins of `make base`, pulls nothing, and writes down what it builds.
ENGINE = """
case "$*" in
    "image inspect"*"docker.io/"* | pull*) exit 1 ;;
    build*) echo "$*" >>"$LOG" ;;
    *.Size*) echo 1000000 ;;
esac
"""
TOOLS = ("awk", "basename", "chmod", "cp", "cut", "git", "grep", "head", "id", "ls", "mkdir")
MORE_TOOLS = ("mktemp", "ps", "rm", "sed", "sleep", "sort", "tail", "tee", "tr", "wc")


@pytest.fixture
def engine(tmp_path, monkeypatch):
    """Gives this process the stand-in only; the file of its builds."""
    log = tmp_path / "builds"
    only(tmp_path / "bin", monkeypatch, tools=(*TOOLS, *MORE_TOOLS), docker=ENGINE)
    for name in ("BASE_IMAGE", "BASE_TAG", "DISTRIBUTION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LOG", str(log))
    return log


def run(*words: object, **variables: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, **variables}
    return subprocess.run(
        [str(word) for word in words], capture_output=True, text=True, check=False, env=environment
    )


@pytest.mark.parametrize(
    "words, variables, name",
    [
        ((), {}, "trixie"),
        (("bookworm",), {}, "bookworm"),
        ((), {"DISTRIBUTION": "bookworm"}, "bookworm"),
        (("trixie",), {"DISTRIBUTION": "bookworm"}, "trixie"),
        ((), {"ARCH": "arm64"}, "trixie-arm64"),
        ((), {"ARCH": "engine"}, "trixie"),
    ],
)
def test_a_base_of_each_distribution(engine, words, variables, name):
    done = run(REPOSITORY / "docker/base.sh", *words, **variables)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"base: slipway-base:{name} is there already")


def test_an_unknown_distribution(engine):
    done = run(REPOSITORY / "docker/base.sh", "buster")
    assert done.returncode == 1
    assert "unknown argument 'buster'; known: --force trixie bookworm" in done.stderr


def test_an_unknown_architecture(engine):
    done = run(REPOSITORY / "docker/base.sh", ARCH="riscv64")
    assert done.returncode == 1
    assert done.stderr == ("base.sh: ARCH must be amd64, arm64 or engine, found 'riscv64'\n")


def test_an_image_for_gpus_is_for_amd64_alone(engine):
    done = run(REPOSITORY / "docker/build.sh", "serve-gpu", ARCH="arm64")
    assert done.returncode == 1
    assert done.stderr.startswith("build.sh: serve-gpu is for amd64 alone")


@pytest.mark.slow
def test_a_build_for_arm_has_tags_of_its_own(engine, tmp_path):
    root = tiny_checkout(tmp_path / "checkout")
    done = run(root / "docker/build.sh", "tiny", ARCH="arm64")
    assert done.returncode == 0, done.stdout + done.stderr
    built = engine.read_text()
    assert "--platform linux/arm64 " in built
    assert "--build-arg BASE_IMAGE=slipway-base:trixie-arm64 " in built
    tags = [word for word in built.split() if word.startswith("slipway-tiny:")]
    assert len(tags) == 3
    assert all(tag.endswith("-arm64") for tag in tags)


@pytest.mark.slow
@pytest.mark.parametrize(
    "variables, base",
    [
        ({}, "slipway-base:trixie"),
        ({"DISTRIBUTION": "bookworm"}, "slipway-base:bookworm"),
        ({"BASE_IMAGE": "mirror/debian:13-slim"}, "mirror/debian:13-slim"),
    ],
)
def test_images_stand_on_the_distribution_that_is_named(engine, tmp_path, variables, base):
    root = tiny_checkout(tmp_path / "checkout")
    done = run(root / "docker/build.sh", "tiny", **variables)
    assert done.returncode == 0, done.stdout + done.stderr
    built = engine.read_text()
    assert f"--build-arg BASE_IMAGE={base} " in built
    assert f"base.name={base} " in built
