"""Values of JSON that fit no shape of botocore's, though Python and botocore would take them.

JSON's numbers have no end, its strings may hold half of a surrogate pair, and Python's reader takes
NaN; true is a number to Python, and a text a date to botocore.
"""

import math
from collections.abc import Iterator
from typing import Any

from botocore.model import ListShape, MapShape, Shape, StructureShape

NUMBERS = {"integer": 2**31, "long": 2**63}  # by type: the first number that does not fit
LAST_S = 253402300799.0  # 9999-12-31T23:59:59Z, the end of what a date can be


def odd_values(shape: Shape | None, value: Any, where: str) -> Iterator[str]:
    """What of a request's JSON is not of its shape's type, in sentences. shape: None if unknown."""
    if isinstance(value, dict):
        for name, part in value.items():
            yield from _odd_text(name, where)
            yield from odd_values(_part_of(shape, name), part, f"{where}.{name}".strip("."))
    elif isinstance(value, list):
        member = shape.member if isinstance(shape, ListShape) else None
        for number, part in enumerate(value, 1):
            yield from odd_values(member, part, f"{where}.{number}")
    elif isinstance(value, str):
        yield from _odd_text(value, where)
        if shape is not None and shape.type_name == "timestamp":
            yield _odd(where, "a date must be a number of seconds")
    elif isinstance(value, int | float):
        yield from _odd_number(shape, value, where)


def _part_of(shape: Shape | None, name: str) -> Shape | None:
    if isinstance(shape, StructureShape):
        member: Shape | None = shape.members.get(name)
        return member
    if isinstance(shape, MapShape):
        return shape.value
    return None


def _odd_text(text: str, where: str) -> Iterator[str]:
    """A text that UTF-8 cannot hold, or that no variable and no file name can."""
    if "\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
        yield _odd(
            where, "a text must be Unicode, without half of a surrogate pair and without NUL"
        )


def _odd_number(shape: Shape | None, value: bool | int | float, where: str) -> Iterator[str]:
    kind = "" if shape is None else shape.type_name
    if isinstance(value, bool):
        if kind not in ("", "boolean"):
            yield _odd(where, f"found {str(value).lower()}")
    elif isinstance(value, float) and not math.isfinite(value):
        yield _odd(where, "a number must be finite")
    elif kind == "timestamp" and not 0 <= value <= LAST_S:
        yield _odd(where, "a date must lie between the years 1970 and 9999")
    elif kind in NUMBERS and not -NUMBERS[kind] <= value < NUMBERS[kind]:
        yield _odd(where, f"the number does not fit the type {kind}")
    elif isinstance(value, int) and abs(value) >= 2**1023:
        yield _odd(where, "the number is too large")


def _odd(where: str, why: str) -> str:
    return f"Invalid type for parameter {where[:100]}: {why}"
