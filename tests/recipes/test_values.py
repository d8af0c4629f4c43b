"""The one rule from value to text, and the nearest known name."""

import pytest

from recipes.errors import RecipeError
from recipes.suggestion import nearest, unknown
from recipes.values import number, quoted, text_of, texts_of, whole


@pytest.mark.parametrize(
    "value, text",
    [
        (True, "true"),
        (False, "false"),
        (3, "3"),
        (0.001, "0.001"),
        (1e-06, "1e-06"),
        ("1e-3", "1e-3"),
        ("", ""),
        ([2048, 516], "2048,516"),
        ((0.7, 0.1, 0.2), "0.7,0.1,0.2"),
        ([True, "a"], "true,a"),
        ([], ""),
    ],
)
def test_a_value_has_one_text(value, text):
    assert text_of(value, "it") == text
    assert texts_of({"name": value}) == {"name": text}


@pytest.mark.parametrize("value", [None, {"a": 1}, [[1]], [None], {1}])
def test_other_values_are_refused_with_their_name(value):
    with pytest.raises(RecipeError, match="^hyperparameter lr must be a text, a number"):
        texts_of({"lr": value})


@pytest.mark.parametrize(
    "value, found",
    [
        ("1e-3", 0.001),
        (7, 7.0),
        ("nan", None),
        ("inf", None),
        (True, None),
        ([1], None),
        (None, None),
    ],
)
def test_numbers_are_finite_and_no_booleans(value, found):
    assert number(value) == found


def test_whole_numbers_have_bounds():
    assert whole("32.0", "it", low=1, high=32) == 32
    for value, words in ((0, "of at least 1; found '0'"), (1.5, "'1.5'"), (True, "'true'")):
        with pytest.raises(RecipeError, match=words):
            whole(value, "it", low=1)
    with pytest.raises(RecipeError, match="from 1 to 3; found '4'"):
        whole(4, "it", low=1, high=3)


def test_a_quoted_value_is_one_short_line():
    assert quoted("a\n b") == "'a b'"
    assert len(quoted("x" * 1000)) < 100


@pytest.mark.parametrize(
    "name, found",
    [
        ("sagemeker", "sagemaker"),
        ("batch-sise", "batch_size"),
        ("Sagemaker", "sagemaker"),
        ("colour", None),
        ("", None),
    ],
)
def test_the_nearest_name_is_found_or_none(name, found):
    assert nearest(name, ["sagemaker", "batch_size"]) == found


def test_other_names_are_suggested_and_not_listed():
    sentence = unknown("hyperparameter", "learning_rat", ["lr"], ["learning_rate"])
    assert sentence == (
        "hyperparameter 'learning_rat' is unknown (did you mean 'learning_rate'?); known: lr"
    )
