"""MetricDefinitions: numbers found by regular expressions in what a job prints."""

import re
import time

from local_sagemaker.contract import VALIDATION, ApiError


class Measures:
    """The last value of each metric, and all of them in order."""

    def __init__(self, definitions: list[dict]):
        self._patterns = [
            (definition["Name"], re.compile(definition["Regex"])) for definition in definitions
        ]
        self.last: dict[str, dict] = {}
        self.history: list[tuple[str, float, float]] = []

    def read(self, line: str) -> None:
        """One line of output: a pattern's first group is the value; what is no number there is passed over."""
        for name, pattern in self._patterns:
            for match in pattern.finditer(line):
                try:
                    value, now = float(match.group(1)), time.time()
                except (ValueError, IndexError, TypeError):
                    continue
                self.last[name] = {"MetricName": name, "Value": value, "Timestamp": now}
                self.history.append((name, value, now))

    def final(self) -> list[dict]:
        """FinalMetricDataList."""
        return list(self.last.values())


def check(definitions: list[dict]) -> None:
    """ApiError for a pattern that is none, or has no group to take a value from."""
    for definition in definitions:
        try:
            groups = re.compile(definition["Regex"]).groups
        except re.error as error:
            raise ApiError(
                VALIDATION,
                f"The regular expression of metric '{definition['Name']}' is not valid: {error}",
            ) from error
        if not groups:
            raise ApiError(
                VALIDATION,
                f"The regular expression of metric '{definition['Name']}' has no group to take the value from: {definition['Regex']}",
            )
