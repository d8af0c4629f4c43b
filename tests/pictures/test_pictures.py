"""The pictures of README.md are there, small, and made from what the project is now."""

import pytest
from PIL import Image

from tests.pictures import sources

MOST_BYTES = 600_000
MAKE = "type: make pictures"


@pytest.mark.parametrize("picture", sources.SOURCES)
def test_a_picture_is_there_and_of_today(picture):
    path = sources.PICTURES / picture
    assert path.is_file(), f"there is no {path.name}; {MAKE}"
    with Image.open(path) as image:
        assert image.format == "PNG"
        assert image.width <= 1200
    then = sources.recorded()[picture]
    for source, digest in sources.digests()[picture].items():
        assert then.get(source) == digest, f"{picture} was made from another {source}; {MAKE}"


def test_the_pictures_are_small():
    assert sum(path.stat().st_size for path in sources.PICTURES.iterdir()) < MOST_BYTES


def test_a_source_may_be_a_part_of_a_file():
    assert sources.content("local_test/demo.py::_show").startswith("def _show(")
    assert "trainable: " in sources.content(sources.HYPERPARAMETERS)
    with pytest.raises(KeyError):
        sources.content("local_test/demo.py::_nothing")
