"""JPEGs that prepare copies: with their orientation, without more pictures, and verified."""

import hashlib
import io

import pytest
from PIL import Image

from artifact.photos.decoder import decode
from artifact.photos.metadata import without_metadata
from prepare.convert import Photo, convert
from tests.support.photo_folders import picture, save


@pytest.mark.parametrize("turned", [None, 0, 1, 2, 6])
@pytest.mark.parametrize(
    ("name", "kind"), [("a.jpg", "JPEG"), ("a.png", "JPEG"), ("a.mpo", "MPO"), ("big.jpg", "JPEG")]
)
def test_a_jpeg_is_copied_with_its_orientation(tmp_path, name, kind, turned):
    exif = Image.Exif()
    if turned is not None:
        exif[0x0112] = turned
    size = (1016, 840) if name == "big.jpg" else (48, 36)
    more = {"save_all": True, "append_images": [picture(2)]} if kind == "MPO" else {}
    source = save(tmp_path / name, picture(1, size=size), kind, exif=exif, **more)
    photo = convert(source, tmp_path / "out")
    assert isinstance(photo, Photo)
    written = (tmp_path / "out").read_bytes()
    assert written == without_metadata(source.read_bytes())
    assert (photo.bytes, photo.sha256) == (len(written), hashlib.sha256(written).hexdigest())
    expected = decode(source.read_bytes())
    assert decode(written).tobytes() == expected.tobytes()
    assert (photo.width, photo.height) == expected.size
    with Image.open(io.BytesIO(written)) as image:
        assert image.format == "JPEG"  # of one picture alone


def test_large_jpegs_with_the_same_pixels_are_equal_and_torn_ones_broken(tmp_path):
    found = []
    path = tmp_path / "a.jpg"
    for seed, comment in ((1, "one"), (1, "other"), (2, "one")):
        save(path, picture(seed, size=(900, 850)), comment=comment)
        photo = convert(path, tmp_path / "out")
        assert isinstance(photo, Photo)
        found.append(photo.pixels)
    assert found[0] == found[1]
    assert found[0] != found[2]
    path.write_bytes(path.read_bytes()[:-400])
    assert "truncated" in str(convert(path, tmp_path / "out"))
