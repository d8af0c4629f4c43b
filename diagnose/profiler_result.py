"""What a profiler rule answers, and the figures that several rules give."""

from dataclasses import asdict, dataclass, field

import numpy as np

SCAN_US = 60_000_000  # SageMaker's rules look at a running job once a minute


@dataclass(frozen=True)
class Result:
    """One rule's answer. triggered: how many of the scans, a minute each, it fired at; 0 means that all is well, or that `not_evaluated` says why not."""

    rule: str
    triggered: int = 0
    violations: int = 0
    datapoints: int = 0
    details: dict = field(default_factory=dict)
    parameters: str = ""
    finding: str = ""
    not_evaluated: str = ""

    def document(self) -> dict:
        """The JSON that SageMaker writes for a rule."""
        return {
            "RuleTriggered": self.triggered,
            "Violations": self.violations,
            "Details": self.details,
            "Datapoints": self.datapoints,
            "RuleParameters": self.parameters,
        }


def format_parameters(parameters) -> str:
    """A parameter dataclass as SageMaker writes it: `name:value` lines, without the scan interval."""
    return "\n".join(
        f"{name}:{value}"
        for name, value in asdict(parameters).items()
        if name != "scan_interval_us"
    )


def scan_counts(times: np.ndarray, start: float, scan_interval_us: int) -> np.ndarray:
    """How many of the rising times lie before the end of each scan in which any lies; the last sees all. int64 [scans]."""
    scans = np.ceil((times - start) / (scan_interval_us / 1e6))
    ends = np.flatnonzero(np.diff(scans) > 0) + 1
    return np.append(ends, len(times)) if len(times) else ends


def box(values: np.ndarray) -> dict[str, float]:
    """Quartiles, 5th and 95th percentile, and the whiskers of a box plot that end at the last value within 1.5 interquartile ranges."""
    p05, p25, p50, p75, p95 = np.quantile(values, [0.05, 0.25, 0.5, 0.75, 0.95])
    return {
        "p05": p05,
        "p25": p25,
        "p50": p50,
        "p75": p75,
        "p95": p95,
        "lower": max(p25 - 1.5 * (p75 - p25), values.min()),
        "upper": min(p75 + 1.5 * (p75 - p25), values.max()),
    }


def rounded(value, digits: int = 4):
    """The same nest of dicts and lists with Python's own numbers, ready for JSON."""
    if isinstance(value, dict):
        return {str(key): rounded(part, digits) for key, part in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [rounded(part, digits) for part in value]
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, (int, np.integer)):
        return int(value)
    return round(float(value), digits) if isinstance(value, (float, np.floating)) else value
