"""docker/build.sh in a real engine, with a tiny image."""

import io
import os
import stat
import subprocess
import tarfile
from pathlib import Path

import pytest

from runtime import docker
from runtime.container_engine import DockerEngine
from runtime.own_images import serve, train
from tests.support.image_jobs import job_for
from tests.support.registries import needed
from tests.support.tiny_checkout import IMAGE, tiny_checkout

pytestmark = pytest.mark.docker


@pytest.fixture(params=["docker", "podman"])
def engine(request, monkeypatch):
    """This engine for all that follows; skipped where it does not answer."""
    monkeypatch.setenv("ENGINE", request.param)
    if request.param == "podman" and not docker.answers():
        pytest.skip("no podman answers: its builds are not tested")
    needed(docker.answers(), "no docker answers: the builds are not tested")
    yield
    docker.call("image", "rm", *docker.images_named(f"{IMAGE}:*"))


def build(root: Path) -> str:
    """What the build prints."""
    done = subprocess.run(
        ["docker/build.sh", "tiny"],
        cwd=root,
        env={**os.environ, "BASE_IMAGE": "scratch"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def modes(image: str) -> dict[str, str]:
    """The modes of the files in an image's layers."""
    found: dict[str, str] = {}
    with docker.saved_image(image) as stream, tarfile.open(fileobj=stream, mode="r|") as saved:
        for entry in saved:
            content = saved.extractfile(entry)
            if content is None or not entry.name.endswith((".tar", "/layer")):
                continue
            with tarfile.open(fileobj=io.BytesIO(content.read())) as layer:
                found |= {file.name: oct(stat.S_IMODE(file.mode)) for file in layer}
    return found


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664])
def test_a_clone_under_any_umask_gives_the_same_image(tmp_path, engine, mode):
    root = tiny_checkout(tmp_path / "checkout")
    (root / "hello").chmod(mode)
    build(root)
    assert modes(f"{IMAGE}:latest") == {"hello": "0o644"}


def test_each_checkout_keeps_an_image_of_its_own(tmp_path, engine):
    one = tiny_checkout(tmp_path / "one")
    two = tiny_checkout(tmp_path / "two")
    (two / "hello").write_text("other\n")
    build(one)
    assert "another checkout's" not in build(one)
    assert f"{IMAGE}:latest was another checkout's" in build(two)
    own = [name for name in docker.images_named(f"{IMAGE}:checkout-*")]
    assert len(own) == 2
    described = [docker.image_description(name)["Id"] for name in own]
    assert len(set(described)) == 2
    assert docker.image_description(f"{IMAGE}:latest")["Id"] in described


def test_a_path_with_a_colon_a_comma_and_a_blank(tmp_path, images):
    root = job_for(tmp_path / "a:b, c")
    train(DockerEngine(), root)
    with serve(DockerEngine(), root / "model") as url:
        assert url.startswith("http://127.0.0.1:")
