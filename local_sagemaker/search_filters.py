"""Search's filters: what a property is, and whether a record satisfies an expression.

Source: the API reference on Search, Filter, NestedFilters and SearchExpression.
"""

import contextlib
import datetime
from collections.abc import Callable, Iterator
from typing import Any

from botocore.model import ListShape, MapShape, Shape, StructureShape

from local_sagemaker.contract import invalid
from local_sagemaker.record import Record

NUMBER_TYPES = ("integer", "long", "float", "double")
TEXT, NUMBER, TIME, EITHER = "text", "number", "time", "text or number"
FLAG, OTHER = "true or false", "other"
ORDERED: dict[str, Callable[[Any, Any], bool]] = {
    "GreaterThan": lambda held, wanted: bool(held > wanted),
    "GreaterThanOrEqualTo": lambda held, wanted: bool(held >= wanted),
    "LessThan": lambda held, wanted: bool(held < wanted),
    "LessThanOrEqualTo": lambda held, wanted: bool(held <= wanted),
}
EXISTENCE = ("Exists", "NotExists")
METRICS = "Metrics"  # of a training: its last value of each metric, by name
TAGS = "Tags"
MOST_CONTAINS = 1  # of an expression
MOST_PARTS = 50  # filters and expressions within a request


def kind_of(shape: Shape, name: str) -> str:
    """Of which kind a property is. ApiError for one that the resource does not have."""
    first, _, rest = name.partition(".")
    if first == METRICS and rest and "FinalMetricDataList" in getattr(shape, "members", {}):
        return NUMBER
    if first == TAGS and rest:
        return TEXT
    found: Shape | None = shape
    path = name.split(".")
    while path and found is not None:
        while isinstance(found, ListShape):
            found = found.member
        if isinstance(found, MapShape):
            return EITHER  # a key may have dots in it
        found = found.members.get(path.pop(0)) if isinstance(found, StructureShape) else None
    if found is None:
        raise invalid(f"Unknown property name: {name}")
    if found.type_name in NUMBER_TYPES:
        return NUMBER
    kinds = {"string": TEXT, "timestamp": TIME, "boolean": FLAG}
    return kinds.get(found.type_name, OTHER)


def check_order(shape: Shape, name: str) -> None:
    """ApiError for a property that has no order."""
    if kind_of(shape, name) == OTHER:
        raise invalid(f"Search cannot sort by {name}, which has several values or parts")


def values_of(record: Record, name: str) -> list[Any]:
    """All values of a property; several where a list lies on its way."""
    first, _, rest = name.partition(".")
    if first == METRICS:
        metrics = record.get("FinalMetricDataList", [])
        return [metric["Value"] for metric in metrics if metric["MetricName"] == rest]
    if first == TAGS and rest:
        return [tag["Value"] for tag in record.get(TAGS, []) if tag["Key"] == rest]
    return [value for value in _below(record, name) if value is not None]


def _below(part: Any, name: str) -> Iterator[Any]:
    if isinstance(part, list):
        for one in part:
            yield from _below(one, name)
    elif not name:
        yield part
    elif isinstance(part, dict):
        first, _, rest = name.partition(".")
        if name in part:  # such as a hyperparameter with a dot in its name
            yield from _below(part[name], "")
        elif first in part:
            yield from _below(part[first], rest)


def check(shape: Shape, expression: Record) -> None:
    """ApiError for an expression that Search does not take."""
    filters = list(_filters(expression, ""))
    if not filters:
        raise invalid("SearchExpression must have at least one filter, nested filter or expression")
    if len(filters) > MOST_PARTS:
        raise invalid(f"SearchExpression has {len(filters)} filters; the most are {MOST_PARTS}")
    if sum(given.get("Operator") == "Contains" for _, given in filters) > MOST_CONTAINS:
        raise invalid(f"'CONTAINS' operator usage limit of {MOST_CONTAINS} exceeded.")
    for name, given in filters:
        _check_filter(kind_of(shape, name), name, given)


def _filters(expression: Record, within: str) -> Iterator[tuple[str, Record]]:
    """Each filter at any depth, with its property's whole name."""
    for given in expression.get("Filters", []):
        yield _whole(within, given["Name"]), given
    for nested in expression.get("NestedFilters", []):
        yield from _filters({"Filters": nested["Filters"]}, nested["NestedPropertyName"])
    for part in expression.get("SubExpressions", []):
        yield from _filters(part, "")


def _whole(within: str, name: str) -> str:
    """A nested filter may name its property from the record, or from the list's entry."""
    if not within or name.startswith(f"{within}."):
        return name
    return f"{within}.{name}"


def _check_filter(kind: str, name: str, given: Record) -> None:
    operator = operator_of(given)
    if operator in EXISTENCE:
        return
    if "Value" not in given:
        raise invalid(f"The operator {operator} on {name} needs a Value")
    if operator in ORDERED and kind in (TEXT, FLAG, OTHER):
        raise invalid(f"The operator {operator} is not supported for the text property {name}")
    if operator in ("Contains", "In") and kind in (NUMBER, TIME):
        raise invalid(f"The operator {operator} is only supported for text; {name} is a {kind}")
    if kind in (NUMBER, TIME):
        read(kind, name, given["Value"])


def operator_of(given: Record) -> str:
    return str(given.get("Operator", "Equals" if "Value" in given else "Exists"))


def read(kind: str, name: str, value: str) -> float:
    """A filter's value as a number; a time in seconds. ApiError for what is none."""
    try:
        if kind == NUMBER:
            return float(value)
        moment = datetime.datetime.fromisoformat(value)
    except ValueError as error:
        raise invalid(f"The value '{value}' of {name} is not a {kind}") from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    return moment.timestamp()


def satisfies(shape: Shape, expression: Record, record: Record) -> bool:
    """Whether a record fits an expression that `check` has let through."""
    answers = [fits(shape, given, record) for given in expression.get("Filters", [])]
    answers += [_fits_nested(shape, part, record) for part in expression.get("NestedFilters", [])]
    answers += [satisfies(shape, part, record) for part in expression.get("SubExpressions", [])]
    return any(answers) if expression.get("Operator") == "Or" else all(answers)


def _fits_nested(shape: Shape, nested: Record, record: Record) -> bool:
    """Whether a single entry of the list satisfies all filters."""
    within = nested["NestedPropertyName"]
    for entry in values_of(record, within):
        alone: Any = [entry]  # a list of one, as Tags are
        for part in reversed(within.split(".")):
            alone = {part: alone}
        wanted = [{**one, "Name": _whole(within, one["Name"])} for one in nested["Filters"]]
        if all(fits(shape, one, alone) for one in wanted):
            return True
    return False


def fits(shape: Shape, given: Record, record: Record) -> bool:
    """Whether one filter's condition holds."""
    name, operator = given["Name"], operator_of(given)
    found = values_of(record, name)
    if operator == "Exists":
        return bool(found)
    if operator == "NotExists":
        return not found
    kind, wanted = kind_of(shape, name), given["Value"]
    if operator == "NotEquals":
        return not any(_equals(kind, name, held, wanted) for held in found)
    if operator == "Equals":
        return any(_equals(kind, name, held, wanted) for held in found)
    if operator == "Contains":
        return any(wanted in str(held) for held in found)
    if operator == "In":
        listed = [one.strip() for one in wanted.split(",")]
        return any(str(held) in listed for held in found)
    return any(_ordered(ORDERED[operator], kind, name, held, wanted) for held in found)


def _equals(kind: str, name: str, held: Any, wanted: str) -> bool:
    if kind in (NUMBER, TIME):
        return bool(held == read(kind, name, wanted))
    if isinstance(held, bool):
        return str(held).lower() == wanted.lower()
    if kind == EITHER and str(held) != wanted:
        return _ordered(lambda one, other: bool(one == other), kind, name, held, wanted)
    return str(held) == wanted


def _ordered(
    compare: Callable[[Any, Any], bool], kind: str, name: str, held: Any, wanted: str
) -> bool:
    """A comparison of numbers; of a hyperparameter's text it fails where that is no number.

    A decimal hyperparameter is taken as an integer where the wanted value is one.
    """
    if kind != EITHER:
        return compare(held, read(kind, name, wanted))
    with contextlib.suppress(ValueError, OverflowError):
        number = float(held)
        if wanted.lstrip("+-").isdigit():
            number = int(number)
        return compare(number, float(wanted))
    return False
