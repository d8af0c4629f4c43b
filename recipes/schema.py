"""python -m recipes.schema: the JSON Schema of a recipe, for editors and other programs.

It is made from the dataclasses that the reader fills, so both know the same names and types. It
does not know the rules between settings, such as parents with their warm start.
"""

import dataclasses
import json
import sys
import types
import typing
from collections.abc import Mapping
from typing import Any

from recipes import ranges, tuning_section
from recipes.budgets import LEAST_NOT_IMPROVING, LEAST_TIME_S, MOST_TIME_S
from recipes.command_line import CommandLine
from recipes.hyperparameters import Hyperparameters
from recipes.preparation import Preparation
from recipes.recipe import SECTIONS
from recipes.sagemaker import SageMakerSettings
from recipes.tuning import Budgets, Objective

Schema = dict[str, Any]  # JSON, nested as the standard nests it

DIALECT = "https://json-schema.org/draft/2020-12/schema"
# YAML 1.1 reads 1e-3 as a text, so the reader takes numbers in texts; `pattern` is of texts only.
NUMBER = {
    "type": ["number", "string"],
    "pattern": r"^\s*[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?\s*$",
}
WHOLE = {"type": ["integer", "string"], "pattern": r"^\s*[-+]?[0-9]+(\.0*)?\s*$"}
TEXT = {"type": ["string", "number", "null"]}
PLAIN = {"type": ["string", "number", "boolean"]}
TEXT_OF = {"anyOf": [PLAIN, {"type": "array", "items": PLAIN}]}  # see values.text_of
BOUNDS = {
    "jobs": {"minimum": 1},
    "parallel": {"minimum": 1},
    "time_s": {"minimum": LEAST_TIME_S, "maximum": MOST_TIME_S},
    "not_improving": {"minimum": LEAST_NOT_IMPROVING},
}


def recipe_schema() -> Schema:
    """The schema of a whole recipe, in the dialect 2020-12."""
    parts = {
        "name": {**TEXT, "description": "of the project, and of all that it makes"},
        "prepare": _preparation(),
        "hyperparameters": _hyperparameters(),
        "tuning": {"type": ["array", "null"], "items": _tuning_job()},
        "sagemaker": section_schema(SageMakerSettings),
    }
    return {
        "$schema": DIALECT,
        "title": "Slipway recipe",
        "type": "object",
        "minProperties": 1,
        "properties": {name: parts[name] for name in SECTIONS},
        "additionalProperties": False,
    }


def section_schema(form: type) -> Schema:
    """A section that sections.fill reads: the dataclass's fields, and no other names."""
    kinds = typing.get_type_hints(form)
    properties: dict[str, Schema] = {}
    for entry in dataclasses.fields(form):
        properties[entry.name] = _of_type(kinds[entry.name]) | _notes(entry)
    return _closed(properties)


def _closed(properties: dict[str, Schema]) -> Schema:
    """Names with values, of which no others may stand there; an empty section has the defaults."""
    return {
        "type": ["object", "null"],
        "properties": properties,
        "additionalProperties": False,
    }


def _described(parts: dict[str, Schema], texts: Mapping[str, str]) -> dict[str, Schema]:
    """The parts in the order of their texts, each with its text."""
    return {name: {**parts[name], "description": text} for name, text in texts.items()}


def _of_type(kind: Any) -> Schema:
    """What sections.fill takes for a field of this type, a class or one of typing's forms."""
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return section_schema(kind)
    outer = typing.get_origin(kind)
    if outer is types.UnionType:  # such as int | None
        return {"anyOf": [_of_type(typing.get_args(kind)[0]), {"type": "null"}]}
    if outer is tuple:  # a list, or one value alone
        return {"anyOf": [*TEXT_OF["anyOf"], {"type": "null"}]}
    if outer is dict:
        return {"type": ["object", "null"], "additionalProperties": TEXT_OF}
    if kind is bool:
        return {"type": "boolean"}
    if kind is int:
        return dict(WHOLE)
    if kind is float:
        return dict(NUMBER)
    return dict(TEXT)


def _notes(entry: dataclasses.Field[Any]) -> Schema:
    """A field's description, default and choices, as far as it has them."""
    notes: Schema = {}
    description = entry.metadata.get("sets") or entry.metadata.get("help")
    if description:
        notes["description"] = description
    if entry.metadata.get("choices"):
        notes["enum"] = list(entry.metadata["choices"])
    if entry.default is not dataclasses.MISSING and entry.default is not None:
        notes["default"] = entry.default
    return notes


def _preparation() -> Schema:
    """The options of prepare, with `-` and `_` alike."""
    schema = section_schema(Preparation)
    options: dict[str, Schema] = schema["properties"]
    hyphened = {name.replace("_", "-"): option for name, option in options.items()}
    schema["properties"] = {**options, **hyphened}
    return schema


def _hyperparameters() -> Schema:
    """Any names and values: a training image of the user's own has its own hyperparameters.

    Ours are listed with their descriptions, for editors.
    """
    value = {**TEXT_OF, "maxLength": ranges.VALUE_LENGTH}
    ours: dict[str, Schema] = {}
    for entry in dataclasses.fields(Hyperparameters):
        notes = _notes(entry)
        notes.pop("enum", None)  # another image may have other choices under the same name
        ours[entry.name] = value | notes
    return {
        "type": ["object", "null"],
        "propertyNames": {"minLength": 1, "maxLength": ranges.NAME_LENGTH},
        "properties": ours,
        "additionalProperties": value,
    }


def _tuning_job() -> Schema:
    name = {
        "type": "string",
        "maxLength": tuning_section.NAME_LENGTH,
        "pattern": f"^{tuning_section.NAME}$",
    }
    objective = section_schema(Objective)
    objective["properties"]["direction"]["enum"] = ["Maximize", "Minimize"]
    hyperband = dict.fromkeys(tuning_section.HYPERBAND_KEYS, WHOLE | {"minimum": 1})
    searched = {
        "type": "object",
        "minProperties": 1,
        "maxProperties": tuning_section.MOST_TUNED,
        "additionalProperties": _range(),
    }
    parents = {
        "type": ["array", "null"],
        "items": {"type": "string"},
        "uniqueItems": True,
        "maxItems": tuning_section.MOST_PARENTS,
    }
    parts: dict[str, Schema] = {
        "name": name,
        "objective": objective,
        "strategy": {"enum": list(tuning_section.STRATEGIES)},
        "early_stopping": {"enum": ["Off", "Auto", False]},  # YAML 1.1 reads Off as false
        "budgets": _budgets(),
        "parents": parents,
        "warm_start": {"enum": [*tuning_section.WARM_STARTS, "", None]},
        "ranges": searched,
        "hyperparameters": _hyperparameters(),
        "seed": WHOLE | {"minimum": 0},
        "hyperband": _closed(_described(hyperband, tuning_section.HYPERBAND_KEYS)),
    }
    return {
        "type": "object",
        "properties": _described(parts, tuning_section.JOB_KEYS),
        "additionalProperties": False,
        "required": ["name", "ranges"],
    }


def _budgets() -> Schema:
    budgets = section_schema(Budgets)
    for limit, bounds in BOUNDS.items():
        budgets["properties"][limit] |= bounds
    return budgets


def _range() -> Schema:
    """A range of numbers, or categories as a list, alone or as `values`."""
    values = {
        "type": "array",
        "items": TEXT_OF,
        "minItems": 1,
        "maxItems": ranges.MOST_VALUES,
        "uniqueItems": True,
    }
    named: dict[str, Schema] = {"type": {"const": "Categorical"}, "values": values}
    categorical = _closed(_described(named, ranges.CATEGORICAL_KEYS))
    kinds = {"enum": ["Continuous", "Integer"]}
    scales = {"enum": list(ranges.SCALES)}
    ends: dict[str, Schema] = {"type": kinds, "min": NUMBER, "max": NUMBER, "scale": scales}
    numbers = _closed(_described(ends, ranges.NUMERIC_KEYS))
    return {
        "anyOf": [
            values,
            categorical | {"type": "object", "required": ["values"]},
            numbers | {"type": "object", "required": ["type", "min", "max"]},
        ]
    }


def main(arguments: list[str] | None = None) -> int:
    """Print the schema as JSON; 0."""
    CommandLine(prog="schema", description=__doc__).parse_args(arguments)
    print(json.dumps(recipe_schema(), indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
