"""Presets: what is given comes first, and every value of theirs is one that a training takes."""

import dataclasses

import pytest

from recipes.errors import RecipeError
from recipes.hyperparameters import Hyperparameters, given, parse
from recipes.presets import PRESETS


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_a_preset_sets_its_values_and_nothing_else(name):
    found = dataclasses.asdict(parse({"preset": name}))
    expected = dataclasses.asdict(Hyperparameters()) | PRESETS[name] | {"preset": name}
    assert found == expected


def test_what_is_given_comes_before_the_preset():
    found = parse({"lr": "0.5", "preset": '"best"', "ema-decay": "0", "model": "resnet18"})
    assert (found.lr, found.ema_decay, found.model) == (0.5, 0.0, "resnet18")
    assert found.head_first
    assert given({"preset": "best", "lr": "0.5"}) == {"preset", "lr"}


def test_an_unknown_preset_names_the_nearest():
    with pytest.raises(RecipeError, match="did you mean 'quick'"):
        parse({"preset": "quik"})
