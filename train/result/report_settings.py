"""A training's hyperparameters in the order in which a reader looks for them."""

import dataclasses
from collections.abc import Mapping

from artifact.text.numbers import GAP
from recipes.hyperparameters import Hyperparameters

FIRST = (
    "model",
    "weights",
    "trainable",
    "head",
    "optimizer",
    "lr",
    "epochs",
    "batch_size",
    "augmentation",
    "image_size",
)


def setting(value: object) -> str:
    """A hyperparameter's value as a user writes it."""
    if value is None or value == "" or value == ():
        return GAP
    if isinstance(value, (tuple, list)):
        return ",".join(setting(part) for part in value)
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)


def settings_in_order(values: Mapping[str, object]) -> dict[str, list[dict[str, object]]]:
    """Rows of name, value, default and whether they differ, in two groups.

    `shown`: FIRST, then all others that differ from their default. `defaults`: the rest.
    """
    defaults = {entry.name: entry.default for entry in dataclasses.fields(Hyperparameters)}
    first = [name for name in FIRST if name in values]
    others = [name for name in values if name not in FIRST]
    groups: dict[str, list[dict[str, object]]] = {"shown": [], "defaults": []}
    for name in first + others:
        differs = name not in defaults or values[name] != defaults[name]
        row = {
            "name": name,
            "value": setting(values[name]),
            "default": setting(defaults.get(name)),
            "differs": differs,
        }
        groups["shown" if differs or name in FIRST else "defaults"].append(row)
    return groups
