"""Clauses on what a training prints: lines, and metrics that regular expressions find in them."""

import re

from conformance.clauses import TRAINING, Broken, Kept, NotApplicable, Outcome, Settled, clause
from conformance.trainings import Trainings, plain

# CreateTrainingJob, MetricDefinition
METRICS = 40  # at most
NAME_LENGTH = 255  # characters
REGEX_LENGTH = 500  # characters
ESCAPE = re.compile(r"\x1b\[")  # starts a terminal's colours
SHOWN = 40  # characters of a metric's name in a result


@clause(TRAINING)
def metric_definitions(trainings: Trainings) -> Outcome:
    """There are at most 40 metrics. A name has at most 255 characters. A regular expression has
    at most 500 characters, and a group for the number.

    Source: CreateTrainingJob, MetricDefinition
    Fix: shorten names and expressions, and put (…) around the number
    """
    _settle_without_metrics(trainings)
    faults = []
    for name, pattern in trainings.patterns.items():
        short = name[:SHOWN]
        if len(name) > NAME_LENGTH:
            faults.append(f"{short} has {len(name)} characters")
        if len(pattern.pattern) > REGEX_LENGTH:
            faults.append(f"the expression of {short} has {len(pattern.pattern)} characters")
        if not pattern.groups:
            faults.append(f"the expression of {short} has no group")
    if len(trainings.patterns) > METRICS:
        faults.append(f"there are {len(trainings.patterns)}")
    if faults:
        return Broken("; ".join(faults))
    return Kept(f"{len(trainings.patterns)} metrics")


@clause(TRAINING)
def metric_lines(trainings: Trainings) -> Outcome:
    """Every declared regular expression finds a number in the training's output.

    Source: CreateTrainingJob, MetricDefinition.Regex; developer guide, "Define metrics"
    Fix: print a line that the expression matches, such as name=value, or correct the expression
    """
    _settle_without_metrics(trainings)
    if not all(pattern.groups for pattern in trainings.patterns.values()):
        return NotApplicable("an expression has no group; see metric_definitions")
    run = trainings.once(plain)
    found = trainings.measured(run)
    for name, regex in trainings.job.metrics.items():
        if name not in found:
            return Broken(f"'{regex}' of {name} finds no number in {len(run.lines)} lines")
    return Kept(", ".join(f"{name} {value:g}" for name, value in found.items()))


@clause(TRAINING)
def log_is_flat(trainings: Trainings) -> Outcome:
    """The output is plain lines: no carriage returns of progress bars, and no colours. The log
    and the metrics are read line by line.

    Source: developer guide, "Log Amazon SageMaker events with Amazon CloudWatch"
    Fix: turn off progress bars and colours, for example by tqdm's disable=True; print one line
        per epoch
    """
    lines = trainings.once(plain).lines
    for _, line in lines:
        if "\r" in line or ESCAPE.search(line):
            return Broken(f"it printed {line[:100]!r}")
    return Kept(f"{len(lines)} lines")


def _settle_without_metrics(trainings: Trainings) -> None:
    if not trainings.patterns:
        why = (
            "no metrics are declared; name them and their expressions in --job's file, under "
            "metrics"
        )
        raise Settled(NotApplicable(why))
