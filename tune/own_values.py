"""The recipe's own values as the first trial of a search, so that its best is at least theirs."""

from recipes.recipe import Recipe
from tune.errors import SearchError


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
