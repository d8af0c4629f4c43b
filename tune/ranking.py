"""All trials of a chain of tuning jobs as one ranking: the same for table, page and CSV.

It knows nothing of how the trials ran. A value counts when it is finite and its trial did not fail;
a trial that was stopped early counts.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from tune.results import Trial, TuningJob

OUTLIER = 10  # times the median: from there on a longest bar would flatten all others
CUT = 4  # times the median: where the bars end then
LONG_TEXT = 8  # characters: longer fractions are shown in six digits
STATES = {
    "Completed": "completed",
    "Stopped": "stopped",
    "Failed": "failed",
    "InProgress": "running",
}
SCALES = {"Logarithmic": ", logarithmic", "ReverseLogarithmic": ", reverse logarithmic"}


@dataclass(frozen=True)
class Entry:
    """A trial of a job. number: over all jobs, in the order of their start, from 1."""

    job: TuningJob
    trial: Trial
    number: int

    @property
    def value(self) -> float | None:
        """The objective that ranks it: None for a trial that failed or has no finite one."""
        value = self.trial.objective
        if value is None or self.trial.status == "Failed":
            return None
        if not math.isfinite(value):
            return None
        return value

    @property
    def score(self) -> float:
        """The value of an entry that is ranked."""
        assert self.value is not None
        return self.value

    @property
    def ended(self) -> bool:
        """Whether it came to an end that counts."""
        return self.trial.status in ("Completed", "Stopped")

    def setting(self, name: str) -> str:
        """A hyperparameter's value in this trial, empty when that is not known."""
        static = self.job.static.get(name, "")
        return str(self.trial.hyperparameters.get(name, static))

    @property
    def short_name(self) -> str:
        """The trial's name without that of its job, where it starts with it."""
        name = self.trial.name
        if not name.startswith(self.job.name):
            return name
        return name.removeprefix(self.job.name).lstrip("-_ ") or name

    def why(self) -> str:
        """Why it has no value, in words."""
        if self.trial.reason:
            return self.trial.reason
        if self.trial.status == "InProgress":
            return "running"
        objective = self.trial.objective
        if objective is not None and not math.isfinite(objective):
            return f"its last objective is {objective}"
        if self.trial.status == "Failed":
            return "gave no reason"
        return "printed no objective"


@dataclass(frozen=True)
class Ranking:
    """The trials of jobs that start from each other, parents first.

    The last job's objective and direction hold for all.
    """

    jobs: tuple[TuningJob, ...]

    @property
    def last(self) -> TuningJob:
        """The job that starts from the others."""
        return self.jobs[-1]

    @cached_property
    def entries(self) -> tuple[Entry, ...]:
        """All trials in the order of the jobs and of their start."""
        entries: list[Entry] = []
        for job in self.jobs:
            for trial in job.trials:
                entries.append(Entry(job, trial, number=len(entries) + 1))
        return tuple(entries)

    @cached_property
    def ranked(self) -> tuple[Entry, ...]:
        """The entries with a value, the best first, the earlier first among equals."""
        valued = [entry for entry in self.entries if entry.value is not None]
        # Python's sort keeps the order of equals, in reverse as well.
        highest_first = self.last.direction == "Maximize"
        return tuple(sorted(valued, key=lambda entry: entry.score, reverse=highest_first))

    @cached_property
    def unranked(self) -> tuple[Entry, ...]:
        """The entries without a value, in the order of their start."""
        return tuple(entry for entry in self.entries if entry.value is None)

    @cached_property
    def comparable(self) -> bool:
        """Whether the jobs' values measure the same.

        They do not after a transfer to other data, nor for another objective.
        """
        wanted = (self.last.objective, self.last.direction)
        for job in self.jobs:
            if job.warm_start == "TransferLearning":
                return False
            if (job.objective, job.direction) != wanted:
                return False
        return True

    @cached_property
    def best(self) -> Entry | None:
        """The best that ended: of all jobs, or of the last one when their values do not compare."""
        for entry in self.ranked:
            if entry.ended and (self.comparable or entry.job is self.last):
                return entry
        return None

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The hyperparameters that differ: those that a job searched, then those that jobs were
        given differently, in the jobs' order."""
        searched: list[str] = []
        static: list[str] = []
        for job in self.jobs:
            searched += job.ranges
            static += job.static
        for entry in self.entries:
            searched += entry.trial.tuned
        different = [name for name in static if len(self._static_values(name)) > 1]
        return tuple(dict.fromkeys([*searched, *different]))

    def _static_values(self, name: str) -> set[str | None]:
        """The values that the jobs were given for a hyperparameter; None where it is not static."""
        return {job.static.get(name) for job in self.jobs}

    @cached_property
    def constant(self) -> dict[str, str]:
        """Hyperparameters that all jobs were given alike."""
        static = self.last.static
        return {name: static[name] for name in static if name not in self.columns}

    def searched(self, entry: Entry, name: str) -> bool:
        """Whether the search chose this value; else it was static in that job."""
        return name in entry.trial.tuned or name in entry.job.ranges

    def counts(self) -> str:
        """The trials in words, such as '28 trials: 26 completed, 1 stopped, 1 failed'."""
        head = counted_trials(len(self.entries))
        parts = []
        for status, words in STATES.items():
            number = sum(entry.trial.status == status for entry in self.entries)
            if number:
                parts.append(f"{number} {words}")
        if not parts:
            return head
        return f"{head}: {', '.join(parts)}"

    def notes(self) -> list[str]:
        """Warnings for a reader who compares values."""
        if self.comparable:
            return []
        objectives = {job.objective for job in self.jobs}
        others = sorted(objectives - {self.last.objective})
        cause = "a job with warm start TransferLearning may have other data than its parents"
        if others:
            cause = f"{', '.join(others)} is another objective than {self.last.objective}"
        return [
            f"Values of different jobs may not compare, as {cause}: "
            f"the best is that of {self.last.name} alone."
        ]


@dataclass(frozen=True)
class Bars:
    """How long the bars of values are.

    low: the value of no bar, 0 unless values are negative; high: of a whole one, cut below far
    outliers.
    """

    low: float
    high: float

    def share(self, value: float) -> float:
        """The length of a value's bar, 0 to 1."""
        if self.high <= self.low:
            return 1.0
        share = (value - self.low) / (self.high - self.low)
        return min(1.0, max(0.0, share))

    def cut(self, value: float) -> bool:
        """Whether the value is beyond a whole bar."""
        return value > self.high


def bars(values: Sequence[float]) -> Bars:
    """The scale for these values, all finite."""
    if not values:
        return Bars(0.0, 1.0)
    ordered = sorted(values)
    median = ordered[len(ordered) // 2]
    low = min(0.0, ordered[0])  # bars begin at 0: a bar of half the length is half the value
    high = ordered[-1]
    if low == 0 and 0 < OUTLIER * median < high:
        return Bars(low, CUT * median)
    return Bars(low, max(high, low))


def short(text: str) -> str:
    """A hyperparameter's value to look at: long fractions in six digits, all else as it is."""
    value = number(text)
    if value is None or len(text) <= LONG_TEXT or "." not in text:
        return text
    return f"{value:.6g}"


def number(text: str) -> float | None:
    """The value of a text; None where that is not a finite number."""
    try:
        value = float(text)
    except ValueError:
        return None
    if not math.isfinite(value):
        return None
    return value


def counted_trials(count: int) -> str:
    """A number of trials in words."""
    if count == 1:
        return "1 trial"
    return f"{count} trials"


def words_of_range(search: Mapping[str, object]) -> str:
    """A range as one reads it: '0.005 to 0.015, logarithmic', '16 | 20 | 30'."""
    if search.get("type") == "Categorical":
        values = search.get("values", ())
        assert isinstance(values, Sequence)
        return " | ".join(str(value) for value in values)
    scale = SCALES.get(str(search.get("scale", "")), "")
    return f"{_short(search.get('min'))} to {_short(search.get('max'))}{scale}"


def _short(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return str(value)
