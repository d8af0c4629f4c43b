import io

import numpy as np
import pytest
import torchvision.transforms.v2.functional as tv
from PIL import Image

from artifact.photos.decoder import decode, read_photo
from artifact.photos.kinds import PhotoError
from artifact.photos.preprocessing import Preprocessing


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def gradient(mode: str = "RGB", size: tuple[int, int] = (40, 30)) -> Image.Image:
    rows = np.linspace(0, 255, size[1], dtype=np.uint8)[:, None, None]
    columns = np.linspace(0, 255, size[0], dtype=np.uint8)[None, :, None]
    samples = np.concatenate(
        [rows + 0 * columns, columns + 0 * rows, 128 + 0 * rows + 0 * columns], axis=2
    ).astype(np.uint8)
    return Image.fromarray(samples).convert(mode)


@pytest.mark.parametrize(
    "mode, kind",
    [
        ("RGB", "PNG"),
        ("RGB", "JPEG"),
        ("RGB", "WEBP"),
        ("RGB", "BMP"),
        ("RGB", "TIFF"),
        ("L", "PNG"),
        ("L", "JPEG"),
        ("1", "PNG"),
        ("P", "PNG"),
        ("P", "GIF"),
        ("LA", "PNG"),
        ("RGBA", "PNG"),
        ("RGBA", "WEBP"),
        ("CMYK", "JPEG"),
        ("CMYK", "TIFF"),
        ("LAB", "TIFF"),
    ],
)
def test_every_mode_becomes_rgb_of_the_same_size(mode, kind):
    photo = decode(encoded(gradient(mode), kind))
    assert photo.mode == "RGB"
    assert photo.size == (40, 30)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    expected = {
        1: lambda a: a,
        2: np.fliplr,
        3: lambda a: np.rot90(a, 2),
        4: np.flipud,
        5: lambda a: a.transpose(1, 0, 2),
        6: lambda a: np.rot90(a, -1),
        7: lambda a: np.rot90(a, 2).transpose(1, 0, 2),
        8: lambda a: np.rot90(a),
    }[orientation]
    photo = decode(encoded(gradient(), "PNG", exif=exif))
    np.testing.assert_array_equal(np.asarray(photo), expected(np.asarray(gradient())))


def test_transparent_pixels_become_white():
    image = Image.new("RGBA", (4, 4), (255, 0, 0, 0))
    image.putpixel((1, 1), (255, 0, 0, 255))
    photo = decode(encoded(image, "PNG"))
    assert photo.getpixel((0, 0)) == (255, 255, 255)
    assert photo.getpixel((1, 1)) == (255, 0, 0)


def test_a_palette_with_transparency_becomes_white_there():
    image = gradient("P")
    index = image.getpixel((0, 0))
    assert decode(encoded(image, "PNG", transparency=index)).getpixel((0, 0)) == (255, 255, 255)


@pytest.mark.parametrize("dtype, full", [(np.uint16, 65535), (np.int32, 65535), (np.float32, 1.0)])
def test_deep_greyscale_is_scaled_not_clipped(dtype, full):
    samples = (np.linspace(0, 1, 64).reshape(8, 8) * full).astype(dtype)
    photo = np.asarray(decode(encoded(Image.fromarray(samples), "TIFF")))
    assert photo[0, 0, 0] == 0
    assert photo[-1, -1, 0] == 255
    assert 120 < photo[4, 0, 0] < 136


def test_files_that_would_take_minutes_to_decode_are_refused():
    photo = encoded(Image.new("RGB", (6000, 6000)), "JPEG", progressive=True)
    last = photo.rindex(b"\xff\xda")
    repeated = photo[:-2] + photo[last:-2] * 100 + b"\xff\xd9"  # one scan again and again
    with pytest.raises(PhotoError, match="a JPEG of 1[0-9]{2} scans"):
        decode(repeated)
    assert decode(photo).size == (6000, 6000)
    segments = photo[:2] + b"\xff\xe1\0\x08Exif\0\0" * 5000 + photo[2:]
    with pytest.raises(PhotoError, match="far more segments"):
        decode(segments)
    rle = bytearray(encoded(Image.new("P", (4, 4)), "BMP"))
    rle[18:26] = (10_000_000).to_bytes(4, "little") + (4).to_bytes(4, "little")
    rle[30] = 1  # BI_RLE8
    with pytest.raises(PhotoError, match="run-length encoded BMP"):
        decode(bytes(rle))


@pytest.mark.parametrize(
    "data, words",
    [
        (b"", "empty"),
        (b"not a photo at all", "it is text, not a photo"),
        (b"\1\2\3\4 not a photo", "unknown format"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "Git LFS pointer"),
        (encoded(gradient(size=(200, 200)), "JPEG")[:900], "not a complete photo"),
        (encoded(gradient(size=(200, 200)), "PNG")[:-300], "not a complete photo"),
    ],
)
def test_what_is_no_photo_is_one_clear_sentence(data, words):
    with pytest.raises(PhotoError, match=words) as caught:
        decode(data)
    assert "\n" not in str(caught.value)


def test_too_many_pixels_are_refused_before_they_are_decoded():
    with pytest.raises(PhotoError, match="at most 1,000"):
        decode(encoded(gradient(size=(100, 100)), "PNG"), max_pixels=1000)


def test_the_file_is_named_when_it_cannot_be_read(tmp_path):
    with pytest.raises(PhotoError, match="gone.jpg"):
        read_photo(tmp_path / "gone.jpg")
    (tmp_path / "bad.jpg").write_bytes(b"x")
    with pytest.raises(PhotoError, match="bad.jpg"):
        read_photo(tmp_path / "bad.jpg")


@pytest.mark.parametrize(
    "size",
    [(500, 375), (375, 500), (224, 224), (256, 256), (20, 900), (1, 1000), (1000, 1), (1, 1)],
)
def test_pixels_are_those_of_resize_and_centre_crop(size):
    photo = gradient(size=size)
    pixels = Preprocessing().pixels(photo)
    assert pixels.shape == (224, 224, 3)
    assert pixels.dtype == np.uint8
    if max(size) / min(size) < 30:
        reference = np.asarray(tv.center_crop(tv.resize(photo, [256]), [224])).astype(int)
        difference = np.abs(pixels.astype(int) - reference)
        assert difference.mean() < 0.5
        assert difference.max() <= 3


@pytest.mark.parametrize(
    "values, words",
    [
        ({"crop": 300}, "crop"),
        ({"crop": 0}, "crop"),
        ({"interpolation": "magic"}, "magic"),
        ({"std": (0, 1, 1)}, "std"),
    ],
)
def test_a_preprocessing_that_makes_no_sense_is_refused(values, words):
    with pytest.raises(ValueError, match=words):
        Preprocessing(**values)
