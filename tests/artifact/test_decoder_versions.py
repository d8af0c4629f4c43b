"""model.json names the decoder; a model without a number is served as 0.1.0 decoded, bit by bit."""

import hashlib
import io
import json

import numpy as np
import pytest
from PIL import Image

from artifact.model import DESCRIPTION_FILE, ArtifactError, read_description
from artifact.photos import first_decoder
from artifact.photos.decoder import MAX_PIXELS, decode_reduced
from artifact.photos.preprocessing import Preprocessing
from serve.predictor import Predictor
from tests.support.colour_model import write_colour_model
from tests.support.profiles import display

SIDE = 700


def drawn(mode: str, kind: str, side: int = SIDE, **options: object) -> bytes:
    """A lossless photo whose samples are the same on every machine."""
    shape = (side, side, 4)
    rows = np.arange(shape[0] * shape[1] * 4, dtype=np.uint64).reshape(shape)
    samples = (rows * 2654435761 >> 7).astype(np.uint8) // 2 + (rows // 9000).astype(np.uint8)
    image = Image.fromarray(samples)
    image = (
        image.convert(mode)
        if mode != "I;16"
        else Image.fromarray(samples[..., 0].astype(np.uint16) * 257)
    )
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


P3 = display("Display-P3")
# By 0.1.0: SHA-256 of the pixels [224, 224, 3] of a network, its first 16 digits.
BY_0_1_0 = {
    "RGB with a profile": (lambda: drawn("RGB", "PNG", icc_profile=P3), "d39964558e758fc8"),
    "large": (lambda: drawn("RGB", "BMP", side=1200), "b6a3d0e82535b740"),
    "alpha": (lambda: drawn("RGBA", "PNG", icc_profile=P3), "83192f5a05b8bb74"),
    "16 bits": (lambda: drawn("I;16", "TIFF"), "a7c6e8336bb36e62"),
    "CMYK": (lambda: drawn("CMYK", "TIFF"), "d39964558e758fc8"),
    "clear grey": (lambda: drawn("L", "PNG", transparency=60), "450e3d7b6414356b"),
}


def digest(pixels: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(pixels).data).hexdigest()[:16]


@pytest.mark.parametrize("name", BY_0_1_0)
def test_the_first_decoder_gives_the_pixels_of_0_1_0(name):
    make, expected = BY_0_1_0[name]
    photo = first_decoder.decode(make(), MAX_PIXELS)
    assert digest(Preprocessing().pixels(photo)) == expected


@pytest.mark.slow
def test_a_model_of_0_1_0_is_served_by_its_decoder(tmp_path):
    write_colour_model(tmp_path / "new")
    values = json.loads((tmp_path / "new" / DESCRIPTION_FILE).read_text())
    assert values["decoder"] == 2
    write_colour_model(tmp_path / "old")
    del values["decoder"]
    (tmp_path / "old" / DESCRIPTION_FILE).write_text(json.dumps(values))
    assert read_description(tmp_path / "old").decoder == 1
    data = drawn("RGB", "PNG", icc_profile=display("ProPhoto"))
    sizing = read_description(tmp_path / "old").preprocessing
    pixels = {
        "old": sizing.pixels(first_decoder.decode(data, MAX_PIXELS)),
        "new": sizing.pixels(decode_reduced(data, sizing.resize)),
    }
    answers = {}
    for name in ("old", "new"):
        predictor = Predictor(tmp_path / name)
        (answers[name],) = predictor.predict([data])
        (expected,) = predictor.engine.run(pixels[name][None])
        assert answers[name]["probability"] == pytest.approx(float(expected.max()), abs=1e-6)
        predictor.close()
    assert answers["old"] != answers["new"]


def test_a_decoder_that_is_not_known_is_a_sentence(tmp_path):
    write_colour_model(tmp_path)
    path = tmp_path / DESCRIPTION_FILE
    path.write_text(json.dumps({**json.loads(path.read_text()), "decoder": 3}))
    with pytest.raises(ArtifactError, match="has decoder 3; this program knows 1 and 2"):
        read_description(tmp_path)
