"""The image slipway-serve-mms in a real engine: multi-model-server as SageMaker runs it. Needs Docker."""

import json
import os
import pickle
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.container_engine import DockerEngine
from runtime.own_images import serve
from runtime.probes import ping
from tests.support.jobs import COLOURS
from tests.support.mms_containers import (
    HARDENED,
    ask,
    container,
    docker,
    instances,
    kill,
    load,
    manage,
    model,
    photo,
    ready,
    states,
    wait_for,
    workers,
)

pytestmark = pytest.mark.docker
JPEG = {"Content-Type": "image/jpeg"}
REQUESTS = {
    "jpeg": (photo(), JPEG),
    "png": (photo("blue", "PNG"), {"Content-Type": "image/png"}),
    "any": (photo("red"), {"Content-Type": "application/x-image", "Accept": "*/*"}),
    "json": (
        instances(photo("red"), photo("blue")),
        {"Content-Type": "application/json; charset=utf-8"},
    ),
    "csv": (photo(), {**JPEG, "Accept": "text/csv"}),
    "top 1": (photo(), {**JPEG, "X-Amzn-SageMaker-Custom-Attributes": "top_k=1"}),
    "header case": (photo(), {"CONTENT-TYPE": "image/jpeg", "ACCEPT": "application/json"}),
    "wrong accept": (photo(), {**JPEG, "Accept": "image/jpeg"}),
    "wrong top": (photo(), {**JPEG, "X-Amzn-SageMaker-Custom-Attributes": "top_k=0"}),
    "wrong type": (photo(), {"Content-Type": "text/html"}),
    "no type": (photo(), {}),
    "empty": (b"", JPEG),
    "broken photo": (photo()[:200], JPEG),
    "no photo": (b"hello", JPEG),
    "one broken": (instances(photo(), b"hello"), {"Content-Type": "application/json"}),
    "broken json": (b"{", {"Content-Type": "application/json"}),
    "a little too large": (photo() + bytes(6 * 2**20), JPEG),
    "far too large": (photo() + bytes(20 * 2**20), JPEG),
}


@pytest.fixture(scope="module")
def model_folder(trained) -> Path:
    for path in [trained.root, *trained.root.parents][
        :4
    ]:  # for --user: pytest's folders are its user's alone
        path.chmod(path.stat().st_mode | 0o055)
    return trained.root / "model"


@pytest.fixture(scope="module")
def single(images, model_folder) -> Iterator[tuple[str, str]]:
    """Name and URL of a ready container with one model, as the hardest orchestrator runs it, with 1 GB of memory."""
    with container(*HARDENED, "--user", "1000:1000", "--memory", "1g", *model(model_folder)) as (
        name,
        url,
    ):
        ready(url)
        yield name, url


@pytest.fixture(scope="module")
def flask(images, model_folder) -> Iterator[str]:
    """The URL of slipway-serve over the same model."""
    with serve(DockerEngine(), model_folder, images["serve"]) as url:
        yield url


@pytest.mark.parametrize("name", REQUESTS)
def test_both_serving_images_answer_alike(single, flask, name):
    body, headers = REQUESTS[name]
    status, content_type, answer = ask(single[1], body, headers)
    assert (status, content_type) == ask(flask, body, headers)[:2]
    expected = ask(flask, body, headers)[2]
    assert answer == expected or json.loads(answer) == json.loads(expected)
    assert status == 200 or list(json.loads(answer)) == ["error"]


@pytest.mark.parametrize(
    "content_type", ["application/x-npy", "application/python-pickle", "application/x-npz"]
)
def test_a_pickle_is_refused_and_not_run(single, content_type):
    class Payload:
        def __reduce__(self):
            return os.system, ("touch /tmp/run-by-pickle",)

    name, url = single
    status, _, answer = ask(url, pickle.dumps(Payload()), {"Content-Type": content_type})
    assert (
        status == 415
        and f"Content-Type '{content_type}' is not taken" in json.loads(answer)["error"]
    )
    assert docker("exec", name, "ls", "-a", "/tmp").stdout.count("run-by-pickle") == 0


def test_a_form_is_refused_for_mms_keeps_but_one_of_its_files(single):
    body = (
        b'--x\r\nContent-Disposition: form-data; name="body"; filename="a.jpg"\r\nContent-Type: image/jpeg\r\n\r\n'
        + photo()
        + b"\r\n--x--\r\n"
    )
    status, _, answer = ask(single[1], body, {"Content-Type": "multipart/form-data; boundary=x"})
    assert status == 415 and "is not taken by multi-model-server" in json.loads(answer)["error"]


def test_a_burst_of_large_bodies_costs_some_clients_their_answer_and_nobody_else(single):
    """In 1 GB: what there is no memory for is refused with 503; MMS by itself fails them all, and keeps the memory."""
    body = photo() + bytes(6 * 2**20 - 2000)
    answers = []
    threads = [
        threading.Thread(target=lambda: answers.append(ask(single[1], body, JPEG)))
        for _ in range(40)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {status for status, _, _ in answers} <= {200, 503} and len(answers) == 40
    assert (
        any(status == 200 for status, _, _ in answers)
        and ping(single[1]) == 200
        and ask(single[1], photo(), JPEG)[0] == 200
    )


def test_the_model_cannot_be_managed_from_outside(single):
    name, url = single
    assert [
        ask(url, b"", {}, path, method)[0]
        for path, method in [
            ("/models", "GET"),
            ("/models?url=/opt/ml/model&model_name=b", "POST"),
            ("/models/model", "DELETE"),
        ]
    ] == [404, 404, 404]
    listening = [
        line.split()[1]
        for line in docker(
            "exec", name, "cat", "/proc/net/tcp", "/proc/net/tcp6"
        ).stdout.splitlines()
        if " 0A " in line
    ]
    assert {int(address.rpartition(":")[2], 16) for address in listening} == {8080}


def test_pid_1_is_ours_and_reaps(single):
    name, url = single
    assert docker("exec", name, "cat", "/proc/1/cmdline").stdout.split("\0")[1:3] == [
        "-m",
        "serve.mms",
    ]
    docker("exec", "-d", name, "sh", "-c", "sleep 0.2 & exit")  # the sleep becomes PID 1's child
    time.sleep(0.5)
    assert "Z" not in states(name)


def test_ping_is_honest(images, model_folder):
    """503 until the model is loaded and again while its worker is dead; without any process of its model the server leaves."""
    with container(*model(model_folder)) as (name, url):
        seen = []
        wait_for(lambda: seen.append(ping(url)) or seen[-1] == 200)
        assert set(seen) == {0, 503, 200} and seen == sorted(seen, key=[0, 503, 200].index)
        kill(workers(name)[1:])
        wait_for(lambda: ping(url) == 503, 10)
        ready(url)
        assert ask(url, photo(), JPEG)[0] == 200
        kill(workers(name))
        wait_for(lambda: ping(url) != 200, 10)
        assert docker("wait", name).stdout.strip() == "1"
        assert "model model has no process left" in docker("logs", name).stderr


def test_mms_s_death_ends_the_container(images, model_folder):
    with container(*model(model_folder)) as (name, url):
        ready(url)
        java = [
            row.split()[0]
            for row in docker("top", name, "-eo", "pid,args").stdout.splitlines()
            if "slipway.Server" in row
        ]
        kill(java)
        assert docker("wait", name).stdout.strip() == "137"
        assert "MMS left with code 137" in docker("logs", name).stderr


def test_sigterm_answers_what_was_accepted(images, model_folder):
    """Twenty clients have asked one worker; SIGTERM comes while most of them wait in MMS's queue."""
    with container(*model(model_folder)) as (name, url):
        ready(url)
        body, answers = instances(*[photo("red", size=(1500, 1500))] * 3), []
        threads = [
            threading.Thread(
                target=lambda: answers.append(
                    ask(url, body, {"Content-Type": "application/json"})[0]
                )
            )
            for _ in range(20)
        ]
        for thread in threads:
            thread.start()
        wait_for(lambda: answers)
        started = time.monotonic()
        docker("stop", "-t", "25", name)
        assert time.monotonic() - started < 25
        for thread in threads:
            thread.join()
        assert answers == [200] * 20
        assert docker("wait", name).stdout.strip() == "0"


@pytest.mark.parametrize(
    "environment, wrong, code, words",
    [
        ("SAGEMAKER_BIND_TO_PORT=http", None, 2, "SAGEMAKER_BIND_TO_PORT must be a whole number"),
        ("A=", "model.json", 3, "holds no model.json"),
        ("SLIPWAY_PRECISION=f32", "model.onnx", 3, "is not a graph that OpenVINO reads"),
    ],
)
def test_what_cannot_be_served_ends_with_a_sentence(
    images, model_folder, tmp_path, environment, wrong, code, words
):
    shutil.copytree(model_folder, tmp_path / "model")
    if wrong == "model.json":
        (tmp_path / "model" / wrong).unlink()
    elif wrong:
        (tmp_path / "model" / wrong).write_bytes(b"none")
    done = docker(
        "run",
        "--rm",
        "-e",
        environment,
        *model(tmp_path / "model"),
        "slipway-serve-mms",
        check=False,
    )
    assert (
        done.returncode == code
        and words in done.stdout + done.stderr
        and "Traceback" not in done.stdout + done.stderr
    )


def test_code_in_the_artifact_does_not_run(images, model_folder, tmp_path):
    """MMS puts the model's folder first on PYTHONPATH; our workers do not look there."""
    shutil.copytree(model_folder, tmp_path / "model")
    for name in ("json.py", "numpy.py", "sitecustomize.py"):
        (tmp_path / "model" / name).write_text("raise SystemExit('code of the artifact')")
    with container("-e", "SAGEMAKER_BIND_TO_PORT=9099", *model(tmp_path / "model"), port=9099) as (
        name,
        url,
    ):
        ready(url)
        assert ask(url, photo(), JPEG)[0] == 200


def test_it_serves_without_any_network(images, model_folder):
    """Asked from inside, by the image's own Python."""
    name = f"slipway-mms-{os.getpid()}-alone"
    docker(
        "run",
        "-d",
        "--name",
        name,
        *HARDENED,
        "--network",
        "none",
        *model(model_folder),
        "slipway-serve-mms",
    )
    code = (
        "import json, sys, urllib.request as u\n"
        "request = u.Request('http://127.0.0.1:8080/invocations', sys.stdin.buffer.read(), {'Content-Type': 'image/jpeg'})\n"
        "print(u.urlopen('http://127.0.0.1:8080/ping').status, json.load(u.urlopen(request))['predictions'][0]['label'])"
    )
    try:
        asked = wait_for(
            lambda: (
                (
                    done := subprocess.run(
                        ["docker", "exec", "-i", name, "python", "-c", code],
                        input=photo(),
                        capture_output=True,
                        check=False,
                    )
                ).returncode
                == 0
                and done
            )
        )
        assert asked.stdout.decode().split() == ["200", "green"]
    finally:
        docker("rm", "-f", name)


@pytest.fixture(scope="module")
def many(images, model_folder, tmp_path_factory) -> Iterator[tuple[str, str]]:
    """Name and URL of a container for many models: two good ones, one without a graph."""
    root = tmp_path_factory.mktemp("many") / "models"
    for name in ("a", "b", "broken"):
        shutil.copytree(model_folder, root / name / "model")
    for path in (root / "broken" / "model").glob("model*[xl]"):  # the graph, and its int8 twin
        path.write_bytes(b"none")
    with container(
        *HARDENED, "-e", "SAGEMAKER_MULTI_MODEL=true", "-v", f"{root}:/opt/ml/models:ro"
    ) as (name, url):
        ready(url)
        yield name, url


def test_models_come_and_go(many):
    name, url = many
    assert ping(url) == 200 and manage(url, "GET") == (200, {"models": []})
    assert ask(url, photo(), JPEG, "/models/0a1b/invoke")[0] == 404
    assert load(url, "0a1b", "a") == 200 and load(url, "2c3d", "b") == 200
    assert load(url, "0a1b", "b") == 409
    assert load(url, "4e5f", "nowhere") == 404
    assert manage(url, "GET") == (
        200,
        {
            "models": [
                {"modelName": "0a1b", "modelUrl": "/opt/ml/models/a/model"},
                {"modelName": "2c3d", "modelUrl": "/opt/ml/models/b/model"},
            ]
        },
    )
    for colour in COLOURS:
        status, content_type, answer = ask(url, photo(colour), JPEG, "/models/2c3d/invoke")
        assert (status, content_type, json.loads(answer)["predictions"][0]["label"]) == (
            200,
            "application/json",
            colour,
        )
    assert ask(url, b"hello", JPEG, "/models/0a1b/invoke")[0] == 422
    assert len(workers(name)) == 4
    assert manage(url, "DELETE", "/0a1b")[0] == 200
    wait_for(lambda: len(workers(name)) == 2, 10)
    assert (
        manage(url, "DELETE", "/0a1b")[0] == 404
        and ask(url, photo(), JPEG, "/models/0a1b/invoke")[0] == 404
    )
    assert (
        load(url, "0a1b", "a") == 200 and ask(url, photo(), JPEG, "/models/0a1b/invoke")[0] == 200
    )


def test_a_broken_model_is_refused_and_leaves_the_others_alone(many):
    name, url = many
    status, answer = manage(
        url, "POST", document={"model_name": "bad", "url": "/opt/ml/models/broken/model"}
    )
    assert status == 500 and answer["code"] == 500
    wait_for(
        lambda: "bad" not in [entry["modelName"] for entry in manage(url, "GET")[1]["models"]], 30
    )
    assert ping(url) == 200
    assert "is not a graph that OpenVINO reads" in docker("logs", name).stdout


def test_a_lost_model_is_forgotten_so_that_it_can_be_loaded_again(images, model_folder):
    with container(
        "-e", "SAGEMAKER_MULTI_MODEL=true", "-v", f"{model_folder.parent}:/opt/ml/models:ro"
    ) as (name, url):
        ready(url)
        document = {"model_name": "m", "url": "/opt/ml/models/model"}
        assert manage(url, "POST", document=document)[0] == 200
        kill(workers(name))
        wait_for(lambda: ask(url, photo(), JPEG, "/models/m/invoke")[0] == 404, 30)
        assert (
            manage(url, "POST", document=document)[0] == 200
            and ask(url, photo(), JPEG, "/models/m/invoke")[0] == 200
        )


def test_without_memory_a_model_is_refused_with_507(images, model_folder):
    """By which SageMaker learns to unload another one."""
    with container(
        "-e",
        "SAGEMAKER_MULTI_MODEL=true",
        "--memory",
        "640m",
        "-v",
        f"{model_folder.parent}:/opt/ml/models:ro",
    ) as (name, url):
        ready(url)
        statuses = []
        while not statuses or statuses[-1] == 200:
            statuses.append(load(url, f"m{len(statuses)}", "."))
            assert len(statuses) < 20
        assert statuses[-1] == 507 and len(statuses) > 2
        wait_for(lambda: len(manage(url, "GET")[1]["models"]) == len(statuses) - 1, 30)
        assert (
            ask(url, photo(), JPEG, "/models/m0/invoke")[0] == 200
            and "MB are left" in docker("logs", name).stdout
        )
        for model in (
            "/m0",
            "/m1",
        ):  # one alone may leave a few MB too little: the JVM has grown meanwhile
            assert manage(url, "DELETE", model)[0] == 200
        wait_for(lambda: load(url, "again", ".") == 200, 30)


def test_the_image_says_what_it_is(images):
    config = json.loads(docker("image", "inspect", "slipway-serve-mms").stdout)[0]["Config"]
    assert config["User"] == "" and config["ExposedPorts"] == {"8080/tcp": {}}
    assert (
        config["Labels"].items()
        >= {
            "org.opencontainers.image.title": "slipway-serve-mms",
            "com.amazonaws.sagemaker.capabilities.multi-models": "true",
            "com.amazonaws.sagemaker.capabilities.accept-bind-to-port": "true",
        }.items()
    )
    assert (
        int(docker("image", "inspect", "--format", "{{.Size}}", "slipway-serve-mms").stdout) < 450e6
    )
    code = "import importlib.util as u; print([n for n in ('torch', 'scipy', 'boto3', 'pip') if u.find_spec(n)])"
    assert docker("run", "--rm", "slipway-serve-mms", "python", "-c", code).stdout == "[]\n"
