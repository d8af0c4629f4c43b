"""The server's parts put together, in this process: limits, numbers, and a predictor's answers."""

import asyncio
import json
from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from artifact.model import Description
from artifact.photos.kinds import PhotoError
from artifact.photos.preprocessing import Preprocessing
from serve import factory, request_state
from serve.batching import Batcher
from serve.factory import make_app
from serve.inputs import InputError
from serve.predictor import Predictor, SharedLimits, warn_of
from serve.request_state import RequestState
from serve.settings import ServingSettings
from tests.support.gateway_clients import Client
from tests.support.servers import photo


@pytest.fixture(scope="module")
def predictor(colours):
    opened = Predictor(colours.model, "f32", SharedLimits(1), "cpu")
    yield opened
    opened.close()


def asked(gateway: Any, path: str) -> dict[str, Any] | str:
    client = Client(b"")
    asyncio.run(client.ask(gateway, "GET", path))
    body = client.sent[1]["body"].decode()
    assert client.status == 200
    if path == "/metrics":
        return str(body)
    document: dict[str, Any] = json.loads(body)
    return document


@pytest.fixture
def engines(monkeypatch) -> list[tuple[Any, dict[str, Any]]]:
    """The arguments of each predictor that is opened."""
    said: list[tuple[str, str]] = []

    def loading(*words: str) -> nullcontext[None]:
        said.append((words[0], words[1]))
        return nullcontext()

    opened: list[tuple[Any, dict[str, Any]]] = []

    def opening(*arguments: Any, **options: Any) -> Predictor:
        assert said == [("serve", "the model")]  # a wait for it is said from before on
        opened.append((arguments, options))
        return Predictor(*arguments, **options)

    monkeypatch.setattr(factory, "give_memory_back", lambda: None)
    monkeypatch.setattr(factory, "Loading", loading)
    monkeypatch.setattr(factory, "Predictor", opening)
    return opened


def test_a_single_models_server(colours, engines, caplog):
    caplog.set_level("INFO")
    settings = ServingSettings(
        model=colours.model, precision="f32", device="cpu", threads=1, workers=3, max_payload_mb=1
    )
    gateway = make_app(settings)
    parameters: Any = asked(gateway, "/execution-parameters")
    assert parameters["MaxConcurrentTransforms"] == 6  # two per thread and worker
    assert parameters["MaxPayloadInMB"] == 1
    text = asked(gateway, "/metrics")
    assert "slipway_models_loaded 1.0" in text
    assert "slipway_queue_photos 0.0" in text
    ((arguments, options),) = engines
    assert arguments[0] == colours.model
    assert arguments[1] == "f32"
    assert arguments[2].count == 1
    assert arguments[3] == "cpu"
    assert options == {"died": factory._leave, "openvino_streams": True, "hooks": False}
    assert "with 3 classes on port 8080: openvino f32, 1 threads" in caplog.text
    assert gateway._limits.body_bytes == 1024 * 1024
    assert gateway._too_large.startswith("the body is larger than 1 MB; send a smaller photo")
    document: Any = asked(gateway, "/openapi.json")
    assert "/classify" not in document["paths"]


@pytest.mark.parametrize("sure_from", [0.5, 0.9])
def test_the_page_is_there_where_it_is_asked_for(colours, engines, sure_from):
    gateway = make_app(
        ServingSettings(
            model=colours.model, precision="f32", device="cpu", page=True, sure_from=sure_from
        )
    )
    document: Any = asked(gateway, "/openapi.json")
    assert "/classify" in document["paths"]
    labels: Any = asked(gateway, "/labels")
    assert labels["labels"] == ["blue", "green", "red"]


def test_a_multi_model_server_starts_without_models(engines):
    gateway = make_app(ServingSettings(multi_model=True, evict=True))
    assert asked(gateway, "/models") == {"models": []}
    assert "slipway_models_loaded 0.0" in asked(gateway, "/metrics")
    assert engines == []


def test_one_bad_photo_among_several_is_named_by_its_number(predictor):
    state = RequestState.lasting(10)
    with pytest.raises(PhotoError, match=r"^instance 1: it is empty \(0 bytes\)$"):
        predictor.predict([photo("red"), b"", photo("blue")], 1, state)
    assert state.abandoned.is_set()
    assert state.photos == 3
    # Nothing of the refused request is left in the queue.
    assert predictor.batcher.waiting == 0
    with pytest.raises(PhotoError, match=r"^it is empty \(0 bytes\)$"):
        predictor.predict([b""])


def test_with_tolerance_a_bad_photo_has_its_own_answer(predictor):
    error = InputError(400, "line 1: not base64")
    state = RequestState.lasting(10)
    found = predictor.predict([b"", error, photo("green")], 2, state, tolerant=True)
    assert found[0] == {"error": "instance 0: the photo cannot be used: it is empty (0 bytes)"}
    assert found[1] == {"error": "line 1: not base64"}
    assert found[2]["label"] == "green"
    assert len(found[2]["top"]) == 2
    assert predictor.batcher.waiting == 0
    assert not state.abandoned.is_set()
    assert set(state.stages) == {"decode", "queue", "engine"}
    with pytest.raises(InputError, match="line 1"):
        predictor.predict([error])


def test_five_photos_are_under_way_ahead_of_the_caller(predictor, monkeypatch):
    """Four, and as many as the engine takes at once."""
    started: list[bytes] = []
    monkeypatch.setattr(predictor, "_start", lambda photo, state: started.append(photo))
    photos = [bytes([number]) for number in range(12)]
    futures = predictor._started(photos, RequestState.lasting(1))
    assert predictor.engine.max_batch == 1
    next(futures)
    assert started == photos[:5]
    next(futures)
    assert started == photos[:6]
    assert len(list(futures)) == 10
    assert started == photos


def test_a_predictor_without_a_time_has_a_minute(predictor, monkeypatch):
    left: list[float] = []

    def admit(batcher: Batcher, photos: int, state: RequestState, decoding: Any) -> None:
        left.append(state.left_s())
        raise KeyError

    clock = SimpleNamespace(monotonic=lambda: 1000.0)
    monkeypatch.setattr(request_state, "time", clock)
    monkeypatch.setattr(Batcher, "admit", admit)
    with pytest.raises(KeyError):
        predictor.predict([b"x"])
    assert left == [60.0]


def test_a_model_that_has_learnt_nothing_is_warned_of(caplog):
    description = Description(("a", "b"), Preprocessing(), "resnet18")
    warn_of(description)
    assert not caplog.records
    warn_of(replace(description, provenance={"untrained": "it was stopped"}))
    (record,) = caplog.records
    assert record.getMessage() == "this model should not be served: it was stopped"
    assert record.levelname == "WARNING"
