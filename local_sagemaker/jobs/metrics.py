"""MetricDefinitions: numbers found by regular expressions in what a job prints."""

import math
import re
import time
from collections.abc import Callable

from local_sagemaker.contract import invalid
from local_sagemaker.record import Record


class JobMetrics:
    """The last value of each metric. on_value: gets each one that is found."""

    def __init__(
        self,
        definitions: list[Record],
        on_value: Callable[[Record], None] = lambda metric: None,
    ) -> None:
        self._on_value = on_value
        self._patterns = [
            (definition["Name"], re.compile(definition["Regex"])) for definition in definitions
        ]
        self._last: dict[str, Record] = {}

    def read(self, line: str) -> None:
        """One line of output: a pattern's first group is the value.

        Text that is not a number is passed over, as SageMaker does. So are nan and inf, which
        neither CloudWatch nor JSON has.
        """
        for name, pattern in self._patterns:
            for match in pattern.finditer(line):
                try:
                    value = float(match.group(1))
                except (ValueError, IndexError, TypeError):
                    continue
                if not math.isfinite(value):
                    continue
                # A later line replaces the value: FinalMetricDataList has the last one.
                found = {"MetricName": name, "Value": value, "Timestamp": time.time()}
                self._last[name] = found
                self._on_value(found)

    def final(self) -> list[Record]:
        """FinalMetricDataList."""
        return list(self._last.values())


def check(definitions: list[Record]) -> None:
    """ApiError for a pattern that is not valid, or has no group to take a value from."""
    for definition in definitions:
        subject = f"The regular expression of metric '{definition['Name']}'"
        try:
            groups = re.compile(definition["Regex"]).groups
        except re.error as error:
            raise invalid(f"{subject} is not valid: {error}") from error
        if not groups:
            raise invalid(
                f"{subject} has no group to take the value from: {definition['Regex']}",
            )
