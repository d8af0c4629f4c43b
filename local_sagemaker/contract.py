"""SageMaker's own description of its API, as botocore carries it: requests and answers.

It knows shapes only; what depends on other resources is checked where it is used.
"""

import datetime
import functools
import itertools
import re
from collections.abc import Iterator
from typing import Any

import botocore.session
from botocore.model import ListShape, MapShape, OperationModel, ServiceModel, Shape, StructureShape
from botocore.validate import ParamValidator

from local_sagemaker.folders import folder_fault, is_folder
from local_sagemaker.json_values import odd_values
from local_sagemaker.members import refused
from local_sagemaker.record import Record

# The codes of errors, as SageMaker has them; boto3 makes its exceptions of them.
SERIALIZATION = "SerializationException"
VALIDATION = "ValidationException"
RUNTIME_VALIDATION = "ValidationError"  # sagemaker-runtime's name for it
NOT_FOUND = "ResourceNotFound"
IN_USE = "ResourceInUse"

MOST_FAULTS = 10  # of a request, in one answer
SHOWN = 500  # characters of a value in an answer
LONGEST = 2**16  # characters of a text that a pattern is tried on

IN_S3 = "(https|s3)://"  # with which the pattern of every place in S3 begins
# Character classes that Java's regular expressions have, and what stands for them in Python's.
JAVA_CLASSES = {r"\p{L}": "a-zA-Z\u00c0-\uffff", r"\p{Z}": r"\s", r"\p{N}": r"\d"}


class ApiError(Exception):
    """What a caller did wrong: SageMaker's code for it and a sentence; status: of HTTP."""

    def __init__(self, code: str, message: str, status: int = 400, **fields: object) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.fields = fields


def invalid(message: str) -> ApiError:
    """The error for a request that SageMaker, or this server, does not take."""
    return ApiError(VALIDATION, message)


@functools.cache
def service(name: str = "sagemaker") -> ServiceModel:
    """botocore's model of a service: sagemaker or sagemaker-runtime."""
    return botocore.session.get_session().get_service_model(name)


def operation(name: str, service_name: str = "sagemaker") -> OperationModel:
    """ApiError when SageMaker has no such operation."""
    if name not in service(service_name).operation_names:
        raise ApiError("UnknownOperationException", f"SageMaker has no operation '{name[:100]}'")
    model: OperationModel = service(service_name).operation_model(name)
    return model


def check(name: str, request: object, service_name: str = "sagemaker") -> Record:
    """The request, as the operation takes it. ApiError with SageMaker's words when it does not.

    Members that the operation does not have are left out, and so is null: in JSON it is as good as
    a member left out.
    """
    shape = operation(name, service_name).input_shape
    assert shape is not None, f"{name} takes no request"
    if not isinstance(request, dict):
        raise ApiError(SERIALIZATION, "the request's body must be a JSON object")
    # The types first: the other checks assume the right ones, as the service does.
    odd = list(odd_values(shape, request, ""))
    if odd:
        raise ApiError(SERIALIZATION, "; ".join(odd[:MOST_FAULTS]))
    report = ParamValidator().validate(_with_times(shape, request), shape).generate_report()
    wrong_types = [line for line in report.splitlines() if line.startswith("Invalid type")]
    if wrong_types:
        raise ApiError(SERIALIZATION, "; ".join(line[:SHOWN] for line in wrong_types[:MOST_FAULTS]))
    known: Record = shown(shape, request)
    faults = list(_faults(shape, known, ""))
    if faults:
        count = f"{len(faults)} validation errors detected"
        if len(faults) == 1:
            count = "1 validation error detected"
        raise ApiError(VALIDATION, f"{count}: {'; '.join(faults[:MOST_FAULTS])}")
    not_done = list(refused(shape, known))
    if not_done:
        raise invalid(f"local SageMaker: {', '.join(not_done[:MOST_FAULTS])} is not done here")
    return known


def check_headers(operation_name: str, headers: Record) -> None:
    """ApiError for headers of sagemaker-runtime's that it would not take. By lower-case names."""
    shape = service("sagemaker-runtime").operation_model(operation_name).input_shape
    assert shape is not None, f"{operation_name} takes no request"
    for name, member in shape.members.items():
        value = headers.get(member.serialization.get("name", "").lower())
        if value is None:
            continue
        where = _joined("", name)
        faults = list(_faults(member, value, where))
        if member.type_name == "integer" and not re.fullmatch("[0-9]{1,9}", value):
            faults = [_fault(value, where, "Member must be a whole number")]
        elif member.type_name == "integer":
            faults = list(_faults(member, int(value), where))
        if faults:
            raise ApiError(RUNTIME_VALIDATION, f"1 validation error detected: {faults[0]}")


def shown(shape: Shape, value: Any) -> Any:
    """As much of a record as the shape has members for; None where there is nothing."""
    if value is None:
        return None
    if isinstance(shape, StructureShape):
        parts = {}
        for name, member in shape.members.items():
            part = shown(member, value.get(name))
            if part is not None:
                parts[name] = part
        return parts
    if isinstance(shape, ListShape):
        return [shown(shape.member, part) for part in value]
    if isinstance(shape, MapShape):
        return {key: shown(shape.value, part) for key, part in value.items()}
    return value


def answer(name: str, record: Record) -> Record:
    """The operation's answer, out of a record that may hold more."""
    shape = operation(name).output_shape
    if shape is None:
        return {}
    found: Record = shown(shape, record)
    return found


def _with_times(shape: Shape, value: Any) -> Any:
    """The value with seconds turned into dates where the shape has dates.

    ParamValidator was written for dates; JSON has numbers.
    """
    if shape.type_name == "timestamp" and isinstance(value, (int, float)):
        return datetime.datetime.fromtimestamp(value, datetime.UTC)
    if isinstance(shape, StructureShape) and isinstance(value, dict):
        parts = {}
        for name, part in value.items():
            if name in shape.members and part is not None:
                part = _with_times(shape.members[name], part)
            if part is not None:
                parts[name] = part
        return parts
    if isinstance(shape, ListShape) and isinstance(value, list):
        return [_with_times(shape.member, part) for part in value]
    return value


def _faults(shape: Shape, value: Any, where: str) -> Iterator[str]:
    """What is wrong with a value of the right types, in the service's words.

    botocore itself leaves these checks to the service.
    """
    if isinstance(shape, StructureShape):
        yield from _faults_of_structure(shape, value, where)
        return
    yield from itertools.islice(_own_faults(shape, value, where), MOST_FAULTS)
    if isinstance(shape, ListShape):
        for number, part in enumerate(value, 1):
            yield from _faults(shape.member, part, f"{where}.{number}.member")
    elif isinstance(shape, MapShape):
        for key, part in value.items():
            yield from _faults(shape.key, key, where)
            yield from _faults(shape.value, part, f"{where}.{key}.member")


def _faults_of_structure(shape: StructureShape, value: Record, where: str) -> Iterator[str]:
    for name in shape.required_members:
        if value.get(name) is None:
            yield _fault(None, _joined(where, name), "Member must not be null")
    for name, part in value.items():
        if name in shape.members and part is not None:
            yield from _faults(shape.members[name], part, _joined(where, name))
    # A union is a structure of which exactly one member may be set.
    if getattr(shape, "is_tagged_union", False) and len(value) != 1:
        names = ", ".join(shape.members)
        yield _fault(sorted(value), where, f"Member must have exactly one of {names}")


def _own_faults(shape: Shape, value: Any, where: str) -> Iterator[str]:
    """Faults of one value against its shape's enumeration, pattern, length and bounds."""
    limits = shape.metadata
    if limits.get("enum") and value not in limits["enum"]:
        allowed = ", ".join(limits["enum"])
        yield _fault(value, where, f"Member must satisfy enum value set: [{allowed}]")
    # The length first: a pattern on a text of megabytes may take minutes.
    pattern: str = limits.get("pattern", "")
    too_long = isinstance(value, str) and len(value) > min(limits.get("max", LONGEST), LONGEST)
    readable = pattern and isinstance(value, str) and not too_long
    if readable and pattern.lstrip("^").startswith(IN_S3) and is_folder(value):
        # Folders of this machine may stand in S3's place, below this server's roots.
        if fault := folder_fault(value):
            yield _fault(value, where, fault)
    elif readable and not _is_accepted(shape, pattern, value):
        rule = "Member must satisfy regular expression pattern"
        yield _fault(value, where, f"{rule}: {pattern}")
    # "min" and "max" bound a number itself, and the length of all else.
    if isinstance(value, (int, float)):
        size: float = value
        noun = "value"
    elif isinstance(value, (str, list, dict)):
        size = len(value)
        noun = "length"
    else:
        return
    if "max" in limits and size > limits["max"]:
        bound = f"less than or equal to {limits['max']}"
        yield _fault(value, where, f"Member must have {noun} {bound}")
    if "min" in limits and size < limits["min"]:
        bound = f"greater than or equal to {limits['min']}"
        yield _fault(value, where, f"Member must have {noun} {bound}")


def _is_accepted(shape: Shape, pattern: str, value: str) -> bool:
    """Whether a value fits a pattern of Java's; a pattern that Python cannot read fits all."""
    for java, python in JAVA_CLASSES.items():
        pattern = pattern.replace(java, python)
    try:
        return re.fullmatch(pattern, value, re.DOTALL) is not None
    except re.error:
        return True  # SageMaker itself will check it: better too lax here than a false refusal


def _fault(value: Any, where: str, constraint: str) -> str:
    found = "null"
    if value is not None:
        found = f"'{str(value)[:SHOWN]}'"
    return f"Value {found} at '{where}' failed to satisfy constraint: {constraint}"


def _joined(where: str, name: str) -> str:
    """A member's name as the service's errors have it: algorithmSpecification.trainingImage."""
    name = name[0].lower() + name[1:]
    if not where:
        return name
    return f"{where}.{name}"
