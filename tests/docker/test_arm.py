"""slipway-serve for Arm answers a photo, under an emulator where this machine is of another kind.

The image takes 0.5 GB of disk with its base, and emulated half an hour to build. With -s the test
prints the seconds and the memory.
"""

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

from runtime import docker
from runtime.engine_facts import facts
from runtime.probes import ping
from serve.predictor import Predictor
from tests.support.colour_model import write_colour_model
from tests.support.jobs import COLOURS, REPOSITORY

pytestmark = pytest.mark.verify
EMULATOR = Path("/proc/sys/fs/binfmt_misc/qemu-aarch64")
START_S = 900  # emulated, on a busy machine


@pytest.fixture(scope="module")
def image() -> str:
    """The name of this checkout's image for Arm, built where its layers are not there yet."""
    if not docker.answers():
        pytest.skip("no container engine answers: no image for Arm is built")
    if facts().architecture != "arm64" and not EMULATOR.exists():
        pytest.skip("no program for Arm runs here: apt-get install qemu-user-static binfmt-support")
    environment = {**os.environ, "ARCH": "arm64"}
    subprocess.run([REPOSITORY / "docker/build.sh", "serve"], check=True, env=environment)
    return f"slipway-serve:{facts().checkout}-arm64"


@contextmanager
def served(image: str, model: Path, *options: str) -> Iterator[tuple[str, str]]:
    """The name and the URL of a container that is ready."""
    name = f"slipway-arm-{os.getpid()}"
    mounts = ("-v", f"{model}:/opt/ml/model:ro", "-p", "127.0.0.1::8080")
    platform = ("--platform", "linux/arm64")
    docker.output("run", "-d", "--name", name, *platform, *mounts, *options, image, "serve")
    try:
        url = "http://" + docker.output("port", name, "8080/tcp").split()[0]
        deadline = time.monotonic() + START_S
        while ping(url) != 200:
            running = docker.output("inspect", "--format", "{{.State.Running}}", name).strip()
            assert running == "true", logs(name)
            assert time.monotonic() < deadline, logs(name)
            time.sleep(1)
        yield name, url
    finally:
        docker.call("rm", "--force", name)


def logs(name: str) -> str:
    done = docker.call("logs", name)
    return done.stdout + done.stderr


def photo(colour: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (50, 40), COLOURS[colour]).save(buffer, "JPEG")
    return buffer.getvalue()


def answer(url: str, colour: str) -> dict:
    headers = {"Content-Type": "image/jpeg"}
    request = urllib.request.Request(f"{url}/invocations", photo(colour), headers)
    with urllib.request.urlopen(request, timeout=START_S) as response:
        return json.load(response)["predictions"][0]


def test_the_image_for_arm_answers_in_f32(image, tmp_path):
    description = docker.image_description(image)
    assert description["Architecture"] == "arm64"
    write_colour_model(tmp_path)
    here = Predictor(tmp_path, "f32", device="cpu")
    expected = {colour: here.predict([photo(colour)])[0] for colour in COLOURS}
    here.close()
    began = time.monotonic()
    with served(image, tmp_path) as (name, url):
        started = time.monotonic()
        for colour in COLOURS:
            found = answer(url, colour)
            assert found["label"] == colour
            # in f16 it would be off in the fourth digit
            wanted = expected[colour]["probability"]
            assert found["probability"] == pytest.approx(wanted, abs=2e-5)
        answered = time.monotonic()
        memory = docker.output("stats", "--no-stream", "--format", "{{.MemUsage}}", name).strip()
    print(
        f"arm: start {started - began:.0f} s, {len(COLOURS)} answers {answered - started:.1f} s, "
        f"memory {memory}, image {description['Size'] / 1e6:.0f} MB"
    )
