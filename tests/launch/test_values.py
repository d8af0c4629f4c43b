"""Dataclasses of launch: values that are passed around cannot be changed on the way."""

import dataclasses
import importlib
import pkgutil

import launch

# These two collect results while a command runs.
CHANGING = {"Captures", "Gathered", "LaunchContext", "Plan"}


def test_values_are_frozen():
    frozen = {}
    for module in pkgutil.iter_modules(launch.__path__, "launch."):
        for name, found in vars(importlib.import_module(module.name)).items():
            is_class = isinstance(found, type) and found.__module__ == module.name
            if is_class and dataclasses.is_dataclass(found):
                frozen[name] = vars(found)["__dataclass_params__"].frozen
    assert {name for name, value in frozen.items() if not value} == CHANGING
    assert len(frozen) > len(CHANGING)
