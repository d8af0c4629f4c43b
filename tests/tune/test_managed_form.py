"""SageMaker's answers as results, part by part: statuses, texts, ranges, regexes, moments."""

import math
import re
from datetime import UTC, datetime
from typing import Any

import pytest

from tune.cloudwatch import _numbers, _values
from tune.managed import _reason
from tune.managed_form import (
    ManagedError,
    _all_ranges,
    _judged_by_curve,
    _plain,
    _ranges,
    _texts,
    _trial,
    names_of_parents,
    objective_of,
    regexes,
)

STARTED = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ('"vgg16"', "vgg16"),
        ("vgg16", "vgg16"),
        # A quote alone quotes nothing.
        ('"', '"'),
        ('""', ""),
        # Quotes at both ends that do not belong together.
        ('"a" and "b"', '"a" and "b"'),
        ("0.5", "0.5"),
        ("true", "true"),
    ],
)
def test_texts_that_the_sdk_wrote_as_json(text, plain):
    assert _plain(text) == plain


def test_sagemakers_own_hyperparameters_are_left_out():
    given = {"lr": '"0.1"', "_tuning_objective_metric": "loss"}
    assert _texts(given) == {"lr": "0.1"}


def test_ranges_have_numbers_of_their_kind():
    found = _ranges(
        {
            "ContinuousParameterRanges": [{"Name": "lr", "MinValue": "1", "MaxValue": "2e0"}],
            "IntegerParameterRanges": [
                {"Name": "depth", "MinValue": "18.0", "MaxValue": "50", "ScalingType": "Linear"}
            ],
            "CategoricalParameterRanges": [{"Name": "model", "Values": ['"a"', "b"]}],
        }
    )
    assert found == {
        "lr": {"type": "Continuous", "min": 1.0, "max": 2.0, "scale": "Auto"},
        "depth": {"type": "Integer", "min": 18, "max": 50, "scale": "Linear"},
        "model": {"type": "Categorical", "values": ["a", "b"]},
    }
    assert isinstance(found["depth"]["min"], int)
    assert isinstance(found["lr"]["min"], float)


def test_the_first_range_of_a_name_counts():
    def ranges(low: str) -> dict[str, Any]:
        return {"ContinuousParameterRanges": [{"Name": "lr", "MinValue": low, "MaxValue": "9"}]}

    job = {
        "HyperParameterTuningJobConfig": {"ParameterRanges": ranges("1")},
        "TrainingJobDefinition": {"HyperParameterRanges": ranges("2")},
    }
    assert _all_ranges(job)["lr"]["min"] == 1.0
    job["HyperParameterTuningJobConfig"] = {}
    assert _all_ranges(job)["lr"]["min"] == 2.0


def test_a_job_without_a_warm_start_has_no_parents():
    assert names_of_parents({}) == []


def asked(**job: Any) -> dict[str, Any]:
    return {"HyperParameterTuningJobName": "yoga", "HyperParameterTuningJobConfig": {}} | job


def test_one_objective_named_twice_is_one():
    objective = {"MetricName": "loss", "Type": "Minimize"}
    job = asked(
        HyperParameterTuningJobConfig={"HyperParameterTuningJobObjective": objective},
        TrainingJobDefinitions=[{"TuningObjective": objective}],
    )
    assert objective_of(job) == ("loss", "Minimize")
    other = asked(
        TrainingJobDefinitions=[
            {"TuningObjective": {"MetricName": "loss", "Type": "Minimize"}},
            {"TuningObjective": {"MetricName": "accuracy", "Type": "Maximize"}},
        ]
    )
    with pytest.raises(ManagedError) as caught:
        objective_of(other)
    assert str(caught.value) == (
        "tuning job 'yoga' has several objectives (accuracy, loss), which cannot be ranked together"
    )
    with pytest.raises(ManagedError, match="tuning job 'yoga' names no objective metric"):
        objective_of(asked())


def test_each_started_training_has_the_regex_of_its_algorithm():
    objective = {"MetricName": "loss", "Type": "Minimize"}

    def algorithm(name: str, *metrics: str) -> dict[str, Any]:
        entries = [{"Name": metric, "Regex": f"{name} {metric}"} for metric in metrics]
        return {
            "DefinitionName": name,
            "TuningObjective": objective,
            "AlgorithmSpecification": {"MetricDefinitions": entries},
        }

    job = asked(
        TrainingJobDefinitions=[
            algorithm("a", "accuracy", "loss"),
            algorithm("b", "loss"),
            algorithm("c"),
        ]
    )
    summaries: list[dict[str, Any]] = []
    for name in "abcd":
        summaries.append(
            {
                "TrainingJobName": f"job-{name}",
                "TrainingJobDefinitionName": name,
                "TrainingStartTime": STARTED,
            }
        )
    # It has not begun, so it has no log.
    waiting = {"TrainingJobName": "waiting", "TrainingJobDefinitionName": "a"}
    found = regexes(job, [*summaries, waiting])
    assert found == {"job-a": "a loss", "job-b": "b loss"}


def summary(status: str, value: float | None = None, **more: Any) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "TrainingJobName": "t",
        "TrainingJobStatus": status,
        "TunedHyperParameters": {"lr": "0.1"},
        "CreationTime": STARTED,
    }
    if value is not None:
        answer["FinalHyperParameterTuningJobObjectiveMetric"] = {"Value": value}
    return answer | more


@pytest.mark.parametrize(
    ("answer", "curve", "status", "value", "reason"),
    [
        (summary("Completed", 0.5), (), "Completed", 0.5, ""),
        (summary("Completed", 0.5), (0.25,), "Completed", 0.5, ""),
        # Its last value so far.
        (summary("InProgress"), (0.25, 0.5), "InProgress", 0.5, ""),
        (summary("InProgress"), (), "InProgress", None, ""),
        (summary("Stopping"), (), "InProgress", None, ""),
        # A value of 0 is a value.
        (summary("Deleting", 0.0), (), "Stopped", 0.0, "asked"),
        (summary("DeleteFailed"), (), "Stopped", None, "asked"),
        (summary("Stopped", 0.5), (), "Stopped", 0.5, "asked"),
        (summary("Failed"), (0.25,), "Failed", None, "asked"),
        (summary("Failed", FailureReason="no memory"), (), "Failed", None, "no memory"),
        (
            summary("Completed"),
            (0.5,),
            "Completed",
            None,
            "SageMaker found no objective in its output",
        ),
        (
            summary("Completed", ObjectiveStatus="Failed"),
            (),
            "Completed",
            None,
            "SageMaker found no objective in its output: its regex matched nothing",
        ),
    ],
)
def test_a_training_jobs_status_value_and_reason(answer, curve, status, value, reason):
    found = _trial(answer, {"model": "vgg16", "lr": "9"}, curve, lambda name: "asked")
    assert found.status == status
    assert found.objective == value
    assert found.reason == reason
    assert found.curve == curve
    assert found.hyperparameters == {"model": "vgg16", "lr": "0.1"}
    assert found.tuned == ("lr",)
    assert found.started == "2026-11-21T10:00:00+00:00"
    assert found.ended is None


@pytest.mark.parametrize(
    "value, curve, direction, judged",
    [
        (0.5, (0.25, 0.75, 0.5), "Maximize", 0.75),
        (0.5, (0.25, 0.75, 0.5), "Minimize", 0.25),
        (0.5, (), "Maximize", 0.5),
        (0.5, (float("nan"),), "Maximize", 0.5),
        (None, (0.25,), "Maximize", None),
    ],
)
def test_a_training_job_is_judged_by_its_whole_curve(value, curve, direction, judged):
    found = _trial(summary("Completed", value), {}, curve, lambda name: "")
    assert _judged_by_curve(found, direction).objective == judged


class Client:
    """Answers describe_training_job."""

    def __init__(self, **job: Any) -> None:
        self.job = job

    def describe_training_job(self, TrainingJobName: str) -> dict[str, Any]:
        return {"SecondaryStatus": "Stopped"} | self.job


@pytest.mark.parametrize(
    ("job", "reason"),
    [
        ({}, ""),
        ({"FailureReason": "no memory"}, "no memory"),
        ({"FailureReason": "a", "SecondaryStatusTransitions": [{"StatusMessage": "b"}]}, "a"),
        # The last message is the newest.
        ({"SecondaryStatusTransitions": [{"StatusMessage": "a"}, {"StatusMessage": "b"}]}, "b"),
        ({"SecondaryStatusTransitions": [{"StatusMessage": "a"}, {}]}, ""),
        ({"SecondaryStatus": "MaxRuntimeExceeded"}, "it ran longer than it may"),
        ({"SecondaryStatus": "MaxRuntimeExceeded", "FailureReason": "a"}, "a"),
    ],
)
def test_the_reason_of_a_training_job(job, reason):
    assert _reason("t", Client(**job)) == reason


@pytest.mark.parametrize(
    ("pattern", "message", "values"),
    [
        ("loss=([^ ]+)", "loss=0.5 loss=1e-3", [0.5, 0.001]),
        # Values that cannot be compared are left out.
        ("loss=([^ ]+)", "loss=nan loss=inf loss=x loss=2", [2.0]),
        ("loss=.", "loss=1", []),  # a regex without a group
        ("loss=([0-9])?", "loss=", []),  # a group that took no part
    ],
)
def test_finite_numbers_of_a_line(pattern, message, values):
    assert list(_numbers(re.compile(pattern), message)) == values
    assert all(map(math.isfinite, values))


class Logs:
    """Pages of a log stream without an end, each with one value."""

    def __init__(self, pages: int) -> None:
        self.pages = pages
        self.asked: list[dict[str, Any]] = []

    def get_log_events(self, **asked: Any) -> dict[str, Any]:
        self.asked.append(asked)
        number = min(len(self.asked), self.pages)
        event = {"message": f"loss={number}"}
        return {"events": [event], "nextForwardToken": f"token {number}"}


@pytest.mark.parametrize(("pages", "requests"), [(1, 2), (3, 4), (49, 50), (99, 50)])
def test_a_stream_is_read_to_its_end_or_fifty_pages(pages, requests):
    logs = Logs(pages)
    values = _values("yoga/algo-1", re.compile("loss=([0-9]+)"), logs)
    assert len(values) == requests
    assert len(logs.asked) == requests
    assert "nextToken" not in logs.asked[0]
    assert logs.asked[1]["nextToken"] == "token 1"
    assert logs.asked[0]["startFromHead"] is True
