"""The real images in a real engine, as SageMaker runs them. Needs Docker."""

import io
import json
import os
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image

from artifact.model import read_description
from runtime.probes import ping
from tests.support.image_jobs import docker, job_for
from tests.support.jobs import COLOURS, REPOSITORY, SMALL, draw_channel

pytestmark = pytest.mark.docker
USER = 1000  # neither root nor a name of the image's
HARDENED = [
    *("--user", f"{USER}:{USER}", "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL"),
    *("--network", "none", "--security-opt", "no-new-privileges"),
]


@pytest.fixture(scope="module")
def trained_in_container(images, tmp_path_factory):
    """A job trained by another user on a read-only root, without network and capabilities.

    Its tree, and its output.
    """
    root = job_for(tmp_path_factory.mktemp("container"), epochs=12)
    for path in [root, *root.rglob("*")]:
        os.chown(path, USER, USER)
    options = (*HARDENED, "-v", f"{root}:/opt/ml")
    done = docker("run", "--rm", *options, images["train"], "train")
    assert done.returncode == 0, done.stdout + done.stderr
    return root, done.stdout


def photo(colour: str, kind: str = "JPEG") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (50, 40), COLOURS[colour]).save(buffer, kind)
    return buffer.getvalue()


def invoke(url: str, body: bytes, content_type: str = "image/jpeg") -> dict:
    request = urllib.request.Request(f"{url}/invocations", body, {"Content-Type": content_type})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def test_another_user_trains_without_network_on_a_read_only_root(trained_in_container):
    root, printed = trained_in_container
    assert (root / "model" / "model.json").stat().st_uid == USER
    assert "epoch=12 " in printed
    assert "test: photos=12 test_loss=" in printed
    description = read_description(root / "model")
    assert f"test_accuracy={description.accuracy['test']:.5f}" in printed
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    ).stdout.strip()
    assert description.provenance["git_commit"].startswith(commit)


@contextmanager
def served_at_9090(image: str, model: Path) -> Iterator[str]:
    """The URL of a container that SageMaker asks for another port than 8080."""
    name = f"slipway-port-{os.getpid()}"
    port = ("-e", "SAGEMAKER_BIND_TO_PORT=9090", "-p", "127.0.0.1::9090")
    mount = ("-v", f"{model}:/opt/ml/model:ro")
    docker("run", "-d", "--rm", "--name", name, *port, *mount, image, check=True)
    try:
        url = "http://" + docker("port", name, "9090/tcp").stdout.split()[0]
        deadline = time.monotonic() + 60
        while ping(url) != 200:
            assert time.monotonic() < deadline, docker("logs", name).stderr
            time.sleep(0.1)
        yield url
    finally:
        docker("rm", "-f", name)


def test_at_the_port_it_is_given_it_answers_as_training_measured(images, trained_in_container):
    root, _ = trained_in_container
    photos = sorted((root / "input/data/test").glob("*/*"))
    assert len(photos) == 12
    with served_at_9090(images["serve"], root / "model") as url:
        labels = [invoke(url, path.read_bytes())["predictions"][0]["label"] for path in photos]
        png = invoke(url, photo("blue", "PNG"), "image/png")
    classes = [path.parent.name for path in photos]
    correct = sum(label == name for label, name in zip(labels, classes, strict=True))
    assert correct / len(photos) == read_description(root / "model").accuracy["test"]
    assert png["predictions"][0]["label"] in COLOURS


@pytest.mark.parametrize("image", ["serve", "serve-gpu", "serve-mms"])
def test_another_user_serves_without_network_read_only_and_without_capabilities(
    images, trained_in_container, image
):
    """Asked from inside, as the container has no network: by the image's own Python."""
    root, _ = trained_in_container
    name = f"slipway-test-{os.getpid()}"
    docker(
        "run",
        "-d",
        "--rm",
        "--name",
        name,
        *HARDENED,
        "-v",
        f"{root / 'model'}:/opt/ml/model:ro",
        images[image],
        "serve",
        check=True,
    )
    try:
        (root / "ask.py").write_text(
            "import json, sys, urllib.request as u\n"
            "body = sys.stdin.buffer.read()\n"
            "url = 'http://127.0.0.1:8080/invocations'; "
            "request = u.Request(url, body, {'Content-Type': 'image/jpeg'}); "
            "print(json.load(u.urlopen(request))['predictions'][0]['label'])"
        )
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            asked = subprocess.run(
                ["docker", "exec", "-i", name, "python", "-c", (root / "ask.py").read_text()],
                input=photo("green"),
                capture_output=True,
                check=False,
            )
            if asked.returncode == 0:
                break
            time.sleep(0.2)
        assert asked.stdout.decode().strip() in COLOURS, asked.stderr.decode()
        status = docker("exec", name, "cat", "/proc/1/status").stdout
        assert "NoNewPrivs:\t1" in status
        assert "CapBnd:\t0000000000000000" in status
        if image == "serve-mms":
            return  # which process is the first, and how it ends, tests/serve says
        command = docker("exec", name, "cat", "/proc/1/cmdline").stdout.split("\0")
        assert command[1:3] == ["-m", "serve"]
        started = time.monotonic()
        docker("stop", "-t", "25", name, check=True)
        assert time.monotonic() - started < 15
    finally:
        docker("rm", "-f", name)


@pytest.mark.verify
def test_the_scripts_by_hand(images, tmp_path, trained_in_container):
    """local_test/train.sh, serve.sh and predict.sh, one after the other."""
    root = tmp_path / "by hand" / "ml"
    draw_channel(root / "input/data/photos", 8)
    (root / "input/config").mkdir(parents=True)
    (root / "input/config/hyperparameters.json").write_text(json.dumps({**SMALL, "epochs": "1"}))
    done = subprocess.run(
        [REPOSITORY / "local_test/train.sh", "slipway-train", root],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (root / "model" / "model.json").exists()
    server = subprocess.Popen(
        [REPOSITORY / "local_test/serve.sh", "slipway-serve", root, "18087"],
        stdout=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 60
        while ping("http://127.0.0.1:18087") != 200 and time.monotonic() < deadline:
            time.sleep(0.2)
        picture = next((root / "input/data/photos").glob("*/*"))
        asked = subprocess.run(
            [REPOSITORY / "local_test/predict.sh", "http://127.0.0.1:18087", picture],
            capture_output=True,
            text=True,
            check=False,
        )
        assert asked.returncode == 0, asked.stderr
        assert json.loads(asked.stdout)["predictions"][0]["label"] in COLOURS
    finally:
        server.terminate()
        assert server.wait(timeout=30) == 0
