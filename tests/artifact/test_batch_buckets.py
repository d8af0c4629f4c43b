"""Batch buckets on CUDA graphs: on a GPU if there is one, else with a stand-in for torch.cuda."""

import threading
from typing import Any

import numpy as np
import pytest
import torch

from artifact.engines.batch_buckets import (
    BatchBuckets,
    CpuBackend,
    CudaBackend,
    Eager,
    Graph,
    NoRecording,
    bucket_sizes,
)
from artifact.engines.choice import open_engine
from artifact.engines.torch_engine import TorchEngine
from tests.artifact.test_artifact import small_artifact
from tests.support.fake_cuda import SUMS, FakeCuda, sums

SHAPE = (2, 2, 3)
needs_gpu = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="no CUDA device here: nothing real is recorded"
)


class Here(CudaBackend):
    """The GPU's backend with its tensors on the CPU."""

    pinned = False

    def __init__(self, cuda: FakeCuda):
        super().__init__(torch.device("cpu"), cuda)


def photos_of(count: int) -> np.ndarray:
    return np.random.default_rng(count).integers(0, 256, (count, *SHAPE), dtype=np.uint8)


def check(buckets: BatchBuckets) -> None:
    for count in range(1, buckets.sizes[-1] + 1):
        photos = photos_of(count)
        expected = np.stack([photos.sum(axis=(1, 2, 3)), photos[:, 0].sum(axis=(1, 2))], axis=1)
        answers = buckets.run(photos)
        assert answers.dtype == np.float32
        assert answers.shape == (count, SUMS)
        np.testing.assert_array_equal(answers, expected)


@pytest.mark.parametrize(
    "max_batch, sizes",
    [
        (1, (1,)),
        (2, (1, 2)),
        (5, (1, 2, 4, 5)),
        (48, (1, 2, 4, 8, 16, 32, 48)),
        (64, (1, 2, 4, 8, 16, 32, 64)),
        (128, (1, 2, 4, 8, 16, 32, 64, 128)),
    ],
)
def test_the_sizes_double(max_batch, sizes):
    assert bucket_sizes(max_batch) == sizes


def test_a_batch_runs_in_the_smallest_bucket_that_holds_it():
    seen = []

    def model(pixels):
        seen.append(pixels.clone())
        return sums(pixels)

    buckets = BatchBuckets(model, SHAPE, bucket_sizes(8), CpuBackend())
    buckets.run(photos_of(8))
    for count, size in [(1, 1), (2, 2), (3, 4), (5, 8), (8, 8)]:
        buckets.run(photos_of(count))
        assert len(seen[-1]) == size
        assert not seen[-1][count:].any()  # no pixel of an earlier photo
    check(buckets)


def test_an_answer_stays_when_the_next_comes():
    buckets = BatchBuckets(sums, SHAPE, (1, 2), CpuBackend())
    first = buckets.run(photos_of(1))
    kept = first.copy()
    buckets.run(photos_of(2))
    np.testing.assert_array_equal(first, kept)


def test_graphs_are_replayed_and_the_model_is_not_called_again():
    cuda = FakeCuda()
    buckets = BatchBuckets(cuda.model, SHAPE, bucket_sizes(8), Here(cuda))
    called, replayed = cuda.calls, cuda.replays
    check(buckets)
    assert cuda.calls == called
    assert cuda.replays == replayed + 8
    assert cuda.graphs_alive == 4
    buckets.close()
    assert cuda.graphs_alive == 0
    assert cuda.emptied == 1


@pytest.mark.parametrize("hides_cause", [False, True])
def test_the_buckets_end_where_memory_ends(hides_cause, caplog):
    cuda = FakeCuda(memory=5, hides_cause=hides_cause)
    buckets = BatchBuckets(cuda.model, SHAPE, bucket_sizes(32), Here(cuda))
    assert buckets.sizes == (1, 2, 4)
    assert cuda.emptied == 3
    assert [record.getMessage() for record in caplog.records] == [
        f"batches of {size} do not fit into the GPU's free memory" for size in (32, 16, 8)
    ]
    check(buckets)


def test_no_memory_for_one_photo_is_an_error():
    cuda = FakeCuda(memory=0)
    with pytest.raises(torch.OutOfMemoryError):
        BatchBuckets(cuda.model, SHAPE, (1, 2), Here(cuda))


@pytest.mark.slow
def test_closed_or_failed_buckets_leave_their_stream_to_the_next():
    cuda = FakeCuda(memory=2)
    for _ in range(3):
        BatchBuckets(cuda.model, SHAPE, (1, 2), Here(cuda)).close()
        with pytest.raises(torch.OutOfMemoryError):
            BatchBuckets(cuda.model, SHAPE, (4, 8), Here(cuda))
    both = [BatchBuckets(cuda.model, SHAPE, (1, 2), Here(cuda)) for _ in range(2)]
    backends: list[Any] = [buckets._backend for buckets in both]
    streams = [backend._stream for backend in backends]
    assert cuda.streams == 2
    assert streams[0] is not streams[1]


def test_memory_that_ends_within_a_recording_is_reported_as_such():
    cuda = FakeCuda(hides_cause=True)

    def model(pixels):
        if cuda.recording:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return cuda.model(pixels)

    stream = cuda.Stream(None)
    with cuda.stream(stream), pytest.raises(torch.OutOfMemoryError):
        Graph(model, torch.zeros((1, *SHAPE), dtype=torch.uint8), stream, (0, 1), cuda)


def test_a_model_that_cannot_be_recorded_is_called(caplog):
    cuda = FakeCuda()
    stream = cuda.Stream(None)
    with (
        cuda.stream(stream),
        pytest.raises(
            NoRecording, match="^CUDA error: operation not permitted when stream is capturing$"
        ),
    ):
        Graph(cuda.waiting_model, torch.zeros((1, *SHAPE), dtype=torch.uint8), stream, (0, 1), cuda)
    buckets = BatchBuckets(cuda.waiting_model, SHAPE, bucket_sizes(4), Here(cuda))
    check(buckets)
    assert cuda.replays == 0
    assert buckets.sizes == (1, 2, 4)
    assert {type(bucket) for bucket in buckets._buckets.values()} == {Eager}
    assert len(caplog.records) == 1
    assert "without CUDA graphs" in caplog.text


# --- on a GPU ---


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """(directory, description, 70 photos) of a small network."""
    directory = tmp_path_factory.mktemp("small")
    _, description, _ = small_artifact(directory, architecture="resnet18")
    return (
        directory,
        description,
        np.random.default_rng(1).integers(0, 256, (70, 32, 32, 3), dtype=np.uint8),
    )


@needs_gpu
@pytest.mark.parametrize("precision, tolerance", [("f32", 1e-4), ("f16", 0.02), ("auto", 0.02)])
def test_the_gpu_answers_as_the_cpu_does(small, precision, tolerance):
    directory, description, photos = small
    expected = open_engine(directory, description).run(photos)
    engine = TorchEngine(directory, description, precision)
    assert engine.max_batch == 64
    assert engine._buckets is not None
    assert {type(bucket) for bucket in engine._buckets._buckets.values()} == {Graph}
    for count in (1, 2, 3, 5, 17, 33, 64, 70):
        np.testing.assert_allclose(engine.run(photos[:count]), expected[:count], atol=tolerance)
    engine.close()


@needs_gpu
def test_replayed_graphs_answer_as_plain_calls_do(small, monkeypatch):
    directory, description, photos = small
    recorded = TorchEngine(directory, description, "f16", max_batch=16)
    monkeypatch.setattr(CudaBackend, "bucket", lambda self, model, pixels: Eager(model, pixels))
    called = TorchEngine(directory, description, "f16", max_batch=16)
    np.testing.assert_allclose(recorded.run(photos), called.run(photos), atol=2e-3)
    recorded.close()
    called.close()


@needs_gpu
def test_memory_on_the_gpu_does_not_grow_and_comes_back(small):
    directory, description, photos = small
    TorchEngine(directory, description, max_batch=8).close()  # what CUDA keeps for good
    before = torch.cuda.memory_reserved()
    engine = TorchEngine(directory, description, max_batch=8)
    engine.run(photos)
    held = torch.cuda.memory_reserved()
    for number in range(1000):
        engine.run(photos[: 1 + number % 8])
    assert torch.cuda.memory_reserved() == held > before
    engine.close()
    assert torch.cuda.memory_reserved() <= before


@needs_gpu
def test_a_model_is_opened_while_another_answers(small):
    directory, description, photos = small
    engine = TorchEngine(directory, description, max_batch=8)
    expected, differences, stop = engine.run(photos), [], threading.Event()

    def ask() -> None:
        while not stop.is_set():
            differences.append(np.abs(engine.run(photos) - expected).max())

    asking = threading.Thread(target=ask)
    asking.start()
    others = [TorchEngine(directory, description, max_batch=8) for _ in range(3)]
    stop.set()
    asking.join()
    assert len(differences) > 0
    assert max(differences) < 2e-3
    np.testing.assert_allclose(others[0].run(photos), expected, atol=2e-3)
    for opened in (engine, *others):
        opened.close()
