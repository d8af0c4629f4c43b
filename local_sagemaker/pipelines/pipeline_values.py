"""The values of a pipeline's expressions: Get, Std:Join, Std:JsonGet, and its conditions."""

import operator
import re
from collections.abc import Callable
from typing import Any

from artifact.text.json_text import read_json
from local_sagemaker import objects
from local_sagemaker.job_ends import JobFailed
from local_sagemaker.pipelines.pipeline_expressions import JOIN, JSON_GET, PROPERTY_FILES, is_get
from local_sagemaker.record import Record

# One part of a path: .name, [3], ['name'] or ["name"].
PART = re.compile(r"""\.?([^.\[\]]+)|\[([0-9]{1,9})\]|\['([^']*)'\]|\["([^"]*)"\]""")
COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "Equals": operator.eq,
    "GreaterThan": operator.gt,
    "GreaterThanOrEqualTo": operator.ge,
    "LessThan": operator.lt,
    "LessThanOrEqualTo": operator.le,
}


class Values:
    """What an execution's expressions mean. JobFailed for one that has no value.

    parameters and variables: by name. properties: a step's description, by its name. files: the
    URI of a step's property file, by the names of both.
    """

    def __init__(
        self,
        parameters: Record,
        variables: Record,
        properties: Callable[[str], Record],
        files: Callable[[str, str], str],
    ) -> None:
        self._parameters = parameters
        self._variables = variables
        self._properties = properties
        self._files = files

    def of(self, part: Any) -> Any:
        """A nested value with all expressions replaced."""
        if isinstance(part, list):
            return [self.of(one) for one in part]
        if not isinstance(part, dict):
            return part
        if is_get(part):
            return self._get(part["Get"])
        if list(part) == [JOIN]:
            values = [_text(self.of(one)) for one in part[JOIN].get("Values", [])]
            return str(part[JOIN].get("On", "")).join(values)
        if list(part) == [JSON_GET]:
            return self._json_get(part[JSON_GET])
        return {name: self.of(one) for name, one in part.items()}

    def _get(self, path: str) -> Any:
        kind, name, *rest = path.split(".", 2)
        if kind == "Parameters":
            return self._parameters[name]
        if kind == "Execution":
            if name not in self._variables:
                raise JobFailed(f"ClientError: '{path}' has no value in this step")
            return self._variables[name]
        if not rest:
            raise JobFailed(f"ClientError: '{path}' names a step and nothing of it")
        return below(self._properties(name), rest[0], f"'{path}'")

    def _json_get(self, given: Record) -> Any:
        if "S3Uri" in given:
            uri = str(self.of(given["S3Uri"]))
        else:
            # Steps.NAME.PropertyFiles.FILE
            parts = given["PropertyFile"]["Get"].split(".", 3)
            if len(parts) < 4 or parts[2] != PROPERTY_FILES:
                raise JobFailed(f"ClientError: '{'.'.join(parts)}' is no property file")
            uri = self._files(parts[1], parts[3])
        try:
            document = read_json(objects.read(uri).decode())
        except (objects.ObjectError, ValueError) as error:
            raise JobFailed(f"ClientError: the JSON file {uri} cannot be read: {error}") from error
        return below(document, given["Path"], f"the path '{given['Path']}' of {uri}")

    def holds(self, condition: Record) -> bool:
        """Whether a condition is met."""
        kind = condition["Type"]
        if kind == "Not":
            return not self.holds(condition["Condition"])
        if kind == "Or":
            return any(self.holds(one) for one in condition["Conditions"])
        if kind == "In":
            values = self.of(condition["Values"])
            if not isinstance(values, list):
                raise JobFailed(f"ClientError: In needs a list of Values; found {values!r}")
            return self.of(condition["QueryValue"]) in values
        left, right = self.of(condition["LeftValue"]), self.of(condition["RightValue"])
        try:
            return COMPARE[kind](left, right)
        except TypeError as error:
            raise JobFailed(
                f"ClientError: {kind} cannot compare {left!r} with {right!r}"
            ) from error


def below(value: Any, path: str, what: str) -> Any:
    """What lies at a path such as Outputs['train'].S3Output.S3Uri. JobFailed where nothing does."""
    rest = path.removeprefix("$")
    while rest:
        found = PART.match(rest)
        if found is None:
            raise JobFailed(f"ClientError: {what} cannot be read")
        name, number, *quoted = found.groups()
        value = _member(value, name or quoted[0] or quoted[1], number)
        if value is None:
            raise JobFailed(f"ClientError: {what} has no value")
        rest = rest[found.end() :]
    return value


def _member(value: Any, name: str | None, number: str | None) -> Any:
    """A member by name or number; of a list by name, the entry that has this name."""
    if number is not None and isinstance(value, list):
        return value[int(number)] if int(number) < len(value) else None
    name = number if name is None else name
    if isinstance(value, dict):
        return value.get(name)
    if isinstance(value, list):
        return next((one for one in value if name in _names(one)), None)
    return None


def _names(entry: Any) -> list[Any]:
    """Of an output its OutputName, of a channel its ChannelName, and so on."""
    if not isinstance(entry, dict):
        return []
    return [part for key, part in entry.items() if key.endswith("Name")]


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)
