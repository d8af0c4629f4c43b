"""The rules by name, and their parameters from text. Listing them loads no smdebug."""

import importlib
import inspect
import json
import math
import re
import types
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from artifact.text.json_text import read_json
from diagnose.defaults import DEFAULTS, OURS, documented
from diagnose.findings import DiagnoseError
from recipes.suggestion import hint, unknown

if TYPE_CHECKING:  # the module loads smdebug
    from diagnose.rule import TensorRule

# name as in SageMaker's documentation: the module that defines it
MODULES = {
    "VanishingGradient": "gradients",
    "ExplodingTensor": "gradients",
    "PoorWeightInitialization": "initialization",
    "Overfit": "overfitting",
    "Overtraining": "overfitting",
    "LossNotDecreasing": "losses",
    "WeightUpdateRatio": "weights",
    "UnchangedTensor": "weights",
    "AllZero": "weights",
    "SimilarAcrossRuns": "runs",
    "SaturatedActivation": "activations",
    "DeadRelu": "activations",
    "ClassImbalance": "data",
    "Confusion": "confusion",
    "CheckInputImages": "data",
}
# Confusion asks for 90 % recall of every class from the first step on, SimilarAcrossRuns for
# another run: both run only when they are named
ONLY_WHEN_NAMED = ("Confusion", "SimilarAcrossRuns")
WORDS: dict[object, str] = {  # for error sentences
    bool: "true or false",
    int: "a whole number",
    float: "a number",
}
FLAGS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}

Parameters = dict[str, dict[str, object]]  # by rule, by parameter


@dataclass
class StepRange:
    """Parameters of every rule: the steps that it sees, counted over all forward passes.

    end_step is the first step that is left out.
    """

    start_step: int = 0
    end_step: int | None = None


STEP_PARAMETERS = ("start_step", "end_step")


def rule_names(asked: str | list[str] | tuple[str, ...] | None) -> list[str]:
    """The names of the rules, in the spelling of SageMaker's documentation.

    asked: None for all but ONLY_WHEN_NAMED, "all", or names in any spelling (vanishing_gradient).
    DiagnoseError for an unknown name.
    """
    if asked is None:
        return [name for name in MODULES if name not in ONLY_WHEN_NAMED]
    if not isinstance(asked, str):
        asked = ",".join(asked)
    parts = [text.strip() for text in asked.split(",") if text.strip()]
    if not parts:
        raise DiagnoseError("no rule is named; `--list` prints their names")
    if parts == ["all"]:
        return list(MODULES)
    return list(dict.fromkeys(rule_name(part) for part in parts))


def rule_name(text: str) -> str:
    """One rule's name from any spelling: VanishingGradient, vanishing_gradient."""
    plain = re.sub(r"[^a-z]", "", text.lower())
    for name in MODULES:
        if plain in (name.lower(), name.lower() + "rule"):
            return name
    raise DiagnoseError(unknown("rule", text, MODULES))


def load(name: str) -> type["TensorRule"]:
    """The rule's class. Loads smdebug."""
    module = importlib.import_module(f"diagnose.{MODULES[name]}")
    rule: type[TensorRule] = getattr(module, name)
    return rule


def parameters_of(rule: type) -> dict[str, inspect.Parameter]:
    """A rule's parameters: the keywords of its __init__."""
    signature = inspect.signature(rule.__init__)  # type: ignore[misc]  # of the class itself
    return {
        name: entry
        for name, entry in signature.parameters.items()
        if entry.kind is entry.KEYWORD_ONLY
    }


def read_parameters(texts: list[str], full_name: Callable[[str], str] = rule_name) -> Parameters:
    """Parameters from the command line.

    Each text is `Rule.name=value`, or a JSON file of {rule: {name: value}}. full_name: a rule's
    name from any spelling of it. DiagnoseError for a text that is neither.
    """
    found: Parameters = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if equals and "." in name and not Path(text).is_file():
            rule, _, parameter = name.partition(".")
            found.setdefault(full_name(rule.strip()), {})[parameter.strip()] = value
            continue
        for rule, values in _read_file(text).items():
            found.setdefault(full_name(rule), {}).update(values)
    return found


def _read_file(text: str) -> Parameters:
    try:
        content = read_json(Path(text).read_text(encoding="utf-8"))
    except OSError as error:
        raise DiagnoseError(
            f"--parameters takes Rule.name=value or a JSON file; "
            f"'{text}' is neither ({error.strerror or error})"
        ) from error
    except ValueError as error:
        raise DiagnoseError(f"'{text}' is not readable JSON ({error})") from error
    objects = isinstance(content, dict) and all(
        isinstance(entry, dict) for entry in content.values()
    )
    if not objects:
        raise DiagnoseError(
            f"'{text}' must hold an object of rules, each with an object of its parameters"
        )
    return dict(content)


def settings(
    name: str, rule: type, given: dict[str, object]
) -> tuple[dict[str, object], StepRange]:
    """A rule's own keywords, and the steps that it sees, from texts or values.

    DiagnoseError for an unknown name or a value of the wrong type.
    """
    known = parameters_of(rule)
    given = dict(given)
    asked = str(given.pop(DEFAULTS, OURS))
    own: dict[str, object] = documented(asked, getattr(rule, "sagemaker", {}))
    steps = StepRange()
    for parameter, value in given.items():
        what = f"{name}.{parameter}"
        if parameter in known:
            own[parameter] = _parse(what, known[parameter].annotation, value)
        elif parameter in STEP_PARAMETERS:
            step = _parse(what, int | None, value)
            if parameter == "end_step" or step is not None:
                setattr(steps, parameter, step)
        else:
            others = [entry for entry in (*STEP_PARAMETERS, DEFAULTS) if entry not in known]
            listed = [*known, *others]
            raise DiagnoseError(
                f"rule {name} has no parameter '{parameter}'{hint(parameter, listed)}; "
                f"known: {', '.join(listed)}"
            )
    for parameter, entry in known.items():
        if entry.default is entry.empty and parameter not in own:
            raise DiagnoseError(
                f"rule {name} needs the parameter '{parameter}': --parameters {name}.{parameter}=…"
            )
    return own, steps


def _parse(what: str, kind: object, value: object) -> object:
    """A value of the annotated type from a text (as SageMaker sends all) or a value of JSON."""
    kinds = list(kind.__args__) if isinstance(kind, types.UnionType) else [kind]
    wanted = next(entry for entry in kinds if entry is not types.NoneType)
    text = value if isinstance(value, str) else json.dumps(value)
    if types.NoneType in kinds and text.strip().lower() in ("none", "null", ""):
        return None
    if wanted in WORDS:
        try:
            return _number(wanted, text)
        except (ValueError, KeyError, OverflowError):
            raise DiagnoseError(
                f"parameter {what} must be {WORDS[wanted]}; found '{text}'"
            ) from None
    if what.endswith("regex"):
        _check_regex(what, text)
    return text


def _number(kind: object, text: str) -> bool | int | float:
    """ValueError, KeyError or OverflowError for a text of another type."""
    if kind is bool:
        return FLAGS[text.strip().lower()]
    number = float(text)
    if kind is int:
        if number != int(number):
            raise ValueError(text)
        return int(number)
    if math.isnan(number):
        raise ValueError(text)
    return number


def _check_regex(what: str, text: str) -> None:
    try:
        re.compile(text)
    except re.error as error:
        raise DiagnoseError(
            f"parameter {what} is not a regular expression ({error}); found '{text}'"
        ) from None
