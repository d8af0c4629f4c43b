"""Every format of photos goes through prepare, train's listing, the endpoint and the page alike."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from artifact.folders.photo_tree import PassedBy
from artifact.photos.decoder import read_photo
from artifact.photos.kinds import KINDS
from prepare.convert import Photo, convert
from serve.app import create_app
from serve.page import add_page, sample_files
from serve.predictor import Predictor
from tests.support.servers import photo
from train.data.photo_index import index_photos
from train.progress import Progress

# Names that phones, browsers and cameras give beside the usual ones.
NAMES = ["IMG_0001", *(f"photo{suffix.upper()}" for kind in KINDS for suffix in kind.suffixes)]


@pytest.fixture(scope="module")
def client(colours) -> Iterator[FlaskClient]:
    predictor = Predictor(colours.model)
    app = create_app(predictor)
    add_page(app, predictor, None, 0.5)
    yield app.test_client()
    predictor.close()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_format_is_taken_everywhere(kind, client, tmp_path):
    data = photo("red", kind.name, size=(64, 48))
    for media_type in (*kind.media_types, "application/octet-stream"):
        answer = client.post("/invocations", data=data, content_type=media_type)
        assert answer.status_code == 200, answer.data
        assert answer.json["predictions"][0]["label"] == "red"
        answer = client.post("/classify", data=data, content_type=media_type)
        assert (answer.status_code, answer.json["label"]) == (200, "red")
    source = tmp_path / "photo"
    source.write_bytes(data)
    made = convert(source, tmp_path / "made.jpg")
    assert isinstance(made, Photo)
    assert (made.width, made.height) == (64, 48)
    assert read_photo(tmp_path / "made.jpg").size == (64, 48)


def test_photos_of_all_names_are_listed_and_others_are_not(tmp_path):
    folder = tmp_path / "train" / "red"
    folder.mkdir(parents=True)
    for name in NAMES:
        (folder / name).write_bytes(photo())
    for name in ("README", "Makefile.txt", "IMG_0002.MOV", ".hidden.jpg", "IMG_0003.aae"):
        (folder / name).write_bytes(b"words")
    index = index_photos(Path(folder.parent), Progress("listing"), PassedBy())
    listed = {index.name(row).decode().removeprefix("red/") for row in range(len(index))}
    assert listed == set(NAMES)
    assert {file.name for file in sample_files(folder.parent)} == set(NAMES)
