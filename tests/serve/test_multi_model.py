"""Multi-model endpoints: /models as SageMaker calls it, memory, and loading beside traffic."""

import json
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest

from artifact.model import Description
from artifact.photos.preprocessing import Preprocessing
from serve.models import SPARE_BYTES, ModelError, Models, needed_bytes
from serve.predictor import SharedLimits
from tests.support.servers import photo, serving


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.getbasetemp()  # of all artifacts of these tests
    with serving(SAGEMAKER_MULTI_MODEL="true", SLIPWAY_MODELS_DIR=folder) as running:
        yield running


@pytest.fixture(scope="module")
def large(tmp_path_factory) -> Path:
    """An artifact of 45 MB: large enough to see its memory come and go."""
    # Imported here: the other tests do not wait for torch.
    import torch

    from artifact.export import export
    from artifact.networks.network import build

    folder = tmp_path_factory.mktemp("large")
    torch.manual_seed(0)
    preprocessing = Preprocessing(resize=64, crop=64)
    network = build("resnet18", 3, (), 64).eval()
    export(
        network,
        Description(("blue", "green", "red"), preprocessing, "resnet18"),
        folder,
        torch.zeros(1, 64, 64, 3, dtype=torch.uint8).numpy(),
    )
    return folder


def call(server, method: str, path: str, body: dict | None = None) -> tuple[int, Any]:
    status, _, answer = server.ask(
        method,
        path,
        json.dumps(body).encode() if body else None,
        {"Content-Type": "application/json"},
    )
    return status, json.loads(answer) if answer else None


def load(server, name: str, folder: Path) -> int:
    return call(server, "POST", "/models", {"model_name": name, "url": str(folder)})[0]


def resident(pid: int) -> int:
    """Bytes of memory that a process holds."""
    return next(
        int(line.split()[1]) * 1024
        for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        if line.startswith("VmRSS")
    )


def test_a_model_is_loaded_asked_and_unloaded(server, colours):
    assert server.ask("GET", "/ping")[0] == 200
    assert call(server, "GET", "/models") == (
        200,
        {"models": []},
    )
    known = {"modelName": "a-b", "modelUrl": str(colours.model)}
    assert call(server, "POST", "/models", {"model_name": "a-b", "url": str(colours.model)}) == (
        200,
        known,
    )
    assert call(server, "GET", "/models") == (200, {"models": [known]})
    assert call(server, "GET", "/models/a-b") == (200, known)
    status, answer = server.invoke(
        photo("blue"), path="/models/a-b/invoke", **{"X-Amzn-SageMaker-Target-Model": "a.tar.gz"}
    )
    assert status == 200
    assert answer["predictions"][0]["label"] == "blue"
    assert call(server, "DELETE", "/models/a-b") == (200, None)
    for method, path in (("GET", "/models/a-b"), ("DELETE", "/models/a-b")):
        status, answer = call(server, method, path)
        assert status == 404
        assert "no model 'a-b' is loaded" in answer["error"]
    assert server.invoke(photo(), path="/models/a-b/invoke")[0] == 404


def test_a_name_can_be_loaded_once(server, colours):
    assert load(server, "once", colours.model) == 200
    assert load(server, "once", colours.model) == 409
    assert call(server, "DELETE", "/models/once")[0] == 200
    assert load(server, "once", colours.model) == 200
    assert call(server, "DELETE", "/models/once")[0] == 200


@pytest.mark.parametrize(
    "body, status, words",
    [
        (b"{", 400, "not JSON"),
        (b"[]", 400, "lacks model_name or url"),
        (b'{"model_name": "x"}', 400, "lacks model_name or url"),
        (b'{"model_name": 1, "url": "x"}', 400, "lacks"),
        (b'{"model_name": "a/b", "url": "x"}', 400, "holds a slash"),
        (
            b'{"model_name": "x", "url": "/nowhere"}',
            400,
            "send the path of a model below",
        ),
        (json.dumps({"model_name": "x", "url": "/" * 5000}).encode(), 400, "send the path"),
    ],
)
def test_what_cannot_be_loaded_is_told(server, body, status, words):
    answered, answer = server.invoke(body, "application/json", "/models")
    assert answered == status
    assert words in answer["error"]
    assert call(server, "GET", "/models") == (200, {"models": []})


def test_invocations_are_for_a_model(server):
    status, answer = server.invoke(photo())
    assert status == 404
    assert "POST /models/<name>/invoke" in answer["error"]


def test_many_models_are_listed_by_pages(server, colours):
    models = Models(shared=SharedLimits(1))
    assert models.listed() == []
    assert call(server, "GET", "/models?next_page_token=x")[0] == 400
    assert call(server, "GET", "/models?next_page_token=700") == (200, {"models": []})


@pytest.mark.slow
def test_traffic_goes_on_while_models_come_and_go(server, colours, large):
    assert load(server, "steady", colours.model) == 200
    stop = threading.Event()
    wrong: list[int] = []
    answered: list[int] = []

    def ask() -> None:
        while not stop.is_set():
            status, answer = server.invoke(photo("green"), path="/models/steady/invoke")
            is_right = status == 200 and answer["predictions"][0]["label"] == "green"
            (answered if is_right else wrong).append(status)

    callers = [threading.Thread(target=ask) for _ in range(3)]
    for caller in callers:
        caller.start()
    for _ in range(3):
        before = len(answered)
        assert load(server, "other", large) == 200
        assert len(answered) > before
        assert call(server, "DELETE", "/models/other")[0] == 200
    stop.set()
    for caller in callers:
        caller.join()
    assert not wrong
    assert call(server, "DELETE", "/models/steady")[0] == 200


@pytest.mark.slow
def test_an_unloaded_models_memory_is_given_back(server, large, colours):
    (worker,) = server.workers()
    for name in ("warm", "up"):  # the libraries keep some memory for good
        load(server, name, large)
        server.invoke(photo(), path=f"/models/{name}/invoke")
        call(server, "DELETE", f"/models/{name}")
    empty = resident(worker)
    names = [f"copy{index}" for index in range(4)]
    for name in names:
        assert load(server, name, large) == 200
        assert server.invoke(photo(), path=f"/models/{name}/invoke")[0] == 200
    full = resident(worker)
    for name in names:
        assert call(server, "DELETE", f"/models/{name}")[0] == 200
    left = resident(worker) - empty
    assert full - empty > 4 * 20e6 and left < 0.15 * (full - empty), f"{empty=} {full=} {left=}"


@pytest.mark.slow
def test_without_room_sagemaker_is_told_to_make_some(colours, large):
    models = Models(shared=SharedLimits(1), room=lambda: 100_000_000)
    models.load("small", str(colours.model))
    with pytest.raises(ModelError, match="MB are left; unload another one first") as caught:
        models.load("large", str(large))
    assert caught.value.status == 507
    assert [entry["modelName"] for entry in models.listed()] == ["small"]
    models.unload("small")


@pytest.mark.slow
def test_the_least_recently_used_model_makes_room_where_that_is_asked_for(
    colours, tmp_path, monkeypatch
):
    for name in "abc":
        shutil.copytree(colours.model, tmp_path / name)
    need = needed_bytes(tmp_path / "a")
    assert need > (colours.model / "model.onnx").stat().st_size
    loaded: set[str] = set()
    full = need + SPARE_BYTES - 1
    models = Models(
        shared=SharedLimits(1), evict=True, room=lambda: 10**9 if len(loaded) < 2 else full
    )
    for name in "ab":
        models.load(name, str(tmp_path / name))
        loaded.add(name)
    with models.using("a") as predictor:
        assert predictor.predict([photo("red")])[0]["label"] == "red"
    unload = models.unload

    def noted_unload(name: str) -> None:
        unload(name)
        loaded.discard(name)

    monkeypatch.setattr(models, "unload", noted_unload)
    models.load("c", str(tmp_path / "c"))
    assert [entry["modelName"] for entry in models.listed()] == ["a", "c"]
    full = 0
    loaded = {"a", "c"}
    shutil.copytree(colours.model, tmp_path / "d")
    # it does not fit even alone: no other model loses its place
    with pytest.raises(ModelError, match="MB are left"):
        models.load("d", str(tmp_path / "d"))
    assert [entry["modelName"] for entry in models.listed()] == ["a", "c"]
    for name in "ac":
        unload(name)


@pytest.mark.slow
def test_a_model_in_use_is_unloaded_after_its_answer(colours):
    models = Models(shared=SharedLimits(1))
    models.load("used", str(colours.model))
    with models.using("used") as predictor:
        unloading = threading.Thread(target=models.unload, args=("used",))
        unloading.start()
        while True:
            try:
                models.describe("used")
            except ModelError:
                break
        assert predictor.predict([photo("blue")])[0]["label"] == "blue"
        assert unloading.is_alive()
    unloading.join()
