"""What each hyperparameter's value must be, by itself; RecipeError for another one."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from recipes.errors import RecipeError
from recipes.suggestion import hint
from recipes.values import quoted, text_of

SHARES_TOLERANCE = 1e-6  # of the sum of split's shares, for the rounding of decimals
# choices of debug_collections; losses are always saved
COLLECTIONS = ("gradients", "weights", "biases", "activations", "samples")


def check_value(entry: dataclasses.Field[Any], value: Any) -> None:
    """RecipeError for a value outside the field's choices or bounds."""
    choices = entry.metadata["choices"]
    if choices and value not in choices:
        raise RecipeError(
            f"hyperparameter {entry.name} must be one of {', '.join(choices)}; "
            f"found '{value}'{hint(value, choices)}"
        )
    low = entry.metadata["low"]
    high = entry.metadata["high"]
    too_low = low is not None and not value >= low
    too_high = high is not None and not value <= high
    if too_low or too_high:
        bounds = f"at least {low}" if high is None else f"between {low} and {high}"
        raise RecipeError(f"hyperparameter {entry.name} must be {bounds}; found {value}")


def check_split(shares: tuple[float, ...]) -> None:
    """RecipeError unless there are three shares of the photos, the first above 0."""
    three = len(shares) == 3
    if not three or min(shares) < 0 or shares[0] == 0 or abs(sum(shares) - 1) > SHARES_TOLERANCE:
        raise RecipeError(
            "hyperparameter split must be three shares that add up to 1, such as 0.7,0.1,0.2; "
            f"found {quoted(_joined(shares))}"
        )


def check_head(sizes: tuple[int, ...]) -> None:
    """RecipeError for a hidden layer of nothing."""
    if any(size < 1 for size in sizes):
        raise RecipeError(
            "hyperparameter head must be sizes of at least 1, such as 2048,516; "
            f"found {quoted(_joined(sizes))}"
        )


def collections(names: str) -> tuple[str, ...]:
    """The collections that debug_collections names. RecipeError for an unknown one."""
    found = tuple(name.strip() for name in names.split(",") if name.strip())
    for name in found:
        if name not in COLLECTIONS:
            raise RecipeError(
                f"hyperparameter debug_collections must be of {', '.join(COLLECTIONS)}; "
                f"found '{name}'{hint(name, COLLECTIONS)}"
            )
    return found


def window(steps: Sequence[int]) -> tuple[int, int] | None:
    """First and last step of profile_steps; None without steps. RecipeError for no such two."""
    if not steps:
        return None
    if len(steps) != 2 or not 0 <= steps[0] <= steps[1]:
        raise RecipeError(
            "hyperparameter profile_steps must be a first and a last step, such as 10,12; "
            f"found {quoted(_joined(tuple(steps)))}"
        )
    return steps[0], steps[1]


def _joined(values: tuple[float, ...]) -> str | None:
    return text_of(values, "a list") or None
