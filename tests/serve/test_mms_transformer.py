"""A worker of MMS: how it opens its model and answers a batch of requests; no MMS runs."""

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from artifact.model import ArtifactError
from artifact.photos.kinds import PhotoError
from serve.mms import transformer
from serve.mms.exchange import Work, failure_in, hand_over, unpacked_answer
from serve.mms.transformer import Transformer
from serve.occlusion import PICTURES
from serve.settings import ServingSettings
from tests.support.mms_stand_in import Context
from tests.support.servers import photo


@pytest.fixture(scope="module")
def worker(colours, tmp_path_factory):
    """A worker with a model of three colours."""
    own = tmp_path_factory.mktemp("mms") / "model"
    hand_over(own, colours.model)
    made = Transformer()
    context: Any = Context()
    with pytest.MonkeyPatch.context() as patch:
        # It would change the allocator of the tests' process.
        patch.setattr(transformer, "give_memory_back", lambda: None)
        patch.setattr(ServingSettings, "read", classmethod(lambda cls: cls(precision="f32")))
        made.validate_and_initialize(str(own), context)
    yield made
    made._predictor.close()


def answers(worker: Transformer, *works: Work) -> list[bytes]:
    context: Any = Context()
    requests = [{"body": bytearray(work.packed())} for work in works]
    # MMS hands over a bytearray.
    found = worker.transform(requests, context)  # type: ignore[arg-type]  # MMS's bytes change
    assert context.types == dict.fromkeys(range(len(works)), "application/json")
    return found


def test_each_request_of_a_batch_has_its_own_answer(worker):
    first, second = answers(
        worker,
        Work([photo("red")], 1, 60, False),
        Work([photo("blue"), photo("green")], 2, 60, False),
    )
    (prediction,) = unpacked_answer(first).predictions
    assert (prediction["label"], len(prediction["top"])) == ("red", 1)
    done = unpacked_answer(second)
    assert [prediction["label"] for prediction in done.predictions] == ["blue", "green"]
    assert done.stages["engine"] > 0
    assert done.seconds >= done.stages["decode"]


def test_a_worker_says_which_parts_decide(worker):
    right, wrong = answers(
        worker,
        Work([photo("red")], 1, 60, False, saliency=True),
        Work([b"x"], 1, 60, False, saliency=True),
    )
    found = unpacked_answer(right).saliency
    assert found is not None
    assert (found["label"], found["asked"]) == ("red", PICTURES)
    with pytest.raises(PhotoError):
        unpacked_answer(wrong)


def test_a_bad_request_leaves_its_neighbours_alone(worker):
    bad, good = answers(worker, Work([b"x"], 1, 60, False), Work([photo("red")], 1, 60, False))
    with pytest.raises(PhotoError):
        unpacked_answer(bad)
    assert unpacked_answer(good).predictions[0]["label"] == "red"


def test_records_that_cannot_be_answered_leave_the_others_alone(worker):
    (answer,) = answers(worker, Work([photo("red"), b"x"], 1, 60, True))
    red, broken = unpacked_answer(answer).predictions
    assert red["label"] == "red"
    assert broken["error"].startswith("instance 1: the photo cannot be used")


@pytest.mark.parametrize("error", [MemoryError("no room"), ArtifactError("no graph")])
def test_a_model_that_does_not_open_leaves_its_reason(tmp_path, monkeypatch, error):
    own = tmp_path / "own"
    # The model lies nowhere.
    hand_over(own, Path("/none"))
    exits: list[int] = []

    def failing(*arguments: object, **options: object) -> None:
        raise error

    monkeypatch.setattr(transformer, "give_memory_back", lambda: None)
    monkeypatch.setattr(ServingSettings, "read", classmethod(lambda cls: cls()))
    monkeypatch.setattr(transformer, "Predictor", failing)
    # A worker ends at once.
    monkeypatch.setattr(os, "_exit", exits.append)
    opening: Any = SimpleNamespace()
    Transformer.validate_and_initialize(opening, str(own), opening)
    assert exits == [1]
    found = failure_in(own)
    assert (type(found), str(found)) == (type(error), str(error))
