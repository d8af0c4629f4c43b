"""Ranges that search nothing, or one value twice."""

import pytest

from recipes.errors import RecipeError
from recipes.ranges import read_range


@pytest.mark.parametrize("kind", ["Continuous", "Integer"])
def test_a_range_of_one_value_is_a_static_hyperparameter(kind):
    with pytest.raises(RecipeError, match="range of lr has the one value 3; make it static"):
        read_range("lr", {"type": kind, "min": 3, "max": 3})


@pytest.mark.parametrize("values", [["1", "1.0"], [0.001, "1e-3"], ["a", "a"], [16, "16"]])
def test_a_value_stands_in_a_range_once_however_it_is_written(values):
    with pytest.raises(RecipeError, match="a value stands there twice"):
        read_range("lr", {"values": values})
    assert read_range("lr", {"values": ["1", "2", "one"]})
