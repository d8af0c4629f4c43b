"""SageMaker's own description of its API, as botocore carries it: what a request must be, and what of a record an answer shows.

It knows shapes only; what depends on other resources is checked where it is used.
"""

import datetime
import functools
import re
from typing import Any

import botocore.session
from botocore.model import OperationModel, Shape
from botocore.validate import ParamValidator

from local_sagemaker.record import Record

SERIALIZATION, VALIDATION, NOT_FOUND, IN_USE = (
    "SerializationException",
    "ValidationException",
    "ResourceNotFound",
    "ResourceInUse",
)


class ApiError(Exception):
    """What a caller did wrong: SageMaker's code for it and a sentence; status: of HTTP."""

    def __init__(self, code: str, message: str, status: int = 400, **fields: object) -> None:
        super().__init__(message)
        self.code, self.message, self.status, self.fields = code, message, status, fields


@functools.cache
def service(name: str = "sagemaker"):
    """botocore's model of a service: sagemaker or sagemaker-runtime."""
    return botocore.session.get_session().get_service_model(name)


def operation(name: str) -> OperationModel:
    """ApiError when SageMaker has no such operation."""
    if name not in service().operation_names:
        raise ApiError("UnknownOperationException", f"SageMaker has no operation '{name[:100]}'")
    return service().operation_model(name)


def check(name: str, request: object) -> Record:
    """The request, as the operation takes it. ApiError with SageMaker's words when it does not."""
    shape = operation(name).input_shape
    if not isinstance(request, dict):
        raise ApiError(SERIALIZATION, "the request's body must be a JSON object")
    report = ParamValidator().validate(_with_times(shape, request), shape).generate_report()
    wrong_types = [line for line in report.splitlines() if line.startswith("Invalid type")]
    if wrong_types:
        raise ApiError(SERIALIZATION, "; ".join(wrong_types))
    faults = list(_faults(shape, request, ""))
    if faults:
        count = f"{len(faults)} validation error{'s' if len(faults) > 1 else ''} detected"
        raise ApiError(VALIDATION, f"{count}: {'; '.join(faults)}")
    return request


def shown(shape: Shape, value: Any) -> Any:
    """As much of a record as the shape has members for; None where there is nothing."""
    if value is None:
        return None
    if shape.type_name == "structure":
        parts = {
            name: shown(member, value[name])
            for name, member in shape.members.items()
            if name in value
        }
        return {name: part for name, part in parts.items() if part is not None}
    if shape.type_name == "list":
        return [shown(shape.member, part) for part in value]
    if shape.type_name == "map":
        return {key: shown(shape.value, part) for key, part in value.items()}
    return value


def answer(name: str, record: Record) -> Record:
    """The operation's answer, out of a record that may hold more."""
    shape = operation(name).output_shape
    return shown(shape, record) if shape else {}


def _with_times(shape: Shape, value: Any) -> Any:
    """The value with numbers of seconds turned to dates where the shape has dates: what ParamValidator was written for."""
    if shape.type_name == "timestamp" and isinstance(value, (int, float)):
        return datetime.datetime.fromtimestamp(value, datetime.UTC)
    if shape.type_name == "structure" and isinstance(value, dict):
        return {
            name: _with_times(shape.members[name], part) if name in shape.members else part
            for name, part in value.items()
            if part is not None
        }
    if shape.type_name == "list" and isinstance(value, list):
        return [_with_times(shape.member, part) for part in value]
    return value


def _faults(shape: Shape, value: Any, where: str):
    """What is wrong with a value of the right types, in the service's words: botocore itself leaves these to the service."""
    if shape.type_name == "structure":
        for name in shape.required_members:
            if value.get(name) is None:
                yield _fault(None, _joined(where, name), "Member must not be null")
        for name, part in value.items():
            if name in shape.members and part is not None:
                yield from _faults(shape.members[name], part, _joined(where, name))
        if getattr(shape, "is_tagged_union", False) and len(value) != 1:
            yield _fault(
                sorted(value), where, f"Member must have exactly one of {', '.join(shape.members)}"
            )
        return
    yield from _own_faults(shape, value, where)
    if shape.type_name == "list":
        for number, part in enumerate(value, 1):
            yield from _faults(shape.member, part, f"{where}.{number}.member")
    elif shape.type_name == "map":
        for key, part in value.items():
            yield from _faults(shape.key, key, where)
            yield from _faults(shape.value, part, f"{where}.{key}.member")


def _own_faults(shape: Shape, value: Any, where: str):
    limits = shape.metadata
    if limits.get("enum") and value not in limits["enum"]:
        yield _fault(
            value, where, f"Member must satisfy enum value set: [{', '.join(limits['enum'])}]"
        )
    folder = (
        shape.name == "S3Uri" and isinstance(value, str) and value.startswith(("file:///", "/"))
    )  # ours: a folder in S3's place
    if (
        limits.get("pattern")
        and isinstance(value, str)
        and not folder
        and not _matches(limits["pattern"], value)
    ):
        yield _fault(
            value, where, f"Member must satisfy regular expression pattern: {limits['pattern']}"
        )
    number = isinstance(value, (int, float))
    size, noun = (
        (value, "value")
        if number
        else (len(value), "length")
        if isinstance(value, (str, list, dict))
        else (None, "")
    )
    if size is None:
        return
    if "max" in limits and size > limits["max"]:
        yield _fault(value, where, f"Member must have {noun} less than or equal to {limits['max']}")
    if "min" in limits and size < limits["min"]:
        yield _fault(
            value, where, f"Member must have {noun} greater than or equal to {limits['min']}"
        )


def _matches(pattern: str, value: str) -> bool:
    """A pattern of Java's, where Python can read it; one that it cannot is left to the service."""
    try:
        for name, python in (
            (r"\p{L}", "a-zA-Z\u00c0-\uffff"),
            (r"\p{Z}", r"\s"),
            (r"\p{N}", r"\d"),
        ):
            pattern = pattern.replace(name, python)
        return re.fullmatch(pattern, value, re.DOTALL) is not None
    except re.error:
        return True


def _fault(value: Any, where: str, constraint: str) -> str:
    found = "null" if value is None else f"'{value}'"
    return f"Value {found} at '{where}' failed to satisfy constraint: {constraint}"


def _joined(where: str, name: str) -> str:
    """trainingJobName, algorithmSpecification.trainingImage: the service's errors write members so."""
    name = name[0].lower() + name[1:]
    return f"{where}.{name}" if where else name
