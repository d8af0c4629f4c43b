"""Tags and places that AWS refuses, or reads as something else, are found in the recipe."""

import pytest

from recipes.aws_names import check_places, check_tag_text, check_tags
from recipes.errors import RecipeError


@pytest.mark.parametrize("text", ["three colours", "Möwe", "a/b=c+d-e@f.g:h_i", "", "日本 2"])
def test_what_tags_take(text):
    check_tag_text("it", text, 20)


@pytest.mark.parametrize("text", ["50% off", "a&b", "🙂", "a\tb", "x" * 21])
def test_what_tags_do_not_take(text):
    with pytest.raises(RecipeError, match="AWS's tags take"):
        check_tag_text("it", text, 20)


@pytest.mark.parametrize(
    "tags, words",
    [
        ({"AWS:x": "1"}, "is AWS's own"),
        ({"": "1"}, "is AWS's own"),
        ({"slipway:recipe": "mine"}, "is slipway's own, by which it finds"),
        ({"team": "a&b"}, "the value of 'team' has '&'"),
        ({str(number): "" for number in range(49)}, "has 49 tags; AWS takes 48"),
    ],
)
def test_tags_of_a_recipe(tags, words):
    check_tags({"team": "vision", "cost centre": "12 34"})
    with pytest.raises(RecipeError, match=words):
        check_tags(tags)


@pytest.mark.parametrize("prefix", ["", "/", "/a/", "a b/ü", "a%20b/c"])
def test_places(prefix):
    check_places("photos", prefix, {"train": "s3://b", "test": "C:/photos"})


@pytest.mark.parametrize(
    "bucket, prefix, train, words",
    [
        ("s3://b", "", "x", "it is a bucket's name alone"),
        ("b", "s3://b/x", "x", "without s3://"),
        ("b", "../x", "x", "leave them out"),
        ("b", "a//b", "x", "leave them out"),
        ("b", ".", "x", "leave them out"),
        ("b", "", "s3:///x", "which names no bucket"),
        ("b", "", "S3://b/x", "a folder or an s3:// prefix"),
        ("b", "", "https://b/x", "a folder or an s3:// prefix"),
    ],
)
def test_places_that_are_none(bucket, prefix, train, words):
    with pytest.raises(RecipeError, match=words):
        check_places(bucket, prefix, {"train": train})
