"""The one reader of JSON that comes from outside: requests, answers, files of other programs.

Standard library only, because the Lambda function holds it, too (web/).
"""

import json
from itertools import chain
from typing import Any

MAX_LEVELS = 64  # SageMaker's and our own documents have less than ten
MOST_VALUES = 1_000_000  # empty objects take 72 bytes each
MOST_IN_LISTS = 50_000_000  # of documents that name each photo of a large set


def read_json(text: str | bytes, most_values: int = MOST_VALUES) -> Any:
    """The value in a JSON text of at most MAX_LEVELS levels of lists and objects.

    most_values: about how many values it may hold. Millions of small ones take a hundred times the
    text's memory, and keep all other threads waiting while they are read.

    Any: the text decides on the type. Raises ValueError, with a sentence, for anything else; never
    a RecursionError.
    """
    if _openings(text) + _commas(text) > most_values:
        raise ValueError(f"it has more than {most_values:,} values")
    try:
        value = json.loads(text)
    except RecursionError:
        raise too_deep() from None
    if _openings(text) > MAX_LEVELS and _is_deep(value):
        raise too_deep()
    return value


def too_deep() -> ValueError:
    """The error of a document with too many levels."""
    return ValueError(f"it has more than {MAX_LEVELS} levels of lists and objects")


def _openings(text: str | bytes) -> int:
    """How many lists and objects a text begins at most: some may stand within strings."""
    if isinstance(text, str):
        return text.count("[") + text.count("{")
    return text.count(b"[") + text.count(b"{")


def _commas(text: str | bytes) -> int:
    return text.count(",") if isinstance(text, str) else text.count(b",")


def _is_deep(value: object) -> bool:
    """Whether lists and objects lie within each other on more than MAX_LEVELS levels."""
    level = [value]
    for _ in range(MAX_LEVELS):
        level = list(chain.from_iterable(map(_parts, level)))
        if not level:
            return False
    return True


def _parts(value: object) -> list[object]:
    """The lists and objects right within a list or an object."""
    inner: list[object] = []
    if isinstance(value, dict):
        inner = list(value.values())
    elif isinstance(value, list):
        inner = value
    return [part for part in inner if isinstance(part, dict | list)]
