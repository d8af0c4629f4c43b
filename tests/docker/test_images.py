"""The real images in a real engine, as SageMaker runs them. Needs Docker."""

import io
import json
import os
import shutil
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest
from PIL import Image

from artifact.model import read_description
from runtime.container_engine import DockerEngine
from runtime.docker import THREADS
from runtime.opt_ml import lay_out
from runtime.own_images import serve
from runtime.probes import ping
from tests.support.jobs import COLOURS, REPOSITORY, SMALL, draw_channel

pytestmark = pytest.mark.docker
HARDENED = ["--read-only", "--tmpfs", "/tmp", "--network", "none", "--cap-drop", "ALL"]


def docker(
    *arguments: str, timeout: float = 240, check: bool = False
) -> subprocess.CompletedProcess:
    verb, *rest = arguments
    return subprocess.run(
        ["docker", verb, *(THREADS if verb == "run" else ()), *rest],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=check,
    )


def job_for(root: Path, **hyperparameters: object) -> Path:
    source = root / "photos"
    channels = {
        name: draw_channel(source / name, count, seed=number * 100)
        for number, (name, count) in enumerate({"train": 12, "validation": 3, "test": 4}.items())
    }
    lay_out(root / "ml", {**SMALL, **hyperparameters}, channels)
    return root / "ml"


@pytest.fixture(scope="module")
def trained_in_container(images, tmp_path_factory):
    """A job trained by `docker run --network none --read-only --tmpfs /tmp … train`: (tree, what it printed)."""
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
    assert "epoch=12 " in printed and "test: photos=12 test_loss=" in printed
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
        assert (
            len(photos) == 12
            and sum(correct) / len(correct) == read_description(root / "model").accuracy["test"]
        )
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
            "print(json.load(u.urlopen(u.Request('http://127.0.0.1:8080/invocations', body, {'Content-Type': 'image/jpeg'})))['predictions'][0]['label'])"
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


@pytest.mark.parametrize(
    "settings, words",
    [
        ({"lr": "abc"}, "lr must be a number; found 'abc'"),
        ({"model": "resnet51"}, "'resnet51' is not a torchvision"),
    ],
)
def test_a_failed_job_leaves_one_sentence_and_a_code(images, tmp_path, settings, words):
    root = job_for(tmp_path, **settings)
    done = docker("run", "--rm", "-v", f"{root}:/opt/ml", images["train"], "train")
    failure = (root / "output" / "failure").read_text()
    assert (
        done.returncode == 1
        and words in failure
        and "\n" not in failure
        and "Traceback" not in done.stdout + done.stderr
    )


def test_a_failure_that_cannot_be_written_still_fails_the_job(images, tmp_path):
    """Where the toolkit itself would leave with 0: no place for its failure file."""
    root = job_for(tmp_path, lr="abc")
    done = docker("run", "--rm", "-v", f"{root}:/opt/ml:ro", images["train"], "train")
    assert done.returncode != 0, done.stdout + done.stderr


def test_docker_stop_leaves_the_artifact(images, tmp_path):
    root = job_for(tmp_path, epochs=5000)
    name = f"slipway-stop-{os.getpid()}"
    process = subprocess.Popen(
        [
            "docker",
            "run",
            "--rm",
            "--name",
            name,
            *THREADS,
            "-v",
            f"{root}:/opt/ml",
            images["train"],
            "train",
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    for line in process.stdout:
        if line.startswith("epoch=2"):
            break
    started = time.monotonic()
    docker("stop", "-t", "120", name, check=True)
    process.communicate()
    assert process.returncode == 0 and time.monotonic() - started < 30
    assert read_description(root / "model").provenance["best_epoch"] >= 1


SCRIPT = """
import argparse, os, signal, subprocess, sys, time
parser = argparse.ArgumentParser()
parser.add_argument("--name"); parser.add_argument("--mode")
options = parser.parse_args()
print("script:", options.name, sorted(os.listdir(os.environ["SM_CHANNEL_TRAIN"])), flush=True)
if options.mode == "fail":
    raise ValueError("my own reason")
if options.mode == "wait":
    child = subprocess.Popen(["sleep", "300"])
    signal.signal(signal.SIGTERM, lambda *_: (open(os.environ["SM_MODEL_DIR"] + "/saved", "w").close(), sys.exit(0)))
    print("waiting", flush=True)
    time.sleep(300)
open(os.environ["SM_MODEL_DIR"] + "/mine.txt", "w").write("model")
"""


def script_job(root: Path, mode: str) -> Path:
    ml = job_for(root)
    lay_out(
        ml,
        {
            "sagemaker_program": "mine.py",
            "sagemaker_submit_directory": "/opt/ml/code",
            "name": "two words",
            "mode": mode,
        },
        {"train": root / "photos" / "train"},
    )
    (ml / "code").mkdir(exist_ok=True)
    (ml / "code" / "mine.py").write_text(SCRIPT)
    return ml


def test_a_users_own_script_runs(images, tmp_path):
    root = script_job(tmp_path, "train")
    done = docker("run", "--rm", "-v", f"{root}:/opt/ml", images["train"], "train")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (
        "script: two words ['blue', 'green', 'red']" in done.stdout
        and (root / "model" / "mine.txt").read_text() == "model"
    )


def test_a_users_script_that_fails_gives_its_own_reason(images, tmp_path):
    root = script_job(tmp_path, "fail")
    done = docker("run", "--rm", "-v", f"{root}:/opt/ml", images["train"], "train")
    assert done.returncode == 1
    assert (
        (root / "output" / "failure")
        .read_text()
        .startswith("mine.py failed with code 1: ValueError: my own reason")
    )
    assert "my own reason" in done.stderr


def test_sigterm_reaches_a_users_script(images, tmp_path):
    root = script_job(tmp_path, "wait")
    name = f"slipway-script-{os.getpid()}"
    process = subprocess.Popen(
        [
            "docker",
            "run",
            "--rm",
            "--name",
            name,
            *THREADS,
            "-v",
            f"{root}:/opt/ml",
            images["train"],
            "train",
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    for line in process.stdout:
        if line.startswith("waiting"):
            break
    started = time.monotonic()
    docker("stop", "-t", "60", name, check=True)
    process.communicate()
    assert (
        process.returncode == 0
        and time.monotonic() - started < 30
        and (root / "model" / "saved").exists()
    )


# bytes that the wheels of torch, torchvision and all they require unpack to, by their own records: before any trimming
TORCH_ALONE = """
import importlib.metadata as metadata, re
seen, todo = set(), ["torch", "torchvision"]
while todo:
    name = re.sub(r"[-_.]+", "-", todo.pop()).lower()
    if name in seen:
        continue
    try:
        found = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        continue
    seen.add(name)
    todo += [re.match(r"[A-Za-z0-9._-]+", text)[0] for text in found.requires or ()
             if "extra ==" not in text or name == "cuda-toolkit"]  # torch asks for that one's extras
print(sum(file.size or 0 for name in seen for file in metadata.distribution(name).files if file.suffix != ".pyc"))
"""


def test_the_images_are_small_and_say_what_they_are(images):
    sizes = {
        name: int(docker("image", "inspect", "--format", "{{.Size}}", name, check=True).stdout)
        for name in images.values()
    }
    assert sizes["slipway-serve"] < 450e6
    torch_alone = int(
        docker("run", "--rm", "slipway-train", "python", "-c", TORCH_ALONE, check=True).stdout
    )
    assert 5e9 < torch_alone < sizes["slipway-train"] < torch_alone + 400e6
    for name in images.values():
        config = json.loads(docker("image", "inspect", name, check=True).stdout)[0]["Config"]
        assert (
            config["Labels"]["org.opencontainers.image.title"] == name
            and config["Labels"]["org.opencontainers.image.revision"]
        )
        assert isinstance(config["Entrypoint"], list) and config["User"] == ""
        for capability in ("accept-bind-to-port", "multi-models") if "serve" in name else ():
            assert config["Labels"][f"com.amazonaws.sagemaker.capabilities.{capability}"] == "true"
    train = json.loads(docker("image", "inspect", "slipway-train", check=True).stdout)[0]["Config"]
    assert (
        "NVIDIA_VISIBLE_DEVICES=all" in train["Env"]
        and "NVIDIA_DRIVER_CAPABILITIES=compute,utility" in train["Env"]
    )


def test_the_serving_image_has_no_torch_and_nothing_under_opt_ml(images):
    code = "import importlib.util as u; print([n for n in ('torch', 'torchvision', 'boto3') if u.find_spec(n)])"
    assert docker("run", "--rm", images["serve"], "python", "-c", code, check=True).stdout == "[]\n"
    for name in images.values():
        assert docker("run", "--rm", name, "ls", "/opt/ml").returncode != 0


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


def test_a_small_full_disk_in_the_container(images, tmp_path):
    """Checkpoints that do not fit: one sentence, a code, no hang."""
    root = job_for(tmp_path, epochs=1)
    done = docker(
        "run",
        "--rm",
        "-v",
        f"{root}:/opt/ml",
        "--tmpfs",
        "/opt/ml/checkpoints:size=1m",
        images["train"],
        "train",
    )
    assert done.returncode == 1 and "the disk is full" in (root / "output" / "failure").read_text()


@pytest.mark.parametrize("missing", ["resourceconfig.json", "inputdataconfig.json"])
@pytest.mark.parametrize("options", [[], ["--read-only", "--tmpfs", "/tmp"]])
def test_a_missing_configuration_file_never_looks_like_success(images, tmp_path, missing, options):
    root = job_for(tmp_path, epochs=1)
    (root / "input/config" / missing).unlink()
    shutil.rmtree(root / "output")
    mount = f"{root}:/opt/ml" + (":ro" if options else "")
    done = docker("run", "--rm", *options, "-v", mount, images["train"], "train")
    assert (
        done.returncode == 1
        and (missing if not options else "no permission to read or write") in done.stderr
    ), done.stdout + done.stderr
    assert (
        "Traceback" not in done.stderr
        if options
        else missing in (root / "output" / "failure").read_text()
    )
