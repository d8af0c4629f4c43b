"""The errors of a search, of one kind with a recipe's: the command line prints both alike."""

from recipes.errors import RecipeError


class SearchError(RecipeError):
    """Why a search cannot start or go on: one sentence for the user to act on."""


def sentence_of(error: OSError) -> str:
    """The system's own words, with the file where there is one."""
    words = str(error.strerror or error)
    if error.filename:
        words += f": '{error.filename}'"
    return words
