"""The expressions of a pipeline's definition, Get, Std:Join and Std:JsonGet: are they whole?

Source: the JSON that SageMaker's SDKs write, version 2020-12-01.
"""

from collections.abc import Iterator
from typing import Any

from local_sagemaker.contract import invalid

JOIN = "Std:Join"
JSON_GET = "Std:JsonGet"
PROPERTY_FILES = "PropertyFiles"


def is_get(part: Any) -> bool:
    return isinstance(part, dict) and list(part) == ["Get"] and isinstance(part["Get"], str)


def references(part: Any) -> Iterator[list[str]]:
    """The path of each Get in a nested value, such as [Steps, Train, ModelArtifacts…]."""
    if isinstance(part, list):
        for one in part:
            yield from references(one)
    elif isinstance(part, dict):
        if is_get(part):
            yield part["Get"].split(".", 2)
            return
        for one in part.values():
            yield from references(one)


def check_expressions(step: str, part: Any) -> None:
    """ApiError for a Std:Join or Std:JsonGet in a nested value of a step that lacks its parts."""
    if isinstance(part, list):
        for one in part:
            check_expressions(step, one)
    elif isinstance(part, dict):
        if list(part) == [JOIN] and not _is_join(part[JOIN]):
            raise invalid(f"A {JOIN} of the step '{step}' needs the list Values and a text On")
        if list(part) == [JSON_GET] and not _is_json_get(part[JSON_GET]):
            raise invalid(
                f"A {JSON_GET} of the step '{step}' needs a text Path, and S3Uri or a PropertyFile "
                f'{{"Get": "Steps.NAME.{PROPERTY_FILES}.FILE"}}'
            )
        for one in part.values():
            check_expressions(step, one)


def _is_join(given: Any) -> bool:
    if not isinstance(given, dict):
        return False
    return isinstance(given.get("Values", []), list) and isinstance(given.get("On", ""), str)


def _is_json_get(given: Any) -> bool:
    if not isinstance(given, dict) or not isinstance(given.get("Path"), str):
        return False
    if "S3Uri" in given:
        return isinstance(given["S3Uri"], str | dict)
    file: Any = given.get("PropertyFile")
    return is_get(file) and file["Get"].split(".", 3)[2:3] == [PROPERTY_FILES]
