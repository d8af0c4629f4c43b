"""docker/build.sh in a real engine, with a tiny image."""

import io
import os
import shutil
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


def build(root: Path, **variables: str) -> str:
    """What the build prints."""
    done = subprocess.run(
        ["docker/build.sh", "tiny"],
        cwd=root,
        env={**os.environ, "BASE_IMAGE": "scratch"} | variables,
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


@pytest.mark.parametrize("buildkit", [True, False])
def test_proxies_leave_the_layers_as_they_are(tmp_path, images, engine, buildkit):
    """A second build needs no network, and what is said of proxies meanwhile does not matter."""
    root = tiny_checkout(tmp_path / "checkout")
    (root / "docker/tiny.Dockerfile").write_text(
        f"FROM {images['serve']}\nRUN date +%s.%N >/tmp/made\nARG GIT_COMMIT\nARG VERSION\n"
    )
    variables = {}
    if not buildkit:
        variables["PATH"] = f"{client_without_buildkit(tmp_path)}:{os.environ['PATH']}"
    build(root, **variables)
    layers = docker.image_description(f"{IMAGE}:latest")["RootFS"]["Layers"]
    dead = "http://127.0.0.1:9"
    for proxies in ({"http_proxy": dead}, {"HTTPS_PROXY": dead, "no_proxy": "localhost"}):
        build(root, **variables | proxies)
        found = docker.image_description(f"{IMAGE}:latest")["RootFS"]["Layers"]
        assert found == layers, proxies


def client_without_buildkit(folder: Path) -> Path:
    """A folder whose docker builds as a client from 23 on without the plug-in buildx."""
    bin_folder = folder / "old"
    bin_folder.mkdir()
    real = shutil.which(os.environ["ENGINE"])
    program = bin_folder / os.environ["ENGINE"]
    program.write_text(
        "#!/bin/sh\n"
        'case "$1" in version) echo 23.0.0; exit ;; buildx) exit 1 ;; esac\n'
        f"exec '{real}' \"$@\"\n"
    )
    program.chmod(0o755)
    return bin_folder


@pytest.mark.verify
def test_a_path_with_a_colon_a_comma_and_a_blank(tmp_path, images):
    root = job_for(tmp_path / "a:b, c")
    train(DockerEngine(), root)
    with serve(DockerEngine(), root / "model") as url:
        assert url.startswith("http://127.0.0.1:")
