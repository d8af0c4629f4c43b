"""The real images in a real engine, as SageMaker runs them. Needs Docker."""

import io
import json
import os
import subprocess
import time
import urllib.request

import pytest
from PIL import Image

from artifact.model import read_description
from runtime.container_engine import DockerEngine
from runtime.own_images import serve
from runtime.probes import ping
from tests.support.image_jobs import docker, job_for
from tests.support.jobs import COLOURS, REPOSITORY, SMALL, draw_channel

pytestmark = pytest.mark.docker
HARDENED = ["--read-only", "--tmpfs", "/tmp", "--network", "none", "--cap-drop", "ALL"]


@pytest.fixture(scope="module")
def trained_in_container(images, tmp_path_factory):
    """A job trained by `docker run --network none --read-only --tmpfs /tmp … train`.

    Its tree, and its output.
    """
    root = job_for(tmp_path_factory.mktemp("container"), epochs=12)
    done = docker("run", "--rm", *HARDENED[:5], "-v", f"{root}:/opt/ml", images["train"], "train")
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


def test_training_without_network_on_a_read_only_root(trained_in_container):
    root, printed = trained_in_container
    assert "epoch=12 " in printed
    assert "test: photos=12 test_loss=" in printed
    description = read_description(root / "model")
    assert f"test_accuracy={description.accuracy['test']:.5f}" in printed
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    ).stdout.strip()
    assert description.provenance["git_commit"].startswith(commit)


def test_what_the_endpoint_answers_is_what_training_measured(images, trained_in_container):
    root, _ = trained_in_container
    with serve(DockerEngine(), root / "model") as url:
        photos = sorted((root / "input/data/test").glob("*/*"))
        correct = [
            invoke(url, path.read_bytes())["predictions"][0]["label"] == path.parent.name
            for path in photos
        ]
        assert len(photos) == 12
        assert sum(correct) / len(correct) == read_description(root / "model").accuracy["test"]
        assert invoke(url, photo("blue", "PNG"), "image/png")["predictions"][0]["label"] in COLOURS


def test_serving_without_network_read_only_and_without_capabilities(images, trained_in_container):
    """Asked from inside, for there is no network: by the image's own Python."""
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
        images["serve"],
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
        for _ in range(100):
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
        assert docker("exec", name, "cat", "/proc/1/cmdline").stdout.split("\0")[1:3] == [
            "-m",
            "serve",
        ]
        started = time.monotonic()
        docker("stop", "-t", "25", name, check=True)
        assert time.monotonic() - started < 15
    finally:
        docker("rm", "-f", name)


def test_another_user_can_train_and_serve(images, tmp_path):
    root = job_for(tmp_path, epochs=1)
    for path in [root, *root.rglob("*")]:
        os.chown(path, 1000, 1000)
    done = docker(
        "run",
        "--rm",
        "--user",
        "1000:1000",
        *HARDENED,
        "-v",
        f"{root}:/opt/ml",
        images["train"],
        "train",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (root / "model" / "model.json").stat().st_uid == 1000


def test_the_port_is_the_one_sagemaker_asks_for(images, trained_in_container):
    root, _ = trained_in_container
    name = f"slipway-port-{os.getpid()}"
    docker(
        "run",
        "-d",
        "--rm",
        "--name",
        name,
        "-e",
        "SAGEMAKER_BIND_TO_PORT=9090",
        "-p",
        "127.0.0.1::9090",
        "-v",
        f"{root / 'model'}:/opt/ml/model:ro",
        images["serve"],
        check=True,
    )
    try:
        url = "http://" + docker("port", name, "9090/tcp").stdout.split()[0]
        deadline = time.monotonic() + 30
        while ping(url) != 200 and time.monotonic() < deadline:
            time.sleep(0.1)
        assert ping(url) == 200
    finally:
        docker("rm", "-f", name)


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
    assert done.returncode == 0 and (root / "model" / "model.json").exists(), (
        done.stdout + done.stderr
    )
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
        assert (
            asked.returncode == 0 and json.loads(asked.stdout)["predictions"][0]["label"] in COLOURS
        ), asked.stderr
    finally:
        server.terminate()
        assert server.wait(timeout=30) == 0
