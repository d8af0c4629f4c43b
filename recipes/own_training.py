"""Whether our own training image takes a recipe's hyperparameters. Other images have their own."""

import dataclasses
from collections.abc import Iterable

from artifact.folders.channels import CHANNEL_NAMES, MODEL_CHANNEL
from recipes.errors import RecipeError
from recipes.hyperparameters import Hyperparameters, given, parse
from recipes.networks import check_trainable
from recipes.published import check_published
from recipes.ranges import Categorical, Range
from recipes.recipe import Recipe
from recipes.solved_head import check_solvable
from recipes.tuning import Tuning


def check_hyperparameters(recipe: Recipe, channels: Iterable[str] = CHANNEL_NAMES) -> None:
    """RecipeError, which names the file, for a name or a value that our training refuses.

    channels: names of those that the training gets, which may hold first weights.
    """
    try:
        _check_values(recipe.hyperparameters, set(), tuple(channels))
    except RecipeError as error:
        raise recipe.wrong(error) from error


def check_tuning(recipe: Recipe, channels: Iterable[str] = CHANNEL_NAMES) -> None:
    """The same of every tuning job: its static hyperparameters and both ends of its ranges."""
    for tuning in recipe.tuning:
        try:
            check_tuning_job(tuning, tuple(channels))
        except RecipeError as error:
            raise recipe.wrong(error) from error


def check_tuning_job(tuning: Tuning, channels: tuple[str, ...] = tuple(CHANNEL_NAMES)) -> None:
    """RecipeError, which names the tuning job, for what our training refuses."""
    ranged = {entry.name for entry in tuning.ranges}
    try:
        _check_values(tuning.static, ranged, channels)
        for entry in tuning.ranges:
            _check_kind(entry)
            for text in _extremes(entry):
                _check_values({**tuning.static, entry.name: text}, ranged, channels)
    except RecipeError as error:
        raise RecipeError(f"tuning job {tuning.name}: {error}") from error


def _check_values(texts: dict[str, str], ranged: set[str], channels: tuple[str, ...]) -> None:
    """RecipeError for values of a training. ranged: names whose other values go with them, too."""
    found = parse(texts)
    named = given(texts)
    if "model" in ranged and "model" not in named:
        return  # the weights may be those of any of the models
    check_published(found.model, found.weights, channels)
    # an earlier artifact in this channel says what the network is
    if MODEL_CHANNEL in channels and not named & {"model", "preset"}:
        return
    check_trainable(found.model, found.trainable)
    check_solvable(found)


def _check_kind(entry: Range) -> None:
    """A hyperparameter's type decides which ranges suit it; names of the built-in are left out."""
    kinds = {field.name: type(field.default) for field in dataclasses.fields(Hyperparameters)}
    kind = kinds.get(entry.name.replace("-", "_"))
    if kind is None or isinstance(entry, Categorical):
        return
    if kind is int and entry.kind == "Continuous":
        takes = "whole numbers"
    elif kind not in (int, float):
        takes = "no ranges of numbers"
    else:
        return
    raise RecipeError(
        f"hyperparameter {entry.name} takes {takes}; a {entry.kind} range does not suit it"
    )


def _extremes(entry: Range) -> tuple[str, ...]:
    """The values of a range that can be out of a hyperparameter's bounds."""
    if isinstance(entry, Categorical):
        return entry.values
    return str(entry.low), str(entry.high)  # bounds are intervals: what lies between fits, too
