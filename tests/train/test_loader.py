"""The loader gives a step the right views of the right photos, in any batch."""

import numpy as np
import pytest
import torch

from artifact.networks.network import Normalize
from artifact.photos.decoder import read_photo
from artifact.photos.preprocessing import Preprocessing
from tests.support.jobs import draw_channel, make_job, run_main
from train.data.channels import read_channels
from train.data.loader import PixelLoader
from train.data.photos import PhotoArrays, in_order
from train.device import pick_precision
from train.job import JobError

pytestmark = pytest.mark.training

PREPROCESSING = Preprocessing(72, 64)
CPU = torch.device("cpu")


def loader(folder, augmentation: str = "none", **settings) -> PixelLoader:
    paths = read_channels({"train": draw_channel(folder, 4)}, (1.0, 0.0, 0.0), 0).train.paths
    sized = (PREPROCESSING.pixels, 64) if augmentation == "none" else (PREPROCESSING.stretched, 72)
    return PixelLoader(
        PhotoArrays(paths, *sized), Normalize(PREPROCESSING), CPU, 64, augmentation, **settings
    )


def rows(photos: PixelLoader, epoch: int, order: list) -> dict[int, torch.Tensor]:
    return {
        # The batch says which photos it holds.
        int(index): row
        for indices, (samples,) in photos.batches(epoch, order)
        for index, row in zip(indices, samples, strict=True)
    }


def test_photos_without_augmentation_are_what_the_server_sees(tmp_path):
    photos = loader(tmp_path)
    normalize = Normalize(PREPROCESSING)
    for index, row in rows(photos, 1, in_order(12, 5)).items():
        pixels = PREPROCESSING.pixels(read_photo(photos.photos.paths[index]))
        torch.testing.assert_close(
            row, normalize(torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float())[0]
        )


def test_a_photos_view_follows_from_seed_epoch_and_photo_alone(tmp_path):
    photos = loader(tmp_path, "strong")
    alone = rows(photos, 2, [[index] for index in range(12)])
    # In one batch, and in the opposite order.
    together = rows(photos, 2, [np.arange(12)[::-1].copy()])
    for index in range(12):
        torch.testing.assert_close(alone[index], together[index], rtol=1e-4, atol=1e-4)
    other = rows(photos, 3, in_order(12, 12))
    assert all(not torch.allclose(alone[index], other[index]) for index in range(12))


@pytest.mark.parametrize("augmentation", ["none", "crop"])
def test_the_resolution_rises_to_the_full_size(tmp_path, augmentation):
    photos = loader(tmp_path, augmentation, first_side=32, rising=4)
    sides = [
        next(iter(photos.batches(epoch, [np.arange(3)])))[1][0].shape[-1]
        for epoch in (1, 2, 3, 4, 5, 9, 0)
    ]
    assert sides == [32, 32, 64, 64, 64, 64, 64]


def test_samples_lie_channels_last_which_convolutions_are_quickest_on(tmp_path):
    ((_, (samples,)),) = loader(tmp_path, "crop").batches(1, [np.arange(4)])
    assert samples.is_contiguous(memory_format=torch.channels_last)
    assert samples.dtype == torch.float32


def test_a_training_whose_resolution_rises_ends_with_a_proven_artifact(tmp_path, capsys):
    job = make_job(
        tmp_path,
        {"train": 8, "validation": 4},
        first_resolution=0.5,
        image_size=64,
        resize=72,
        epochs=3,
        augmentation="crop",
    )
    code, out = run_main(job, capsys)
    assert code == 0
    assert "validation: photos=12" in out


def test_precision(monkeypatch):
    assert pick_precision("float32", CPU) is torch.float32
    assert pick_precision("bfloat16", CPU) is torch.bfloat16
    # Without bfloat16 the processor would only emulate it.
    monkeypatch.setattr("train.device.processor_flags", lambda: frozenset({"avx2"}))
    assert pick_precision("auto", CPU) is torch.float32
    monkeypatch.setattr("train.device.processor_flags", lambda: frozenset({"avx2", "avx512_bf16"}))
    assert pick_precision("auto", CPU) is torch.bfloat16
    with pytest.raises(JobError, match="needs a GPU"):
        pick_precision("float16", CPU)
