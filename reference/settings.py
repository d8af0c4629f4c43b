"""The pages of what a user sets: hyperparameters, a recipe's sections, environment variables."""

import dataclasses
from collections.abc import Iterator
from typing import Any

from artifact.host.environment import VARIABLES
from recipes.built_in_names import BUILT_IN_NAMES
from recipes.hyperparameters import Hyperparameters
from recipes.preparation import Preparation
from recipes.presets import PRESETS
from recipes.sagemaker import SageMakerSettings
from recipes.schema import recipe_schema
from recipes.values import text_of
from reference.markdown import code, prose, shown, table

Field = dataclasses.Field[Any]
CHANNELS = "out/prepared/{train,validation,test}"  # three defaults as one


def hyperparameters() -> str:
    """Each hyperparameter with its default, values and text."""
    rows = [
        (
            code(entry.name),
            shown(entry.default),
            _with_values(entry.metadata["help"], _values(entry)),
        )
        for entry in dataclasses.fields(Hyperparameters)
    ]
    built_in = ", ".join(code(name) for name in BUILT_IN_NAMES)
    return f"""# Hyperparameters

A training job reads them from `input/config/hyperparameters.json`. A recipe has them in its
section `hyperparameters`.

- `-` and `_` in a name are alike.
- A value may be quoted as JSON, as the SageMaker SDK sends it.
- An unknown name is an error. The error names the nearest known one.

{table(("name", "default", "what it sets"), rows)}

The names of SageMaker's built-in image classification are taken, too: {built_in}.

## Presets

A hyperparameter that is given comes before its preset.

{table(("preset", "what it sets"), _presets())}
"""


def _presets() -> Iterator[tuple[str, str]]:
    for name, values in PRESETS.items():
        texts = [code(f"{key}={text_of(value, key)}") for key, value in values.items()]
        yield code(name), ", ".join(texts) or "nothing"


def recipe() -> str:
    """Each setting of the sections `prepare`, `tuning` and `sagemaker`."""
    parts = {
        "prepare": table(("setting", "default", "what it sets"), _preparation()),
        "tuning": table(("setting", "default", "what it sets"), _tuning()),
        "sagemaker": table(("setting", "default", "what it sets"), _sagemaker()),
    }
    return f"""# Recipe settings

A recipe is one YAML file with all settings of a project. Its sections are `name`, `prepare`,
`hyperparameters`, `tuning` and `sagemaker`. Each of them may be left out. An unknown section or
setting is an error. The error names the nearest known one.

`slipway schema` prints the JSON Schema of a recipe. An editor completes and checks a recipe by it.
The section `hyperparameters` has [the hyperparameters](hyperparameters.md).

## `prepare`

These are the options of `slipway prepare`. `photos` is the folder of the labelled photos. Its
path is relative to the recipe.

{parts["prepare"]}

## `tuning`

The section is a list of tuning jobs. Names with a dot are nested: `budgets.jobs` is `jobs` below
`budgets`. Below `ranges` stands a range for each hyperparameter that the tuning job searches.
It is a list of values, or an object with the settings of `ranges.NAME`.

{parts["tuning"]}

## `sagemaker`

Names with a dot are nested: `training.spot` is `spot` below `training`.

{parts["sagemaker"]}
"""


def environment() -> str:
    """Each environment variable, by the part that reads it."""
    parts = ["# Environment variables\n"]
    for reader, variables in VARIABLES.items():
        rows = [(code(name), entry.default, prose(entry.sets)) for name, entry in variables.items()]
        parts.append(f"## {reader}\n\n{table(('name', 'default', 'what it sets'), rows)}\n")
    return "\n".join(parts)


def _values(entry: Field) -> str:
    """The choices or the bounds of a hyperparameter."""
    if entry.metadata["choices"]:
        return ", ".join(code(choice) for choice in entry.metadata["choices"])
    low = entry.metadata["low"]
    high = entry.metadata["high"]
    if low is None:
        return ""
    return f"at least {low}" if high is None else f"{low} to {high}"


def _preparation() -> Iterator[tuple[str, str, str]]:
    for entry in dataclasses.fields(Preparation):
        yield code(entry.name), shown(entry.default), prose(entry.metadata["sets"])


def _sagemaker() -> Iterator[tuple[str, str, str]]:
    """The settings, and after them those of each section."""
    settings = SageMakerSettings()
    sections = {}
    for entry in dataclasses.fields(settings):
        value = getattr(settings, entry.name)
        if dataclasses.is_dataclass(value):
            sections[entry.name] = value
        else:
            yield _setting("", entry)
    for name, section in sections.items():
        for entry in dataclasses.fields(section):
            yield _setting(f"{name}.", entry)


def _setting(where: str, entry: Field) -> tuple[str, str, str]:
    default = shown(default_of(entry))
    if entry.name == "channels":
        default = code(CHANNELS)
    return code(f"{where}{entry.name}"), default, prose(entry.metadata["sets"])


def default_of(entry: Field) -> object:
    """A field's default, which a mutable one makes anew."""
    if entry.default_factory is not dataclasses.MISSING:
        return entry.default_factory()
    return entry.default


def _tuning() -> Iterator[tuple[str, str, str]]:
    job = recipe_schema()["properties"]["tuning"]["items"]["properties"]
    for name, schema in job.items():
        inner = schema.get("properties", {})
        yield _part(name, schema)
        if name != "hyperparameters":
            for below, part in inner.items():
                yield _part(f"{name}.{below}", part)
        if name == "ranges":
            yield from _range(schema["additionalProperties"]["anyOf"])


def _range(kinds: list[dict[str, Any]]) -> Iterator[tuple[str, str, str]]:
    """The settings of one range: first a list alone, then by values, then by two ends."""
    for kind in kinds[1:]:
        for name, part in kind["properties"].items():
            yield _part(f"ranges.NAME.{name}", part)


def _part(name: str, schema: dict[str, Any]) -> tuple[str, str, str]:
    values = [code(str(value)) for value in schema.get("enum", ()) if value]
    low = schema.get("minimum")
    high = schema.get("maximum")
    if high is not None:
        values.append(f"{low} to {high}")
    elif low is not None:
        values.append(f"at least {low}")
    text = _with_values(schema.get("description", ""), ", ".join(values))
    return code(name), shown(schema.get("default")), text


def _with_values(text: str, values: str) -> str:
    """What a setting sets, and the values that it takes, where the text does not name them."""
    named = all(value in text for value in values.split(", "))
    return prose(text) if named else f"{prose(text)} ({values})"
