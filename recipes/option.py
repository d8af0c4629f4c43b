"""A field of a settings dataclass: its default, its text, and the values that it takes."""

from dataclasses import field
from typing import Any


def option(
    default: object,
    text: str,
    choices: tuple[str, ...] = (),
    low: float | None = None,
    high: float | None = None,
) -> Any:
    """A dataclass field with `help`, `choices`, `low` and `high` in its metadata."""
    # Any, as dataclasses.field has it: the field gets its own type in the class.
    limits = {"choices": choices, "low": low, "high": high}
    return field(default=default, metadata={"help": text, **limits})
