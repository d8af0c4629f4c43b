"""The answer of a profiler rule, and figures that several rules give."""

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from diagnose.profiler_data import Floats

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

SCAN_US = 60_000_000  # SageMaker's rules look at a running job once a minute

Details = dict[str, Any]  # JSON, of another shape for each rule


@dataclass(frozen=True)
class Result:
    """One rule's answer.

    triggered: the number of scans, one per minute, at which the rule fired; 0 means that all is
    well, unless `not_evaluated` gives a reason.
    """

    rule: str
    triggered: int = 0
    violations: int = 0
    datapoints: int = 0
    details: Details = field(default_factory=dict)
    parameters: str = ""
    finding: str = ""
    not_evaluated: str = ""

    def document(self) -> dict[str, object]:
        """The JSON that SageMaker writes for a rule."""
        return {
            "RuleTriggered": self.triggered,
            "Violations": self.violations,
            "Details": self.details,
            "Datapoints": self.datapoints,
            "RuleParameters": self.parameters,
        }


def answer(
    parameters: "DataclassInstance",
    details: Details,
    digits: int = 4,
    *,
    triggered: int = 0,
    violations: int = 0,
    datapoints: int = 0,
    finding: str = "",
    not_evaluated: str = "",
) -> Result:
    """A rule's answer, ready for JSON: details are rounded to so many digits.

    The rule is named as the class of its parameters.
    """
    return Result(
        rule=type(parameters).__name__,
        triggered=triggered,
        violations=violations,
        datapoints=datapoints,
        details=rounded(details, digits),
        parameters=format_parameters(parameters),
        finding=finding,
        not_evaluated=not_evaluated,
    )


def without_data(parameters: "DataclassInstance", reason: str) -> Result:
    """The answer of a rule that found nothing to evaluate."""
    return answer(parameters, {}, not_evaluated=reason)


def too_few(datapoints: int, patience: int) -> str:
    """The reason where there are too few measurements, else an empty text."""
    if datapoints > patience:
        return ""
    return f"{datapoints} measurements are not more than the {patience} that it waits for"


def format_parameters(parameters: "DataclassInstance") -> str:
    """Parameters as SageMaker writes them: `name:value` lines, without the scan interval."""
    values = asdict(parameters)
    del values["scan_interval_us"]
    return "\n".join(f"{name}:{value}" for name, value in values.items())


def scan_counts(times: Floats, start: float, scan_interval_us: int) -> NDArray[np.int64]:
    """How many of the rising times a scan sees: int64 [scans], for scans that see new ones.

    The last scan sees all.
    """
    scans = np.ceil((times - start) / (scan_interval_us / 1e6))
    ends = np.flatnonzero(np.diff(scans) > 0) + 1
    if not len(times):
        return ends
    return np.append(ends, len(times))


def box(values: Floats) -> dict[str, float]:
    """The figures of a box plot: quartiles, 5th and 95th percentile, whiskers.

    The whiskers `lower` and `upper` reach at most 1.5 interquartile ranges beyond the quartiles.
    """
    p05, p25, p50, p75, p95 = np.quantile(values, [0.05, 0.25, 0.5, 0.75, 0.95])
    reach = 1.5 * (p75 - p25)
    return {
        "p05": p05,
        "p25": p25,
        "p50": p50,
        "p75": p75,
        "p95": p95,
        "lower": max(p25 - reach, values.min()),
        "upper": min(p75 + reach, values.max()),
    }


def rounded(value: Any, digits: int = 4) -> Any:
    """The same nest of dicts and lists with Python's own numbers, ready for JSON."""
    if isinstance(value, dict):
        return {str(key): rounded(part, digits) for key, part in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [rounded(part, digits) for part in value]
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return round(float(value), digits)
    return value
