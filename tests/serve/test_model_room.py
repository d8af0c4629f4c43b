"""Models that come and go, without engines: room, order of leaving, errors, and the requests."""

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from serve import models as loading
from serve.answering import ServingLimits
from serve.models import ModelError, Models, needed_bytes
from serve.multi_model import _start_of, create_multi_model_app

SPARE = 64 * 1024 * 1024
MB = 1_000_000


class FakePredictor:
    """A predictor that answers nothing. fails: the error of opening the next one."""

    fails: BaseException | None = None

    def __init__(self, folder: Path, *arguments: object, died: Any, hooks: bool):
        if FakePredictor.fails:
            raise FakePredictor.fails
        self.directory = folder
        self.died = died
        self.closed = False
        self.batcher = SimpleNamespace(fault=lambda: None, waiting=2)

    def close(self) -> None:
        self.closed = True


@pytest.fixture(autouse=True)
def predictors(monkeypatch):
    # No engine: the tests are about who stays and who goes.
    monkeypatch.setattr(loading, "Predictor", FakePredictor)
    monkeypatch.setattr(FakePredictor, "fails", None)


@pytest.fixture
def folder(tmp_path):
    """A model that needs 2.5 MB."""
    (tmp_path / "model.onnx").write_bytes(bytes(MB))
    (tmp_path / "model.json").touch()
    return tmp_path


class Room:
    """Memory that models take and give back. left: bytes."""

    def __init__(self, left: int):
        self.left = left
        self.models: Models | None = None

    def __call__(self) -> int:
        # As in the real one: loaded models have taken their part.
        assert self.models is not None
        taken = [entry.bytes for entry in self.models._models.values() if entry.predictor]
        return self.left - sum(taken)


def models_in(left: int, evict: bool = False) -> Models:
    room = Room(left)
    room.models = Models(evict=evict, room=room)
    return room.models


@pytest.mark.parametrize(
    "files, expected",
    [
        # Two and a half times the largest graph.
        ({"model.onnx": 1000}, 2500),
        ({"model.onnx": 1000, "model.int8.bin": 1001}, 2502),
        ({"model.onnx": 10, "model.safetensors": 5000, "other.bin": 5000}, 25),
        ({}, 0),
    ],
)
def test_the_memory_of_a_model_follows_from_its_largest_graph(tmp_path, files, expected):
    for name, size in files.items():
        (tmp_path / name).write_bytes(bytes(size))
    assert needed_bytes(tmp_path) == expected


# One byte decides.
@pytest.mark.parametrize("left, fits", [(SPARE + 2_500_000, True), (SPARE + 2_499_999, False)])
def test_a_model_is_loaded_where_it_leaves_room_for_requests(folder, left, fits):
    models = models_in(left)
    if fits:
        models.load("a", str(folder))
        assert models.listed() == [{"modelName": "a", "modelUrl": str(folder)}]
        return
    with pytest.raises(ModelError) as caught:
        models.load("a", str(folder))
    assert caught.value.status == 507
    sentence = "the model needs about 70 MB and 70 MB are left; unload another one first"
    assert str(caught.value) == sentence
    assert models.listed() == []


def test_the_least_recently_used_leaves(folder):
    models = models_in(SPARE + 5 * MB, evict=True)
    models.load("a", str(folder))
    models.load("b", str(folder))
    # Its use makes it the younger of both.
    with models.using("a"):
        pass
    models.load("c", str(folder))
    assert [model["modelName"] for model in models.listed()] == ["a", "c"]


def test_a_model_in_use_stays_and_so_do_others_that_would_leave_in_vain(folder):
    models = models_in(SPARE + 5 * MB, evict=True)
    models.load("a", str(folder))
    models.load("b", str(folder))
    # Both are in use: nobody can leave.
    with models.using("a"), models.using("b"), pytest.raises(ModelError, match="unload another"):
        models.load("c", str(folder))
    # Even without both others there is no room: they stay.
    (folder / "model.onnx").write_bytes(bytes(3 * MB))
    with pytest.raises(ModelError, match="the model needs about 75 MB and 67 MB are left"):
        models.load("c", str(folder))
    assert [model["modelName"] for model in models.listed()] == ["a", "b"]


@pytest.mark.parametrize(
    "error, status, words",
    [
        (MemoryError(), 507, "not enough memory to load the model 'a'; unload another one first"),
        (ValueError("no graph"), 400, "the model 'a' cannot be loaded: no graph"),
        (OSError("gone"), 400, "the model 'a' cannot be loaded: gone"),
    ],
)
def test_a_model_that_does_not_load_frees_its_name(folder, error, status, words):
    models = models_in(SPARE * 2)
    FakePredictor.fails = error
    with pytest.raises(ModelError) as caught:
        models.load("a", str(folder))
    assert caught.value.status == status
    assert str(caught.value) == words
    FakePredictor.fails = None
    # The name is free again.
    models.load("a", str(folder))


def test_a_fault_of_ours_stays_one_and_the_unpacked_archive_goes(folder, monkeypatch):
    discarded: list[Path] = []
    monkeypatch.setattr(loading, "discard", discarded.append)
    FakePredictor.fails = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        models_in(SPARE * 2).load("a", str(folder))
    assert discarded == [folder]


def test_a_name_in_use_is_a_409(folder):
    # A longer name is cut in sentences.
    models = models_in(SPARE * 2)
    name = "n" * 101
    models.load(name, str(folder))
    with pytest.raises(ModelError) as caught:
        models.load(name, str(folder))
    assert caught.value.status == 409
    short = "n" * 100
    expected = f"a model '{short}' is loaded already; unload it first by DELETE /models/{short}"
    assert str(caught.value) == expected


def test_an_unknown_name_is_a_404():
    for call in (models_in(0).unload, models_in(0).describe):
        with pytest.raises(ModelError) as caught:
            call("n" * 101)
        assert caught.value.status == 404
        assert f"no model '{'n' * 100}' is loaded" in str(caught.value)


def test_a_model_that_is_being_loaded_is_not_there_yet(folder):
    models = models_in(SPARE * 2)
    # As while it is being loaded.
    models._reserved("a", str(folder))
    assert models.listed() == []
    assert models.waiting() == 0
    with pytest.raises(ModelError, match="no model 'a'"):
        models.describe("a")


def test_unloading_gives_all_back(folder, monkeypatch):
    discarded: list[Path] = []
    monkeypatch.setattr(loading, "discard", discarded.append)
    models = models_in(SPARE * 2)
    models.load("b", str(folder))
    models.load("a", str(folder))
    # Two of each model.
    assert models.waiting() == 4
    assert [model["modelName"] for model in models.listed()] == ["a", "b"]
    with models.using("a") as predictor:
        pass
    models.unload("a")
    assert predictor.closed
    assert discarded == [folder]
    assert models.waiting() == 2


def test_a_dead_model_is_forgotten_and_its_successor_is_not(folder, caplog):
    caplog.set_level(logging.INFO)
    models = models_in(SPARE * 2)
    models.load("a", str(folder))
    with models.using("a") as first:
        pass
    first.died()
    assert models.listed() == []
    models.load("a", str(folder))
    # The old engine's death comes late, and must not take the new model.
    first.died()
    assert len(models.listed()) == 1
    assert "model 'a' is unloaded: its engine has died" in caplog.text


def test_faults_are_those_of_models_that_have_one(folder):
    models = models_in(SPARE * 2)
    models.load("a", str(folder))
    models.load("b", str(folder))
    with models.using("b") as predictor:
        predictor.batcher = SimpleNamespace(fault=lambda: "it hangs", waiting=0)
    assert models.faults() == ["it hangs"]
    client = create_multi_model_app(models, ServingLimits()).test_client()
    answer = client.get("/ping")
    assert answer.status_code == 503
    assert answer.get_json() == {"error": "a model does not answer: it hangs"}


@pytest.mark.parametrize("token, start", [("0", 0), ("100", 100), ("999999999", 999_999_999)])
def test_a_page_token_is_a_number(token, start):
    assert _start_of(token) == start


# A superscript two is a digit to str.isdigit().
@pytest.mark.parametrize("token", ["", "-1", "1000000000", "²", "x" * 30])
def test_another_page_token_is_refused(token):
    with pytest.raises(ModelError) as caught:
        _start_of(token)
    assert caught.value.status == 400
    assert f"next_page_token is '{token[:20]}'; send" in str(caught.value)


@pytest.mark.parametrize(
    "count, token, shown, following",
    [(100, None, 100, None), (101, None, 100, "100"), (101, "100", 1, None), (5, "9", 0, None)],
)
def test_models_are_listed_a_hundred_at_a_time(monkeypatch, count, token, shown, following):
    models = models_in(0)
    entries = [{"modelName": str(number), "modelUrl": "/"} for number in range(count)]
    monkeypatch.setattr(models, "listed", lambda: entries)
    client = create_multi_model_app(models, ServingLimits()).test_client()
    answer = client.get("/models", query_string={"next_page_token": token} if token else {})
    assert len(answer.get_json()["models"]) == shown
    assert answer.get_json().get("nextPageToken") == following


def test_name_and_folder_are_read_and_answered(folder):
    models = models_in(SPARE * 2)
    app = create_multi_model_app(models, ServingLimits(), models_folder=folder.parent)
    client = app.test_client()
    asked = {"model_name": "a", "url": str(folder)}
    described = {"modelName": "a", "modelUrl": str(folder)}
    assert client.post("/models", json=asked).get_json() == described
    assert client.get("/models/a").get_json() == described
    assert client.get("/ping").status_code == 200
    assert client.delete("/models/a").status_code == 200
    assert client.get("/models/a").status_code == 404
    refused = client.post("/invocations", data=b"x")
    assert refused.status_code == 404
    assert "this endpoint has several models" in refused.get_json()["error"]
