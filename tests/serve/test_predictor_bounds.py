"""A predictor's limits on photos, labels, memory and time, without an engine."""

import pytest

from artifact.model import Description
from artifact.photos.preprocessing import Preprocessing
from serve import predictor
from serve.hooks import NO_HOOKS
from serve.predictor import Predictor, SharedLimits
from serve.request_state import Overloaded, RequestState, TooManyPhotos


@pytest.mark.parametrize(
    "bytes_, expected", [(10**12, 40_000_000), (1_600_000_000, 40_000_000), (8 * 10**8, 20_000_000)]
)
def test_a_photo_may_take_a_share_of_the_memory(monkeypatch, bytes_, expected):
    monkeypatch.setattr(predictor, "memory_limit", lambda: bytes_)
    shared = SharedLimits(3)
    assert shared.max_pixels == expected
    assert shared.count == 3


def unopened(classes: int, multi_label: bool = False) -> Predictor:
    """A predictor without an engine."""
    made = object.__new__(Predictor)
    names = tuple(f"c{number}" for number in range(classes))
    made.hooks = NO_HOOKS
    made.description = Description(names, Preprocessing(4, 4), "none", multi_label=multi_label)
    return made


@pytest.mark.parametrize(
    "photos, top_k, refused",
    [
        (50_000, 1, None),
        (50_001, 1, "50001 photos with 1 labels each are too large an answer; "),
        (16_666, 5, None),
        (16_667, 5, "ask for a smaller top_k, or send at most 16666 photos"),
    ],
)
def test_an_answer_holds_fifty_thousand_labels(photos, top_k, refused):
    if refused is None:
        unopened(3)._check_size(photos, top_k)
        return
    with pytest.raises(TooManyPhotos, match=refused):
        unopened(3)._check_size(photos, top_k)


def test_labels_are_named_best_first():
    import numpy as np

    answer = unopened(4, True)._named(np.array([0.5, 0.6, 0.6, 0.51], np.float32), 3)
    assert answer["label"] == "c1"
    assert answer["probability"] == pytest.approx(0.6)
    assert [top["label"] for top in answer["top"]] == ["c1", "c2", "c3"]
    assert answer["labels"] == ["c1", "c2", "c3"]  # above one half
    assert "labels" not in unopened(2)._named(np.array([0.5, 0.5], np.float32), 1)
    with pytest.raises(RuntimeError, match="the model's probabilities are not all numbers"):
        unopened(2)._named(np.array([np.nan, 0.5], np.float32), 1)


@pytest.mark.parametrize("seconds, retry", [(0, 1), (1.4, 1), (1.6, 2), (20, 20)])
def test_an_overload_says_when_to_ask_again(seconds, retry):
    assert Overloaded(seconds).retry_after_s == retry
    assert str(Overloaded(seconds)) == f"the server is busy; ask again in {retry} s"


def test_a_states_times():
    state = RequestState.lasting(100)
    assert 99 < state.left_s() <= 100
    state.check()
    state.add("read", 1)
    state.add("read", 2)
    assert state.stages == {"read": 3}
    late = RequestState.lasting(-1)
    assert late.left_s() == 0
    with pytest.raises(Overloaded) as caught:
        late.check()
    assert caught.value.retry_after_s == 1
