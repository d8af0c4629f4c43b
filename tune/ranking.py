"""All trials of a chain of tuning jobs as one ranking: what table, page and CSV say alike.

It knows nothing of how the trials ran. A value counts when it is finite and its trial did not fail; a trial that was stopped early counts.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from tune.results import Trial, TuningJob

OUTLIER = 10  # times the median: from there on a longest bar would flatten all others
CUT = 4  # times the median: where the bars end then


@dataclass(frozen=True)
class Entry:
    """A trial and its place: number counts the trials of all jobs in the order of their start, from 1."""

    job: TuningJob
    trial: Trial
    number: int

    @property
    def value(self) -> float | None:
        """The objective that ranks it; None without one, for one that is not finite, and for a trial that failed."""
        value = self.trial.objective
        return (
            None
            if value is None or not math.isfinite(value) or self.trial.status == "Failed"
            else value
        )

    @property
    def ended(self) -> bool:
        return self.trial.status in ("Completed", "Stopped")

    def setting(self, name: str) -> str:
        """What the trial ran with, empty when that is not known."""
        return str(self.trial.hyperparameters.get(name, self.job.static.get(name, "")))

    @property
    def short_name(self) -> str:
        """The trial's name without that of its job, where it starts with it."""
        name = self.trial.name
        return (
            name.removeprefix(self.job.name).lstrip("-_ ") or name
            if name.startswith(self.job.name)
            else name
        )

    def why(self) -> str:
        """Why it has no value, in words."""
        if self.trial.reason:
            return self.trial.reason
        if self.trial.status == "InProgress":
            return "running"
        if self.trial.objective is not None and not math.isfinite(self.trial.objective):
            return f"its last objective is {self.trial.objective}"
        return "gave no reason" if self.trial.status == "Failed" else "told no objective"


@dataclass(frozen=True)
class Ranking:
    """The trials of jobs that start from each other, parents first. The last job's objective and direction hold for all."""

    jobs: tuple[TuningJob, ...]

    @property
    def last(self) -> TuningJob:
        return self.jobs[-1]

    @cached_property
    def entries(self) -> tuple[Entry, ...]:
        pairs = [(job, trial) for job in self.jobs for trial in job.trials]
        return tuple(
            Entry(job, trial, number) for number, (job, trial) in enumerate(pairs, start=1)
        )

    @cached_property
    def told(self) -> tuple[Entry, ...]:
        """Those with a value, the best first, the earlier first among equals."""
        sign = -1 if self.last.direction == "Maximize" else 1
        return tuple(
            sorted(
                (entry for entry in self.entries if entry.value is not None),
                key=lambda entry: sign * entry.value,
            )
        )

    @cached_property
    def untold(self) -> tuple[Entry, ...]:
        """Those without a value, in the order of their start."""
        return tuple(entry for entry in self.entries if entry.value is None)

    @cached_property
    def comparable(self) -> bool:
        """Whether the jobs' values measure the same: not after a transfer to other data, nor for another objective."""
        return all(
            job.warm_start != "TransferLearning"
            and (job.objective, job.direction) == (self.last.objective, self.last.direction)
            for job in self.jobs
        )

    @cached_property
    def best(self) -> Entry | None:
        """The best that ended: of all jobs, of the last one alone when their values do not compare."""
        return next(
            (
                entry
                for entry in self.told
                if entry.ended and (self.comparable or entry.job is self.last)
            ),
            None,
        )

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Hyperparameters that a job searched, then those that jobs were given differently, in the jobs' order."""
        searched = dict.fromkeys(name for job in self.jobs for name in job.ranges)
        searched |= dict.fromkeys(name for entry in self.entries for name in entry.trial.tuned)
        given = {
            name: {job.static.get(name) for job in self.jobs}
            for job in self.jobs
            for name in job.static
        }
        return (
            *searched,
            *(name for name, values in given.items() if len(values) > 1 and name not in searched),
        )

    @cached_property
    def constant(self) -> dict[str, str]:
        """Hyperparameters that all jobs were given alike."""
        return {name: value for name, value in self.last.static.items() if name not in self.columns}

    def searched(self, entry: Entry, name: str) -> bool:
        """Whether the search chose this value; else it was static in that job."""
        return name in entry.trial.tuned or name in entry.job.ranges

    def counts(self) -> str:
        """The trials in words, such as '28 trials: 26 completed, 1 stopped, 1 failed'."""
        states = {
            words: sum(entry.trial.status == status for entry in self.entries)
            for status, words in (
                ("Completed", "completed"),
                ("Stopped", "stopped"),
                ("Failed", "failed"),
                ("InProgress", "running"),
            )
        }
        count = len(self.entries)
        known = ", ".join(f"{number} {words}" for words, number in states.items() if number)
        return f"{count} trial{'' if count == 1 else 's'}" + (f": {known}" if count else "")

    def notes(self) -> list[str]:
        """What a reader must know before comparing values."""
        if self.comparable:
            return []
        others = sorted({job.objective for job in self.jobs} - {self.last.objective})
        cause = "a job with warm start TransferLearning may have other data than its parents"
        if others:
            cause = f"{', '.join(others)} is another objective than {self.last.objective}"
        return [
            f"Values of different jobs may not compare, as {cause}: the best is that of {self.last.name} alone."
        ]


@dataclass(frozen=True)
class Bars:
    """How long the bars of values are. low: the value of no bar, 0 unless values are negative; high: of a whole one, cut below far outliers."""

    low: float
    high: float

    def share(self, value: float) -> float:
        return (
            min(1.0, max(0.0, (value - self.low) / (self.high - self.low)))
            if self.high > self.low
            else 1.0
        )

    def cut(self, value: float) -> bool:
        return value > self.high


def bars(values: Sequence[float]) -> Bars:
    """The scale for these values, all finite."""
    if not values:
        return Bars(0.0, 1.0)
    ordered = sorted(values)
    median, low, high = ordered[len(ordered) // 2], min(0.0, ordered[0]), ordered[-1]
    return Bars(low, CUT * median if low == 0 and 0 < OUTLIER * median < high else max(high, low))


def short(text: str) -> str:
    """A hyperparameter's value to look at: long fractions in six digits, all else as it is."""
    value = number(text)
    return f"{value:.6g}" if value is not None and len(text) > 8 and "." in text else text


def number(text: str) -> float | None:
    """The value of a text; None for what is no finite number."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def words_of_range(search: dict) -> str:
    """A range as one reads it: '0.005 to 0.015, logarithmic', '16 | 20 | 30'."""
    if search.get("type") == "Categorical":
        return " | ".join(str(value) for value in search.get("values", ()))
    scale = {"Logarithmic": ", logarithmic", "ReverseLogarithmic": ", reverse logarithmic"}.get(
        str(search.get("scale", "")), ""
    )
    return f"{_short(search.get('min'))} to {_short(search.get('max'))}{scale}"


def _short(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
