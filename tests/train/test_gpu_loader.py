"""The loader's way on a GPU, as far as a processor goes: its streams, and photos that stay there.

The stand-in's streams and events take what the real ones take; the memory is the processor's.
"""

import numpy as np
import pytest
import torch

from artifact.networks.network import Normalize
from artifact.photos.preprocessing import Preprocessing
from tests.support.fake_cuda import FakeCuda
from tests.support.jobs import draw_channel
from train.data import loader as loading
from train.data.channels import read_channels
from train.data.loader import PixelLoader
from train.data.photos import PhotoArrays, in_order

PREPROCESSING = Preprocessing(36, 32)
CPU = torch.device("cpu")
PHOTOS = 6
SIZE = 32 * 32 * 3  # of a decoded photo, bytes


@pytest.fixture
def cuda(monkeypatch) -> FakeCuda:
    fake = FakeCuda(memory=100 * PHOTOS * SIZE)
    for name in ("Stream", "stream", "current_stream", "mem_get_info"):
        monkeypatch.setattr(torch.cuda, name, getattr(fake, name))
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: tensor)
    monkeypatch.setattr(torch.Tensor, "record_stream", lambda tensor, stream: None)
    return fake


def decoded(folder, photos: int = PHOTOS // 3) -> PhotoArrays:
    paths = read_channels({"train": draw_channel(folder, photos)}, (1.0, 0.0, 0.0), 0).train.paths
    return PhotoArrays(paths, PREPROCESSING.pixels, 32, limits=None)


def on_gpu(photos: PhotoArrays) -> PixelLoader:
    """A loader whose GPU is the processor."""
    made = PixelLoader(photos, Normalize(PREPROCESSING), CPU, 32)
    made._resident = loading._ResidentPhotos(photos, CPU)
    return made


def rows(made: PixelLoader, order: list) -> dict[int, torch.Tensor]:
    batches = loading._ahead(made._made(1, order), CPU)
    return {
        int(index): row
        for indices, (samples,) in batches
        for index, row in zip(indices, samples, strict=True)
    }


def test_photos_that_fit_are_brought_once_and_are_the_same(tmp_path, cuda, monkeypatch):
    photos = decoded(tmp_path)
    plain = PixelLoader(photos, Normalize(PREPROCESSING), CPU, 32)
    expected = {
        int(index): row
        for indices, (samples,) in plain.batches(1, in_order(PHOTOS, 4))
        for index, row in zip(indices, samples, strict=True)
    }
    made = on_gpu(photos)
    first = rows(made, in_order(PHOTOS, 4))
    monkeypatch.setattr(photos, "batches", lambda order: pytest.fail("decoded again"))
    second = rows(made, [np.arange(PHOTOS)[::-1].copy()])
    for index, row in expected.items():
        torch.testing.assert_close(first[index], row)
        torch.testing.assert_close(second[index], row)
    assert cuda.streams == 2  # one for each epoch's thread


def test_photos_that_do_not_fit_are_brought_each_time(tmp_path, cuda):
    cuda.memory = PHOTOS * SIZE  # all of it, and the network wants some
    made = on_gpu(decoded(tmp_path))
    assert made._resident is not None
    assert made._resident.kept is None
    for _ in range(2):
        assert len(rows(made, in_order(PHOTOS, 4))) == PHOTOS


def test_an_error_while_photos_are_brought_ends_the_epoch(tmp_path, cuda):
    photos = decoded(tmp_path)
    made = on_gpu(photos)
    photos.paths[3].write_bytes(b"no photo")
    with pytest.raises(Exception, match="no photo|cannot be read|not a photo"):
        rows(made, in_order(PHOTOS, 2))
