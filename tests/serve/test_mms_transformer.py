"""A worker of MMS: how it opens its model and answers a batch of requests; no MMS runs."""

import json
import os
from types import SimpleNamespace
from typing import Any

import pytest

from artifact.model import ArtifactError
from serve.batching import EngineDead
from serve.mms import transformer
from serve.mms.transformer import Transformer
from serve.request_state import RequestState
from serve.settings import ServingSettings
from tests.support.servers import instances, photo


class Context:
    """MMS's context of a batch: each request's headers, and the statuses and types given back."""

    def __init__(self, *headers: dict[str, Any]):
        self.headers = headers
        self.statuses: dict[int, tuple[int, str]] = {}
        self.types: dict[int, str] = {}

    def get_all_request_header(self, index: int) -> dict[str, Any]:
        return self.headers[index]

    def set_response_status(self, code: int, phrase: str, index: int) -> None:
        self.statuses[index] = (code, phrase)

    def set_response_content_type(self, index: int, content_type: str) -> None:
        self.types[index] = content_type


@pytest.fixture(scope="module")
def worker(colours):
    """A worker with a model of three colours."""
    made = Transformer()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transformer, "give_memory_back", lambda: None)
        patch.setattr(ServingSettings, "read", classmethod(lambda cls: cls(precision="f32")))
        made.validate_and_initialize(str(colours.model), None)
    yield made
    made._predictor.close()


def answers(worker: Transformer, context: Any, *bodies: bytes | None) -> list[bytes]:
    requests = [{} if body is None else {"body": body} for body in bodies]
    return worker.transform(requests, context)  # type: ignore[arg-type]  # a stand-in


def test_each_request_of_a_batch_has_its_own_headers(worker):
    json_type = {"Content-Type": "application/json", "Accept": "application/jsonlines"}
    attributes = {"X-Amzn-SageMaker-Custom-Attributes": "top_k=1"}
    context = Context(
        {"Content-Type": "image/jpeg", **attributes},
        {**json_type, "photo": {"of": "a form"}},
        {"content-type": "image/png", "ACCEPT": "text/csv"},
    )
    bodies = (photo("red"), instances(photo("blue"), photo("green")), photo("green", "PNG"))
    first, second, third = answers(worker, context, *bodies)
    (prediction,) = json.loads(first)["predictions"]
    assert prediction["label"] == "red"
    assert len(prediction["top"]) == 1
    labels = [json.loads(line)["label"] for line in second.splitlines()]
    assert labels == ["blue", "green"]
    assert third.startswith(b"green,0.")
    assert context.statuses == {index: (200, "OK") for index in range(3)}
    assert context.types == {0: "application/json", 1: "application/jsonlines", 2: "text/csv"}


@pytest.mark.parametrize(
    "headers, body, status, words",
    [
        ({}, b"x", (415, "Unsupported Media Type"), "Content-Type '' is not taken"),
        ({"Content-Type": "image/png"}, None, (400, "Bad Request"), "the body is empty"),
        ({"Content-Type": "image/png"}, b"x", (422, None), "the photo cannot be used"),
        (
            {"Content-Type": "multipart/form-data; boundary=x"},
            b"x",
            (415, "Unsupported Media Type"),
            "'multipart/form-data' is not taken by multi-model-server; send one of image/jpeg",
        ),
        ({"Content-Type": "image/png", "Accept": "image/gif"}, b"x", (406, None), "cannot be met"),
    ],
)
def test_a_request_that_cannot_be_answered_is_one_sentence(worker, headers, body, status, words):
    context = Context(headers)
    (answer,) = answers(worker, context, body)
    assert words in json.loads(answer)["error"]
    assert answer.endswith(b"\n")
    assert context.statuses[0][0] == status[0]
    assert status[1] in (None, context.statuses[0][1])
    assert context.types == {0: "application/json"}


def test_a_bad_request_leaves_its_neighbours_alone(worker):
    context = Context({"Content-Type": "image/png"}, {"Content-Type": "image/jpeg"})
    _, second = answers(worker, context, b"x", photo("red"))
    assert json.loads(second)["predictions"][0]["label"] == "red"
    assert [context.statuses[index][0] for index in (0, 1)] == [422, 200]


def test_a_lack_of_memory_is_for_mms_to_answer(worker, monkeypatch):
    def failing(*arguments: object) -> None:
        raise MemoryError

    monkeypatch.setattr(worker._predictor, "predict", failing)
    with pytest.raises(MemoryError):
        answers(worker, Context({"Content-Type": "image/jpeg"}), photo("red"))


@pytest.mark.parametrize("tolerant", [True, False])
def test_batch_transform_and_the_time_are_passed_on(worker, monkeypatch, tolerant):
    given: list[Any] = []

    def predict(photos: object, top_k: int, state: RequestState, tolerant: bool) -> list[object]:
        given.extend([top_k, state.left_s(), tolerant])
        raise EngineDead("stop here")

    settings = ServingSettings(batch_transform=tolerant, timeout_s=7)
    monkeypatch.setattr(worker, "_settings", settings)
    monkeypatch.setattr(worker._predictor, "predict", predict)
    context = Context({"Content-Type": "image/jpeg"})
    answers(worker, context, photo("red"))
    assert context.statuses[0][0] == 503
    assert given[0] == 5
    assert 5 < given[1] <= 7
    assert given[2] is tolerant


@pytest.mark.parametrize("multi_model, checked", [(True, 1), (False, 0)])
def test_only_several_models_need_to_look_for_room(tmp_path, monkeypatch, multi_model, checked):
    checks: list[object] = []
    opened: list[tuple[Any, ...]] = []
    settings = ServingSettings(multi_model=multi_model, precision="bf16", threads=3)
    monkeypatch.setattr(transformer, "give_memory_back", lambda: None)
    monkeypatch.setattr(ServingSettings, "read", classmethod(lambda cls: settings))
    monkeypatch.setattr(transformer, "check_room", checks.append)
    monkeypatch.setattr(
        transformer, "Predictor", lambda *given, died: opened.append((*given, died))
    )
    Transformer().validate_and_initialize(str(tmp_path), None)
    assert len(checks) == checked
    ((folder, precision, shared, died),) = opened
    assert folder == tmp_path
    assert precision == "bf16"
    assert shared.count == 3
    assert died is transformer._leave


@pytest.mark.parametrize(
    "error, left", [(MemoryError("no room"), []), (ArtifactError("no graph"), [1])]
)
def test_a_model_that_does_not_open_is_one_sentence(tmp_path, monkeypatch, capsys, error, left):
    exits: list[int] = []

    def failing(*arguments: object, **options: object) -> None:
        raise error

    monkeypatch.setattr(transformer, "give_memory_back", lambda: None)
    monkeypatch.setattr(ServingSettings, "read", classmethod(lambda cls: cls()))
    monkeypatch.setattr(transformer, "Predictor", failing)
    monkeypatch.setattr(os, "_exit", exits.append)
    opening: Any = SimpleNamespace()
    call = Transformer.validate_and_initialize
    if left:
        call(opening, str(tmp_path), opening)
    else:
        with pytest.raises(MemoryError):  # MMS answers it with 507
            call(opening, str(tmp_path), opening)
    assert exits == left
    assert capsys.readouterr().err == f"serve: failed: {error}\n"
