"""The one error of recipes. Programs catch it, or derive their own from it."""


class RecipeError(ValueError):
    """A recipe, or a value of it, that cannot be: one sentence for the user to act on."""
