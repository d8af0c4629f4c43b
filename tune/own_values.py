"""The recipe's own values as the first trial of a search, so that its best is at least theirs."""

from collections.abc import Sequence

from recipes.recipe import Recipe
from recipes.tuning import Tuning
from tune.errors import SearchError
from tune.results import Trial


def first_values(
    recipe: Recipe, tuning: Tuning, imported: Sequence[tuple[str, Trial]]
) -> dict[str, str] | None:
    """What a tuning job's first trial takes: the recipe's own values.

    None where the recipe sets none or one outside the ranges, and where a parent tried them.
    """
    given = {entry.name: recipe.hyperparameters.get(entry.name, "") for entry in tuning.ranges}
    if not all(entry.holds(given[entry.name]) for entry in tuning.ranges):
        return None
    for _, trial in imported:
        if given.items() <= trial.hyperparameters.items():
            return None
    return given


def own_values(recipe: Recipe) -> dict[str, str]:
    """The recipe's own values of what its first tuning job searches.

    SearchError where it sets none, or one outside the range.
    """
    tuning = recipe.tuning[0]
    given = {entry.name: recipe.hyperparameters.get(entry.name, "") for entry in tuning.ranges}
    for entry in tuning.ranges:
        if not entry.holds(given[entry.name]):
            raise SearchError(
                f"--own-values-first: the recipe's own {entry.name} is '{given[entry.name]}', "
                f"which tuning job {tuning.name} does not search"
            )
    return given
