"""The rules by name, and their parameters from text. Listing them loads no smdebug."""

import importlib
import inspect
import json
import math
import re
import types
from collections.abc import Callable
from pathlib import Path

from diagnose.findings import DiagnoseError

# name as in SageMaker's documentation: the module it is in
MODULES = {
    "VanishingGradient": "gradients",
    "ExplodingTensor": "gradients",
    "PoorWeightInitialization": "gradients",
    "Overfit": "losses",
    "Overtraining": "losses",
    "LossNotDecreasing": "losses",
    "WeightUpdateRatio": "weights",
    "UnchangedTensor": "weights",
    "AllZero": "weights",
    "SimilarAcrossRuns": "weights",
    "SaturatedActivation": "activations",
    "DeadRelu": "activations",
    "ClassImbalance": "data",
    "Confusion": "data",
    "CheckInputImages": "data",
}
# Confusion asks for 90 % recall of every class from the first step on, SimilarAcrossRuns for another run: only when named
ONLY_WHEN_NAMED = ("Confusion", "SimilarAcrossRuns")
COMMON = {
    "start_step": 0,
    "end_step": None,
}  # of every rule: the steps it looks at, counted over all forward passes; end_step is the first left out


def rule_names(asked: str | list[str] | tuple[str, ...] | None) -> list[str]:
    """The rules meant: all but ONLY_WHEN_NAMED for None, every one for "all"; names in any spelling (vanishing_gradient). DiagnoseError otherwise."""
    if asked is None:
        return [name for name in MODULES if name not in ONLY_WHEN_NAMED]
    parts = [
        part.strip()
        for text in ([asked] if isinstance(asked, str) else asked)
        for part in text.split(",")
        if part.strip()
    ]
    if not parts:
        raise DiagnoseError("no rule is named; `--list` prints their names")
    return (
        list(MODULES)
        if parts == ["all"]
        else list(dict.fromkeys(rule_name(part) for part in parts))
    )


def rule_name(text: str) -> str:
    """One rule's name from any spelling: VanishingGradient, vanishing_gradient, vanishinggradient."""
    plain = re.sub(r"[^a-z]", "", text.lower())
    for name in MODULES:
        if plain in (name.lower(), name.lower() + "rule"):
            return name
    raise DiagnoseError(f"rule '{text}' is unknown; known: {', '.join(MODULES)}")


def load(name: str) -> type:
    """The rule's class. Loads smdebug."""
    return getattr(importlib.import_module(f"diagnose.{MODULES[name]}"), name)


def parameters_of(rule: type) -> dict[str, inspect.Parameter]:
    """A rule's parameters, from its __init__'s keywords."""
    return {
        name: entry
        for name, entry in inspect.signature(rule.__init__).parameters.items()
        if entry.kind is entry.KEYWORD_ONLY
    }


def read_parameters(
    texts: list[str], named: Callable[[str], str] = rule_name
) -> dict[str, dict[str, object]]:
    """From the command line: each text `Rule.name=value`, or a JSON file of {rule: {name: value}}. DiagnoseError for what is neither.

    named: a rule's name from any spelling of it.
    """
    found: dict[str, dict[str, object]] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if equals and "." in name and not Path(text).is_file():
            rule, _, parameter = name.partition(".")
            found.setdefault(named(rule.strip()), {})[parameter.strip()] = value
            continue
        try:
            content = json.loads(Path(text).read_text(encoding="utf-8"))
        except OSError as error:
            raise DiagnoseError(
                f"--parameters takes Rule.name=value or a JSON file; '{text}' is neither ({error.strerror or error})"
            ) from error
        except ValueError as error:
            raise DiagnoseError(f"'{text}' is not readable JSON ({error})") from error
        if not isinstance(content, dict) or not all(
            isinstance(entry, dict) for entry in content.values()
        ):
            raise DiagnoseError(
                f"'{text}' must hold an object of rules, each with an object of its parameters"
            )
        for rule, values in content.items():
            found.setdefault(named(rule), {}).update(values)
    return found


def settings(
    name: str, rule: type, given: dict[str, object]
) -> tuple[dict[str, object], dict[str, object]]:
    """A rule's own keywords, and the COMMON ones, from texts or values. DiagnoseError for an unknown name or a value of the wrong type."""
    known = parameters_of(rule)
    own, common = {}, dict(COMMON)
    for parameter, value in given.items():
        if parameter in known:
            own[parameter] = _parsed(f"{name}.{parameter}", known[parameter].annotation, value)
        elif parameter in COMMON:
            common[parameter] = _parsed(f"{name}.{parameter}", int | None, value)
        else:
            raise DiagnoseError(
                f"rule {name} has no parameter '{parameter}'; known: {', '.join([*known, *(entry for entry in COMMON if entry not in known)])}"
            )
    for parameter, entry in known.items():
        if entry.default is entry.empty and parameter not in own:
            raise DiagnoseError(
                f"rule {name} needs the parameter '{parameter}': --parameters {name}.{parameter}=…"
            )
    return own, common


def _parsed(what: str, kind: object, value: object) -> object:
    """A value of the annotated type from a text (as SageMaker sends all) or a value of JSON."""
    kinds = list(kind.__args__) if isinstance(kind, types.UnionType) else [kind]
    optional = types.NoneType in kinds
    wanted = next(entry for entry in kinds if entry is not types.NoneType)
    text = value if isinstance(value, str) else json.dumps(value)
    if optional and text.strip().lower() in ("none", "null", ""):
        return None
    try:
        if wanted is bool:
            return {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}[
                text.strip().lower()
            ]
        if wanted is int:
            number = float(text)
            if number != int(number):
                raise ValueError
            return int(number)
        if wanted is float:
            number = float(text)
            if math.isnan(number):
                raise ValueError
            return number
    except (ValueError, KeyError, OverflowError):
        word = {bool: "true or false", int: "a whole number", float: "a number"}[wanted]
        raise DiagnoseError(f"parameter {what} must be {word}; found '{text}'") from None
    if what.endswith("regex"):
        try:
            re.compile(text)
        except re.error as error:
            raise DiagnoseError(
                f"parameter {what} is no regular expression ({error}); found '{text}'"
            ) from None
    return value if isinstance(value, str) else text
