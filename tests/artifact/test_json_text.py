"""The one reader of JSON from outside: its levels are bounded, and no RecursionError comes out."""

import json

import pytest

from artifact.text.json_text import MAX_LEVELS, read_json

LIST = '{"a": [1, "b", null], "c": {"d": 0.5}}'


def lists(levels: int) -> str:
    return "[" * levels + "]" * levels


def objects(levels: int) -> str:
    return '{"a": ' * levels + "1" + "}" * levels


@pytest.mark.parametrize(
    "text", [LIST, LIST.encode(), "1", '"[[["', "[]", '{"a": "' + "[" * 99 + '"}']
)
def test_a_plain_document_is_read_as_json_reads_it(text):
    assert read_json(text) == json.loads(text)


@pytest.mark.parametrize("nested", [lists, objects])
def test_as_many_levels_as_are_allowed_are_read(nested):
    assert read_json(nested(MAX_LEVELS)) == json.loads(nested(MAX_LEVELS))


@pytest.mark.parametrize("nested", [lists, objects])
@pytest.mark.parametrize("levels", [MAX_LEVELS + 1, 900, 5000, 1_000_000])
def test_more_levels_are_one_sentence(nested, levels):
    for text in (nested(levels), nested(levels).encode()):
        with pytest.raises(ValueError, match="more than 64 levels of lists and objects"):
            read_json(text)


def test_levels_that_never_end_are_one_sentence():
    with pytest.raises(ValueError):
        read_json("[" * 1_000_000)


def test_many_lists_beside_each_other_are_not_deep():
    assert len(read_json("[" + ",".join(["[]"] * 1000) + "]")) == 1000


@pytest.mark.parametrize("text", ["[" + "1," * 9 + "1]", '{"a": [1, 2, 3], "b": {"c": 1, "d": 2}}'])
def test_the_number_of_values_may_be_bounded(text):
    for given in (text, text.encode()):
        assert read_json(given, 10) == json.loads(text)
        assert read_json(given) == json.loads(text)
        with pytest.raises(ValueError, match="it has more than 5 values"):
            read_json(given, 5)


@pytest.mark.parametrize("text", ["{},", "[],", "1,", '"",'])
def test_without_a_bound_of_its_own_a_document_has_a_million_values(text):
    assert len(read_json("[" + text * 400_000 + "0]")) == 400_001
    with pytest.raises(ValueError, match="it has more than 1,000,000 values"):
        read_json("[" + text * 1_000_000 + "0]")


@pytest.mark.parametrize("text", ["", "{", b"\xff\xfe\xfd", "9" * 5000, b"\x80"])
def test_what_is_not_json_is_a_value_error(text):
    with pytest.raises(ValueError):
        read_json(text)
