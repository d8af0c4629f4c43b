"""A pipeline's definition: its parameters and steps, checked when it is made.

Source: the JSON that SageMaker's SDKs write, version 2020-12-01, and its published schema.
"""

import graphlib
import json
import math
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

from artifact.text.json_text import read_json
from local_sagemaker.contract import ApiError, invalid
from local_sagemaker.pipelines.pipeline_expressions import check_expressions, references
from local_sagemaker.record import Record

VERSIONS = ("2020-12-01",)
STEP_NAME = re.compile(r"[A-Za-z0-9\-_]{1,64}")
# By type of step: the operation that it asks for; none for those that ask for nothing.
OPERATIONS = {
    "Processing": "CreateProcessingJob",
    "Training": "CreateTrainingJob",
    "Tuning": "CreateHyperParameterTuningJob",
    "Transform": "CreateTransformJob",
    "Model": "CreateModel",
    "RegisterModel": "CreateModelPackage",
    "Condition": "",
    "Fail": "",
}
CONDITION = "Condition"
COMPARISONS = (
    *("Equals", "GreaterThan", "GreaterThanOrEqualTo"),
    *("LessThan", "LessThanOrEqualTo"),
)
VARIABLES = (
    *("StartDateTime", "CurrentDateTime", "PipelineName", "PipelineArn"),
    *("PipelineExecutionId", "PipelineExecutionArn", "TrainingJobName", "ProcessingJobName"),
)
UNSUPPORTED = ("RetryPolicies",)  # of a step
TYPES = {"String": str, "Integer": int, "Float": float, "Boolean": bool}  # of parameters
DEFAULTS = {**TYPES, "Float": int | float}  # JSON may write 1.0 as 1
FALSE_AND_TRUE = {"false": False, "true": True}


@dataclass(frozen=True)
class Step:
    """One step. parent: the condition step and the outcome that it runs after; None for others.

    needs: the names of all steps that must have succeeded before.
    """

    name: str
    type: str
    given: Record
    parent: tuple[str, bool] | None = None
    needs: frozenset[str] = frozenset()

    @property
    def arguments(self) -> Record:
        found: Record = self.given.get("Arguments", {})
        return found


@dataclass(frozen=True)
class Definition:
    """parameters: as declared, by name. steps: by name, those within conditions, too."""

    parameters: dict[str, Record] = field(default_factory=dict)
    steps: dict[str, Step] = field(default_factory=dict)


def read(text: str) -> Definition:
    """A checked definition. ApiError with what is wrong with it, in one sentence."""
    try:
        document = read_json(text)
    except ValueError as error:
        raise invalid(f"PipelineDefinition is not JSON: {error}") from error
    try:
        return _checked(document)
    except (TypeError, AttributeError, LookupError, ValueError) as error:
        raise invalid(f"PipelineDefinition has a value of a wrong type: {error}") from error


def _checked(document: Any) -> Definition:
    if not isinstance(document, dict) or not isinstance(document.get("Steps"), list):
        raise invalid("PipelineDefinition must be a JSON object with the list Steps")
    if document.get("Version") not in VERSIONS:
        raise invalid(
            f"PipelineDefinition must have the Version {VERSIONS[0]}; "
            f"found {json.dumps(document.get('Version'))}"
        )
    if document.get("MlflowConfig"):
        raise invalid("local SageMaker: MlflowConfig of pipelines is not done here")
    parameters = {}
    for one in document.get("Parameters", []):
        _check_parameter(one)
        parameters[one["Name"]] = one
    steps: dict[str, Step] = {}
    for step in _steps(document["Steps"], None):
        if step.name in steps:
            raise invalid(f"Two steps have the name '{step.name}'")
        steps[step.name] = step
    if not steps:
        raise invalid("PipelineDefinition has no step")
    _check_order(steps, parameters)
    return Definition(parameters, steps)


def _check_parameter(given: Any) -> None:
    if not isinstance(given, dict) or not given.get("Name") or given.get("Type") not in TYPES:
        raise invalid(
            f"Each of Parameters needs a Name and a Type of {', '.join(TYPES)}; "
            f"found {json.dumps(given)[:200]}"
        )
    if not isinstance(given.get("EnumValues", []), list):
        raise invalid(f"EnumValues of the parameter '{given['Name']}' must be a list")
    if "DefaultValue" in given and not isinstance(given["DefaultValue"], DEFAULTS[given["Type"]]):
        raise invalid(
            f"DefaultValue of the parameter '{given['Name']}' must be of type {given['Type']}; "
            f"found {json.dumps(given['DefaultValue'])[:200]}"
        )


def _steps(given: Any, parent: tuple[str, bool] | None) -> Iterator[Step]:
    """All steps of a list and, below its conditions, of theirs."""
    if not isinstance(given, list):
        raise invalid("Steps, IfSteps and ElseSteps must be lists")
    for one in given:
        _check_step(one)
        arguments = one.get("Arguments", {})
        needs = set(one.get("DependsOn", []))
        own = {key: part for key, part in arguments.items() if key not in ("IfSteps", "ElseSteps")}
        for path in references({**one, "Arguments": own}):
            needs |= {name for name in path[1:2] if path[0] == "Steps"}
        check_expressions(one["Name"], one)
        if parent:
            needs.add(parent[0])
        yield Step(one["Name"], one["Type"], one, parent, frozenset(needs))
        if one["Type"] == CONDITION:
            for condition in arguments["Conditions"]:
                _check_condition(one["Name"], condition)
            for branch, outcome in (("IfSteps", True), ("ElseSteps", False)):
                yield from _steps(arguments.get(branch, []), (one["Name"], outcome))


def _check_step(given: Any) -> None:
    name = given.get("Name") if isinstance(given, dict) else None
    if not isinstance(name, str) or not STEP_NAME.fullmatch(name):
        raise invalid(
            "Each step needs a Name of 1 to 64 letters, digits, '-' and '_'; "
            f"found {json.dumps(name)[:200]}"
        )
    kind = given.get("Type")
    if kind not in OPERATIONS:
        raise invalid(
            f"local SageMaker: the step '{name}' is of type {kind}, which is not done here; "
            f"it does {', '.join(OPERATIONS)}"
        )
    for part in UNSUPPORTED:
        if given.get(part):
            raise invalid(f"local SageMaker: {part} of the step '{name}' is not done here")
    arguments = given.get("Arguments", {})
    if not isinstance(arguments, dict):
        raise invalid(f"Arguments of the step '{name}' must be a JSON object")
    if not isinstance(given.get("CacheConfig", {}), dict):
        raise invalid(f"CacheConfig of the step '{name}' must be a JSON object")
    if kind == CONDITION and not isinstance(arguments.get("Conditions"), list):
        raise invalid(f"The condition step '{name}' needs the list Conditions")
    if kind == "Fail" and "ErrorMessage" not in arguments:
        raise invalid(f"The fail step '{name}' needs an ErrorMessage")


def _check_condition(step: str, given: Record) -> None:
    kind = given.get("Type")
    needed = {"In": ("QueryValue", "Values"), "Not": ("Condition",), "Or": ("Conditions",)}
    needed |= dict.fromkeys(COMPARISONS, ("LeftValue", "RightValue"))
    if kind not in needed:
        raise invalid(
            f"A condition of the step '{step}' has the Type {kind}; it must be one of "
            f"{', '.join(needed)}"
        )
    for part in needed[kind]:
        if part not in given:
            raise invalid(f"A condition {kind} of the step '{step}' has no {part}")
    for inner in [given["Condition"]] if kind == "Not" else given.get("Conditions", []):
        _check_condition(step, inner)


def _check_order(steps: dict[str, Step], parameters: dict[str, Record]) -> None:
    """ApiError for a name that nothing has, and for steps that wait for each other."""
    for step in steps.values():
        for missing in sorted(step.needs - set(steps)):
            raise invalid(f"The step '{step.name}' depends on '{missing}', which is no step")
        for path in references(step.given):
            _check_reference(step.name, path, steps, parameters)
    try:
        graphlib.TopologicalSorter({step.name: step.needs for step in steps.values()}).prepare()
    except graphlib.CycleError as error:
        raise invalid(f"Steps wait for each other: {', '.join(error.args[1])}") from error


def _check_reference(
    step: str, path: list[str], steps: dict[str, Step], parameters: dict[str, Record]
) -> None:
    known: dict[str, Collection[str]] = {
        "Parameters": parameters,
        "Steps": steps,
        "Execution": VARIABLES,
    }
    if path[0] not in known or len(path) < 2:
        raise invalid(f"The step '{step}' gets '{'.'.join(path)}', which nothing here has")
    if path[1] not in known[path[0]]:
        raise invalid(f"The step '{step}' gets '{'.'.join(path)}': there is no '{path[1]}'")


def parameters_of(definition: Definition, given: list[Record]) -> Record:
    """The values of an execution's parameters. ApiError for one that is unknown, wrong or missing.

    given: Name and Value of each, as texts.
    """
    texts = {one["Name"]: one["Value"] for one in given}
    for name in texts:
        if name not in definition.parameters:
            raise invalid(f"The pipeline has no parameter '{name}'")
    values = {}
    for name, declared in definition.parameters.items():
        if name in texts:
            values[name] = _typed(name, declared, texts[name])
        elif "DefaultValue" in declared:
            values[name] = declared["DefaultValue"]
        else:
            raise invalid(f"The parameter '{name}' has no default: give its value")
        allowed = declared.get("EnumValues")
        if allowed and values[name] not in allowed:
            raise invalid(
                f"The parameter '{name}' must be one of {', '.join(map(str, allowed))}; "
                f"found {values[name]}"
            )
    return values


def _typed(name: str, declared: Record, text: str) -> Any:
    kind = declared["Type"]
    wrong: ApiError = invalid(f"The parameter '{name}' must be of type {kind}; found '{text}'")
    if kind == "Boolean":
        if text.lower() not in FALSE_AND_TRUE:
            raise wrong
        return FALSE_AND_TRUE[text.lower()]
    try:
        value = TYPES[kind](text)
    except ValueError as error:
        raise wrong from error
    if kind == "Float" and not math.isfinite(value):
        raise wrong
    return value
