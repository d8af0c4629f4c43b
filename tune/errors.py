"""The error of a search, of one kind with a recipe's: the command line prints both alike."""

from recipes.errors import RecipeError


class SearchError(RecipeError):
    """Why a search cannot start or go on: one sentence for the user to act on."""
