"""slipway-serve-mms with many models: /models as SageMaker calls it. Needs Docker."""

import json
import shutil
from collections.abc import Iterator

import pytest

from runtime.probes import ping
from tests.support.jobs import COLOURS
from tests.support.mms_containers import (
    HARDENED,
    ask,
    container,
    docker,
    kill,
    load,
    manage,
    photo,
    ready,
    wait_for,
    workers,
)

pytestmark = pytest.mark.docker


JPEG = {"Content-Type": "image/jpeg"}


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
    assert ping(url) == 200
    assert manage(url, "GET") == (200, {"models": []})
    assert ask(url, photo(), JPEG, "/models/0a1b/invoke")[0] == 404
    assert load(url, "0a1b", "a") == 200
    assert load(url, "2c3d", "b") == 200
    assert load(url, "0a1b", "b") == 409
    assert load(url, "4e5f", "nowhere") == 400
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
    assert manage(url, "DELETE", "/0a1b")[0] == 404
    assert ask(url, photo(), JPEG, "/models/0a1b/invoke")[0] == 404
    assert load(url, "0a1b", "a") == 200
    assert ask(url, photo(), JPEG, "/models/0a1b/invoke")[0] == 200


def test_a_broken_model_is_refused_and_leaves_the_others_alone(many):
    name, url = many
    status, answer = manage(
        url, "POST", document={"model_name": "bad", "url": "/opt/ml/models/broken/model"}
    )
    assert status == 400
    assert "the model 'bad' cannot be loaded" in answer["error"]
    assert "is not a graph that OpenVINO reads" in answer["error"]
    assert "bad" not in [entry["modelName"] for entry in manage(url, "GET")[1]["models"]]
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
        assert manage(url, "POST", document=document)[0] == 200
        assert ask(url, photo(), JPEG, "/models/m/invoke")[0] == 200


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
        statuses: list[int] = []
        while not statuses or statuses[-1] == 200:
            statuses.append(load(url, f"m{len(statuses)}", "."))
            assert len(statuses) < 20
        assert statuses[-1] == 507
        assert len(statuses) > 2
        wait_for(lambda: len(manage(url, "GET")[1]["models"]) == len(statuses) - 1, 30)
        assert ask(url, photo(), JPEG, "/models/m0/invoke")[0] == 200
        assert "MB are left" in docker("logs", name).stdout
        for model in (
            "/m0",
            "/m1",
        ):  # one alone may leave a few MB too little: the JVM has grown meanwhile
            assert manage(url, "DELETE", model)[0] == 200
        wait_for(lambda: load(url, "again", ".") == 200, 30)
