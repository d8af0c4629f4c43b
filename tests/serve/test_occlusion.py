"""Which parts of a photo decide: squares over it, the fall of the probability, its heat."""

import io

import numpy as np
import pytest
from PIL import Image

from artifact.photos.kinds import PhotoError
from serve.occlusion import CELLS, STEPS, covered, heat, occluded, places
from serve.predictor import Predictor
from tests.support.jobs import COLOURS


def test_the_squares_reach_the_whole_picture_and_each_covers_its_own_part():
    squares = places(32)
    assert len(squares) == STEPS**2
    seen = np.zeros((32, 32), int)
    for rows, columns in squares:
        seen[rows, columns] += 1
    assert seen.min() > 0
    pixels = np.full((32, 32, 3), 200, np.uint8)
    pixels[:16] = 100
    whole, first, *_ = covered(pixels, squares)
    assert whole is pixels
    assert (first[squares[0]] == 150).all()
    assert (first[16:] == pixels[16:]).all()


def test_heat_is_where_covering_matters_and_has_one_as_its_highest():
    squares = places(56)
    falls = np.zeros(len(squares), np.float32)
    falls[0] = 0.4
    found = heat(falls, squares, 56)
    assert found.shape == (CELLS, CELLS)
    assert found.max() == found[0, 0] == 1
    assert found[7:].max() == 0
    assert heat(0 * falls, squares, 56).max() == 0


@pytest.mark.slow
def test_a_predictor_says_which_part_its_answer_comes_from(colours):
    """The colours' model looks at the mean: a red square on grey decides, the rest does not."""
    photo = Image.new("RGB", (60, 40), (90, 90, 90))
    photo.paste(COLOURS["red"], (10, 0, 24, 40))
    data = io.BytesIO()
    photo.save(data, "PNG")
    predictor = Predictor(colours.model, "f32")
    try:
        found = occluded(predictor, data.getvalue())
        assert found["label"] == "red"
        assert found["asked"] == 1 + STEPS**2
        assert found["view"] == pytest.approx(32 / 36)
        rows = np.array(found["heat"])
        assert rows[:, :4].mean() > 2 * rows[:, -4:].mean()
        assert 0 < found["fall"] <= 1
        with pytest.raises(PhotoError):
            occluded(predictor, b"no photo")
        assert predictor.batcher.waiting == 0
    finally:
        predictor.close()
