"""A file of hyperparameters, such as best.json of a search."""

from collections.abc import Collection, Mapping
from dataclasses import asdict
from pathlib import Path

from artifact.text.json_text import read_json
from recipes.errors import RecipeError
from recipes.hyperparameters import parse
from recipes.values import texts_of


def read_hyperparameters(path: Path) -> dict[str, str]:
    """Names and texts. RecipeError with one sentence for a file that holds none."""
    try:
        values = read_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(
            f"the hyperparameters '{path}' cannot be read: {error.strerror}"
        ) from error
    except ValueError as error:
        raise RecipeError(f"the hyperparameters '{path}' are not JSON: {error}") from error
    if not isinstance(values, dict):
        raise RecipeError(
            f"'{path}' holds a {type(values).__name__}; expected an object of names and values"
        )
    try:
        return texts_of(values)
    except RecipeError as error:
        raise RecipeError(f"'{path}': {error}") from error


def differing(
    mine: Mapping[str, object], other: Mapping[str, object], unrelated: Collection[str]
) -> list[str]:
    """The hyperparameters whose values differ, as parsed. unrelated: names that do not count.

    RecipeError for a name or a value that our training refuses.
    """
    ours = asdict(parse(mine))
    theirs = asdict(parse(other))
    return [name for name in ours if name not in unrelated and ours[name] != theirs[name]]
