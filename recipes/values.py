"""Values of YAML: as the text that SageMaker takes, as a number, and as an error shows them.

A hyperparameter's text, as SageMaker hands it to a training, becomes a value of its type again.
"""

import datetime
import json
import math
from collections.abc import Mapping

from artifact.text.json_text import read_json
from recipes.errors import RecipeError

SHOWN_LENGTH = 80  # characters of a value in an error


def text_of(value: object, where: str) -> str:
    """The value as SageMaker's API takes it: every value there is a text.

    Booleans are `true` and `false`, parts of a list are joined by commas. `where` names the value
    in the RecipeError for a mapping, a nested list, a date, or nothing.
    """
    if isinstance(value, list | tuple):
        return ",".join(_text_of_one(part, where) for part in value)
    return _text_of_one(value, where)


def texts_of(values: Mapping[str, object]) -> dict[str, str]:
    """All hyperparameters of a training job as texts. RecipeError as text_of."""
    return {name: text_of(value, f"hyperparameter {name}") for name, value in values.items()}


def _text_of_one(value: object, where: str) -> str:
    if isinstance(value, bool):  # before int: in Python True is one
        return str(value).lower()
    if isinstance(value, str | int | float):
        return str(value)
    raise RecipeError(
        f"{where} must be a text, a number, true or false, or a list of these; "
        f"found {quoted(value)}{in_quotes(value)}"
    )


def number(value: object) -> float | None:
    """A finite number, else None. YAML reads 1e-3 as a text, so texts of numbers count."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    if not math.isfinite(found):  # YAML has .nan and .inf
        return None
    return found


def whole(value: object, where: str, low: int | None = None, high: int | None = None) -> int:
    """A whole number between low and high, both included. RecipeError for anything else."""
    found = number(value)
    too_low = found is not None and low is not None and found < low
    too_high = found is not None and high is not None and found > high
    if found is None or found != int(found) or too_low or too_high:
        bounds = ""
        if high is not None:
            bounds = f" from {low} to {high}"
        elif low is not None:
            bounds = f" of at least {low}"
        raise RecipeError(f"{where} must be a whole number{bounds}; found {quoted(value)}")
    return int(found)


def flag_of(text: str, where: str) -> bool:
    """True or false from a text, as scripts and SageMaker's API write them. RecipeError else."""
    word = text.lower()
    if word in ("true", "1", "yes"):
        return True
    if word in ("false", "0", "no"):
        return False
    raise RecipeError(f"{where} must be true or false; found {quoted(text)}")


def quoted(value: object) -> str:
    """A value as an error shows it, in quotes and not too long."""
    if value is None:
        return "nothing"
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if len(text) > SHOWN_LENGTH:
        text = text[:SHOWN_LENGTH] + "…"
    return f"'{' '.join(text.split())}'"


def in_quotes(value: object) -> str:
    """The end of a sentence on a value that YAML has made of a word, such as `no`, or of a date."""
    if isinstance(value, bool):
        return "; YAML reads yes, no, on and off as true and false: put a text in quotes"
    if isinstance(value, datetime.date):
        return "; YAML reads it as a date: put a text in quotes"
    return ""


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
