"""A section of a recipe as a frozen dataclass: its fields are the known names, with their types."""

import types
import typing
from collections.abc import Iterable
from dataclasses import is_dataclass
from typing import Any, TypeVar

from recipes.errors import RecipeError
from recipes.suggestion import unknown
from recipes.values import in_quotes, number, quoted, text_of, whole

Section = TypeVar("Section")


def fill(form: type[Section], values: object, where: str) -> Section:
    """The dataclass `form` from a mapping; an empty section has the defaults.

    where: the section's name, such as `sagemaker.training`. RecipeError for an unknown name or a
    value of another type.
    """
    given = mapping(values, where)
    kinds = typing.get_type_hints(form)
    check_names(given, kinds, where)
    settings = {
        name: _convert(kinds[name], value, f"{where}.{name}") for name, value in given.items()
    }
    return form(**settings)


def mapping(values: object, where: str) -> dict[str, Any]:
    """A section's names and values; none where nothing stands below it. RecipeError for others."""
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise RecipeError(
            f"{where} must be names with values, such as `name: value`; found {quoted(values)}"
        )
    return values


def check_names(values: Iterable[object], known: Iterable[str], where: str) -> None:
    """RecipeError for the first name that is not known."""
    names = list(known)
    for name in values:
        if name not in names:
            raise RecipeError(unknown(f"{where}: setting", str(name), names))


def _convert(kind: Any, value: object, where: str) -> object:
    """A YAML value as a field's type, which is a class or one of typing's forms."""
    if is_dataclass(kind) and isinstance(kind, type):
        return fill(kind, value, where)
    outer = typing.get_origin(kind)
    if outer is types.UnionType:  # such as int | None
        if value is None:
            return None
        return _convert(typing.get_args(kind)[0], value, where)
    if outer is tuple:
        return _texts(value, where)
    if outer is dict:
        pairs = mapping(value, where).items()
        return {str(name): text_of(part, f"{where}.{name}") for name, part in pairs}
    if kind is bool:
        return _flag(value, where)
    if kind is int:
        return whole(value, where)
    if kind is float:
        return _number(value, where)
    return _text(value, where)


def _texts(value: object, where: str) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        value = [value]  # one alone needs no brackets
    return tuple(text_of(part, where) for part in value)


def _flag(value: object, where: str) -> bool:
    if not isinstance(value, bool):
        raise RecipeError(f"{where} must be true or false; found {quoted(value)}")
    return value


def _number(value: object, where: str) -> float:
    found = number(value)
    if found is None:
        raise RecipeError(f"{where} must be a number; found {quoted(value)}")
    return found


def _text(value: object, where: str) -> str:
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise RecipeError(f"{where} must be a text; found {quoted(value)}{in_quotes(value)}")
    return str(value)
