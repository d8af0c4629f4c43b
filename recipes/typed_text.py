"""A hyperparameter's text, as SageMaker hands it to a training, as a value of its type."""

import json

from artifact.json_text import read_json
from recipes.errors import RecipeError
from recipes.values import flag_of, number, quoted, whole


def unquoted(text: object) -> str:
    """The plain text of a value that the SageMaker SDK may have encoded as JSON."""
    if not isinstance(text, str):
        return json.dumps(text)
    try:
        decoded = read_json(text)
    except ValueError:
        return text.strip()
    if isinstance(decoded, str):
        return decoded.strip()
    return text.strip()


def typed(text: str, default: object, name: str) -> object:
    """A text as the type of the setting's default. RecipeError where it is not of that type."""
    what = f"hyperparameter {name}"
    if isinstance(default, bool):
        return flag_of(text, what)
    if isinstance(default, int):
        return whole(text, what)  # tuning jobs may send 32.0
    if isinstance(default, float):
        return _number(text, text, f"{what} must be a number")
    if not isinstance(default, tuple):
        return text
    # As `10,20`, or as JSON's [10, 20] from the SDK
    parts = [part for part in text.strip("[]() ").split(",") if part.strip()]
    expected = f"{what} must be numbers with commas between"
    numbers = [_number(part, text, expected) for part in parts]
    if name == "split":
        return tuple(numbers)
    if any(value != int(value) for value in numbers):
        raise RecipeError(f"{expected}; found {quoted(text)}")
    return tuple(int(value) for value in numbers)


def _number(part: str, text: str, expected: str) -> float:
    found = number(part)
    if found is None:
        raise RecipeError(f"{expected}; found '{text}'")
    return found
