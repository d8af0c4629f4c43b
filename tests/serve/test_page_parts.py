"""The page's samples, failures and health, without a server."""

import random
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from artifact.photos.decoder import decode
from artifact.photos.kinds import PhotoError
from serve import page
from serve.batching import EngineDead
from serve.page import sample_files
from serve.request_state import Overloaded, TooManyPhotos
from web.exchange import Failure
from web.model import MAX_SAMPLE_BYTES, bare_sample


def test_sample_photos_are_small_and_lie_in_a_folder_of_their_label(tmp_path):
    kept = {"a/1.JPG", "a/2.png", "b/3.tiff"}
    # Hidden, no photo, at the top, or too deep.
    for name in (*kept, "a/.4.jpg", ".c/5.jpg", "a/6.txt", "7.jpg", "a/d/8.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "a" / "folder.jpg").mkdir()
    (tmp_path / "a" / "1.JPG").write_bytes(bytes(MAX_SAMPLE_BYTES))
    # A byte too large.
    (tmp_path / "a" / "9.jpg").write_bytes(bytes(MAX_SAMPLE_BYTES + 1))
    assert {str(file.relative_to(tmp_path)) for file in sample_files(tmp_path)} == kept
    assert MAX_SAMPLE_BYTES == 4 * 1024 * 1024
    assert sample_files(None) == []


def test_a_sample_has_its_folders_name(tmp_path, monkeypatch):
    (tmp_path / "label").mkdir()
    file = tmp_path / "label" / "1.jpg"
    file.write_bytes(b"\xff\xd8\xff")
    # The last one, so that the test knows which.
    monkeypatch.setattr(random, "choice", lambda photos: photos[-1])
    sample = page._random_sample([file])
    assert (sample.label, sample.name, sample.photo) == ("label", "1.jpg", b"\xff\xd8\xff")
    with pytest.raises(Failure, match="set SLIPWAY_SAMPLES to a folder of photos") as caught:
        page._random_sample([])
    assert caught.value.status == 404


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_a_sample_does_not_say_where_it_was_taken(tmp_path, kind):
    exif = Image.Exif()
    exif[0x010F] = "the owner's camera"
    file = tmp_path / f"1.{kind.lower()}"
    Image.new("RGB", (9, 9), "red").save(file, kind, exif=exif)
    assert b"the owner" in file.read_bytes()
    photo = page._random_sample([file])
    model: Any = SimpleNamespace(sample=lambda: photo)
    served = bare_sample(model)
    assert b"the owner" not in served.photo
    assert decode(served.photo).size == (9, 9)


@pytest.mark.parametrize(
    "error, status, retry",
    [
        (PhotoError("it is empty"), 422, None),
        (Overloaded(4), 503, 4),
        (EngineDead("gone"), 503, 10),
        (TooManyPhotos("fewer"), 413, None),
    ],
)
def test_errors_become_failures_of_the_page(monkeypatch, error, status, retry):
    def predict(*arguments: object) -> None:
        raise error

    # Outside of a request Flask has none.
    monkeypatch.setattr(page, "request", SimpleNamespace(environ={}))
    fake: Any = SimpleNamespace(predict=predict)
    with pytest.raises(Failure) as caught:
        page._classified(fake, b"photo", 3)
    assert caught.value.status == status
    assert caught.value.retry_after_s == retry


@pytest.mark.parametrize("fault", [None, "it hangs"])
def test_the_pages_health_is_the_engines(fault):
    fake: Any = SimpleNamespace(batcher=SimpleNamespace(fault=lambda: fault))
    if fault is None:
        page._check_health(fake)
        return
    with pytest.raises(Failure, match="the model does not answer: it hangs") as caught:
        page._check_health(fake)
    assert caught.value.status == 503
    assert caught.value.retry_after_s == 10
