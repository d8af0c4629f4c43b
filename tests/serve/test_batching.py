"""The queue before an engine: order, batches, deadlines, and engines that fail."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from artifact.engines.torch_engine import TorchEngine
from artifact.model import read_description
from serve.batching import Batcher, EngineDead
from serve.request_state import ClientGone, Overloaded, RequestState, TooManyPhotos


class Sums:
    """An engine whose answer is the sum of a photo's samples. It notes the batches it ran."""

    def __init__(self, max_batch: int = 1, seconds: float = 0.0):
        self.max_batch = max_batch
        self.seconds = seconds  # of a run
        self.batches: list[int] = []
        self.closed = False
        self.broken = False
        self.gate = threading.Event()
        self.gate.set()

    def run(self, pixels):
        self.gate.wait()
        if self.broken:
            raise ZeroDivisionError
        time.sleep(self.seconds)
        if (pixels == 255).all():
            raise RuntimeError("a bad photo")
        self.batches.append(len(pixels))
        return pixels.reshape(len(pixels), -1).sum(axis=1, dtype=np.float32)[:, None]

    def close(self):
        self.closed = True


def pixels(value: int) -> np.ndarray:
    return np.full((2, 2, 3), value, np.uint8)


def state(seconds: float = 30) -> RequestState:
    return RequestState.lasting(seconds)


def test_every_caller_gets_the_answer_to_its_own_photo():
    batcher = Batcher(Sums(max_batch=8), threading.Lock())
    with ThreadPoolExecutor(16) as callers:
        answers = list(
            callers.map(
                lambda value: float(batcher.submit(pixels(value), state()).result()[0]),
                list(range(200)) * 5,
            )
        )
    assert answers == [12.0 * value for value in list(range(200)) * 5]
    batcher.close()


def test_what_waits_is_run_together_and_no_more_than_the_engine_takes():
    engine = Sums(max_batch=4, seconds=0.001)
    batcher = Batcher(engine, threading.Lock())
    for _ in range(10):  # it learns that larger batches are quick
        engine.gate.clear()
        futures = [batcher.submit(pixels(1), state()) for _ in range(12)]
        engine.gate.set()
        for future in futures:
            future.result()
    assert max(engine.batches) == 4
    assert engine.batches[-2:] == [4, 4]
    batcher.close()


def test_batches_shrink_when_a_run_takes_too_long():
    engine = Sums(max_batch=8)
    batcher = Batcher(engine, threading.Lock(), target_s=0.02)
    engine.gate.clear()
    futures = [batcher.submit(pixels(1), state()) for _ in range(60)]
    engine.gate.set()
    for future in futures:
        future.result()
    engine.seconds = 0.03
    futures = [batcher.submit(pixels(1), state()) for _ in range(30)]
    for future in futures:
        future.result()
    assert max(engine.batches) == 8
    assert engine.batches[-1] <= 2
    batcher.close()


def test_a_batch_waits_for_a_photo_that_is_being_decoded():
    engine = Sums(max_batch=2, seconds=0.2)
    batcher = Batcher(engine, threading.Lock(), max_wait_s=5, target_s=1)
    batcher.submit(pixels(1), state()).result()  # it learns how long a run takes, and may take two
    with batcher.coming():
        first = batcher.submit(pixels(2), state())
        time.sleep(0.02)
        second = batcher.submit(pixels(3), state())
    assert float(first.result()[0]) == 24
    assert float(second.result()[0]) == 36
    assert engine.batches == [1, 2]
    batcher.close()


def test_what_nobody_waits_for_is_not_run():
    engine = Sums()
    batcher = Batcher(engine, threading.Lock())
    engine.gate.clear()
    first, gone, late = state(), state(), state(0.05)
    futures = [batcher.submit(pixels(1), one) for one in (first, gone, late)]
    gone.abandoned.set()
    time.sleep(0.1)
    engine.gate.set()
    assert futures[0].result() == 12
    with pytest.raises(ClientGone):
        futures[1].result()
    with pytest.raises(Overloaded):
        futures[2].result()
    batcher.close()
    assert engine.batches == [1]


def test_a_request_that_would_outlive_its_deadline_is_not_admitted():
    engine = Sums(seconds=0.05)
    batcher = Batcher(engine, threading.Lock())
    batcher.submit(pixels(1), state()).result()
    batcher.admit(100, state(30))
    with pytest.raises(Overloaded, match=r"ask again in \d+ s") as caught:
        batcher.admit(1, state(1))
    assert caught.value.retry_after_s >= 1
    batcher.settle(100)
    batcher.admit(1, state(1))
    batcher.close()


def test_an_idle_engine_takes_any_photo_after_a_slow_run():
    engine = Sums(seconds=0.2)
    batcher = Batcher(engine, threading.Lock())
    batcher.submit(pixels(1), state()).result()
    batcher.admit(1, state(0.1))
    batcher.settle(1)
    with pytest.raises(TooManyPhotos, match="send at most 2 at once"):
        batcher.admit(1000, state(1))
    engine.seconds = 0
    for _ in range(20):
        batcher.submit(pixels(1), state()).result()
    batcher.admit(3, state(0.1))
    batcher.close()


def test_died_is_called_when_the_engine_dies():
    called = threading.Event()
    engine = Sums()
    batcher = Batcher(engine, threading.Lock(), died=called.set)
    engine.broken = True
    with pytest.raises(EngineDead):
        batcher.submit(pixels(1), state()).result()
    assert called.wait(5)
    batcher.close()


def test_a_run_that_fails_costs_its_own_callers_only():
    engine = Sums()
    batcher = Batcher(engine, threading.Lock())
    bad, good = batcher.submit(pixels(255), state()), batcher.submit(pixels(1), state())
    with pytest.raises(EngineDead, match="failed on this request"):
        bad.result()
    assert good.result() == 12
    assert batcher.fault() is None
    batcher.close()


def test_everyone_learns_of_an_engine_that_died():
    engine = Sums()
    batcher = Batcher(engine, threading.Lock())
    engine.gate.clear()
    futures = [batcher.submit(pixels(value), state()) for value in (1, 2, 3)]
    engine.broken = True
    engine.gate.set()
    for future in futures[1:]:
        with pytest.raises(EngineDead):
            future.result()
    assert "ZeroDivisionError" in (batcher.fault() or "")
    with pytest.raises(EngineDead):
        batcher.admit(1, state())
    with pytest.raises(EngineDead):
        batcher.submit(pixels(1), state())
    batcher.close()


def test_closing_answers_what_is_queued():
    engine = Sums(seconds=0.01)
    batcher = Batcher(engine, threading.Lock())
    futures = [batcher.submit(pixels(value), state()) for value in range(20)]
    batcher.close()
    assert [float(future.result()[0]) for future in futures] == [
        12.0 * value for value in range(20)
    ]
    assert engine.closed
    with pytest.raises(EngineDead, match="unloaded"):
        batcher.submit(pixels(1), state())


def test_the_torch_engine_in_batches_answers_each_caller_as_alone(trained):
    engine = TorchEngine(
        trained.model, read_description(trained.model), "f32", device="cpu", max_batch=4
    )
    photos = np.random.default_rng(0).integers(0, 256, (40, *engine.input_shape), np.uint8)
    alone = [engine.run(photo[None])[0] for photo in photos]
    batcher = Batcher(engine, threading.Lock(), target_s=10)
    with ThreadPoolExecutor(8) as callers:
        answers = list(
            callers.map(lambda photo: batcher.submit(photo, state()).result(), list(photos) * 3)
        )
    np.testing.assert_allclose(answers, alone * 3, atol=1e-5)
    batcher.close()
