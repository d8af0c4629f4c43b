"""A job that is followed: log streams and their pages, metric lines, states in one line."""

import pytest

from launch.follow import (
    PAGES,
    Metrics,
    Tail,
    billed,
    describe,
    print_lines,
    status_of,
    summary,
)
from tests.support.launching import ScriptedAws, training

GROUP = "/aws/sagemaker/TrainingJobs"


def streams(one: ScriptedAws, *names: str, prefix: str = "job/") -> None:
    """The answer of CloudWatch to a look at the streams."""
    request = {"logGroupName": GROUP, "logStreamNamePrefix": prefix}
    found = [{"logStreamName": name} for name in names]
    one.answer("logs", "describe_log_streams", {"logStreams": found}, request)


def page(
    one: ScriptedAws, lines: list[str], token: str, after: str = "", stream: str = "a"
) -> None:
    """A page of log lines; after: the token that the request must have."""
    request = {"logGroupName": GROUP, "logStreamName": stream, "startFromHead": True}
    if after:
        request["nextToken"] = after
    events = [{"timestamp": 1, "message": line} for line in lines]
    one.answer("logs", "get_log_events", {"events": events, "nextForwardToken": token}, request)


def tail_of(one: ScriptedAws) -> Tail:
    return Tail(one.context, GROUP, "job/")


def test_pages_are_read_until_the_token_stays(script):
    one = script()
    streams(one, "a", "b")
    page(one, ["1 \n", "2"], "t1")
    page(one, ["3"], "t2", after="t1")
    # The same token again: that page was the last.
    page(one, ["4"], "t2", after="t2")
    page(one, [], "u1", stream="b")
    tail = tail_of(one)
    assert list(tail.lines()) == [("a", "1"), ("a", "2"), ("a", "3"), ("a", "4")]
    streams(one, "a", "b")
    # The second look goes on from the token of the first.
    page(one, [], "t2", after="t2")
    page(one, ["5"], "u1", after="u1", stream="b")
    assert list(tail.lines()) == [("b", "5")]
    one.finished()


def test_one_look_reads_20_pages_of_a_stream(script):
    assert PAGES == 20
    one = script()
    streams(one, "a")
    page(one, ["0"], "t0")
    for number in range(1, 20):
        page(one, [str(number)], f"t{number}", after=f"t{number - 1}")
    assert [line for _, line in tail_of(one).lines()] == [str(number) for number in range(20)]
    one.finished()


def test_pages_of_streams_are_all_read(script):
    one = script()
    request = {"logGroupName": GROUP, "logStreamNamePrefix": "job/"}
    # CloudWatch gives streams in pages, too.
    first = {"logStreams": [{"logStreamName": "a"}], "nextToken": "more"}
    one.answer("logs", "describe_log_streams", first, request)
    again = {**request, "nextToken": "more"}
    second = {"logStreams": [{"logStreamName": "b"}]}
    one.answer("logs", "describe_log_streams", second, again)
    page(one, [], "t")
    page(one, ["1"], "u", stream="b")
    page(one, [], "u", after="u", stream="b")
    assert list(tail_of(one).lines()) == [("b", "1")]
    one.finished()


def test_without_a_prefix_all_streams_are_read(script):
    one = script()
    one.answer("logs", "describe_log_streams", {"logStreams": []}, {"logGroupName": GROUP})
    assert list(Tail(one.context, GROUP, "").lines()) == []


def test_a_refused_log_is_asked_for_once(script):
    one = script()
    one.refuse("logs", "describe_log_streams", "AccessDeniedException", "no")
    tail = tail_of(one)
    assert list(tail.lines()) == []
    # The stub has no second answer: nothing is asked.
    assert list(tail.lines()) == []
    assert one.finished().startswith("logs: you may not DescribeLogStreams: no; ")
    assert one.finished().endswith("; going on without them")


def test_a_log_that_does_not_exist_yet_is_asked_for_again(script):
    one = script()
    one.logged()
    tail = tail_of(one)
    assert list(tail.lines()) == []
    streams(one, "a")
    page(one, ["1"], "t")
    page(one, [], "t", after="t")
    assert list(tail.lines()) == [("a", "1")]
    assert one.finished() == ""


def test_other_errors_of_the_log_are_raised(script):
    one = script()
    one.refuse("logs", "describe_log_streams", "ServiceUnavailableException", "busy")
    with pytest.raises(Exception, match="busy"):
        list(tail_of(one).lines())


@pytest.mark.parametrize(
    "lines, found",
    [
        (["a line"], [None]),
        (["epoch=1 train_loss=0.5"], ["epoch=1 train_loss=0.5"]),
        (
            ["epoch=1 validation_accuracy=0.5", "epoch=2 validation_accuracy=0.25"],
            [
                "epoch=1 validation_accuracy=0.5 best=0.5000",
                "epoch=2 validation_accuracy=0.25 best=0.5000",
            ],
        ),
        (["validation_accuracy=0"], ["validation_accuracy=0 best=0.0000"]),
        (
            ["validation_accuracy=0.25", "validation_accuracy=1e-05", "test_loss=2"],
            [
                "validation_accuracy=0.25 best=0.2500",
                "validation_accuracy=1e-05 best=0.2500",
                "validation_accuracy=1e-05 test_loss=2 best=0.2500",
            ],
        ),
        (["validation_accuracy=nan"], ["validation_accuracy=nan"]),
        (["validation_accuracy=none"], ["validation_accuracy=none"]),
        # The names must be whole words.
        (["my_train_loss=1", "train_losses=1"], [None, None]),
    ],
)
def test_metrics_so_far_in_one_line(lines, found):
    metrics = Metrics()
    assert [metrics.take(line) for line in lines] == found


@pytest.mark.parametrize(
    "only_metrics, printed",
    [
        (False, ["epoch=1 lr=3", "noise"]),
        (True, ["metrics: epoch=1"]),
    ],
)
def test_each_epoch_is_printed_once(script, only_metrics, printed):
    one = script()
    one.logged("epoch=1 lr=3", "noise")
    tail = tail_of(one)
    assert print_lines(one.context, tail, Metrics(), only_metrics) == 2
    assert one.printed == printed


@pytest.mark.parametrize(
    "answer, text",
    [
        (training("InProgress", "Starting"), "InProgress, Starting"),
        (training("Completed"), "Completed"),
        (training("Failed", FailureReason="no photos"), "Failed; no photos"),
        (
            training(
                "InProgress",
                SecondaryStatusTransitions=[{"StatusMessage": "old"}, {"StatusMessage": "new"}],
            ),
            "InProgress; new",
        ),
        (training("InProgress", SecondaryStatusTransitions=[{}]), "InProgress"),
        (
            training(
                "Completed",
                DebugRuleEvaluationStatuses=[
                    {"RuleConfigurationName": "Overfit", "RuleEvaluationStatus": "IssuesFound"}
                ],
                ProfilerRuleEvaluationStatuses=[
                    {"RuleConfigurationName": "Report", "RuleEvaluationStatus": "InProgress"}
                ],
                TrainingTimeInSeconds=9,
                BillableTimeInSeconds=9,
            ),
            "Completed; Overfit=IssuesFound Report=InProgress; 9 s of training, 9 s billed",
        ),
        ({}, "Unknown"),
    ],
)
def test_a_trainings_state_in_one_line(answer, text):
    assert summary("training", answer) == text


@pytest.mark.parametrize(
    "answer, text",
    [
        ({}, ""),
        # Nothing has run yet.
        ({"TrainingTimeInSeconds": 0, "BillableTimeInSeconds": 0}, ""),
        # One of both figures says nothing.
        ({"TrainingTimeInSeconds": 9}, ""),
        ({"TrainingTimeInSeconds": 9, "BillableTimeInSeconds": 0}, "9 s of training, 0 s billed"),
        (
            {
                "TrainingTimeInSeconds": 100,
                "BillableTimeInSeconds": 30,
                "EnableManagedSpotTraining": True,
            },
            "100 s of training, 30 s billed, 70 % saved by spot",
        ),
        (
            {
                "TrainingTimeInSeconds": 100,
                "BillableTimeInSeconds": 100,
                "EnableManagedSpotTraining": True,
            },
            # Nothing was saved.
            "100 s of training, 100 s billed",
        ),
        (
            {"TrainingTimeInSeconds": 100, "BillableTimeInSeconds": 30},
            "100 s of training, 30 s billed",
        ),
    ],
)
def test_the_billed_time(answer, text):
    assert billed(answer) == text


def test_a_searchs_state_in_one_line():
    answer = {
        "HyperParameterTuningJobStatus": "InProgress",
        "TrainingJobStatusCounters": {"Completed": 2, "InProgress": 1, "Stopped": 0},
    }
    assert summary("tuning", answer) == "InProgress; Completed=2 InProgress=1"
    answer["BestTrainingJob"] = {
        "TrainingJobName": "t1",
        "FinalHyperParameterTuningJobObjectiveMetric": {"MetricName": "accuracy", "Value": 0.5},
    }
    text = "InProgress; Completed=2 InProgress=1; best t1: accuracy=0.5"
    assert summary("tuning", answer) == text
    assert summary("tuning", {}) == "Unknown"


def test_a_transform_jobs_state_in_one_line():
    answer = {"TransformJobStatus": "Failed", "FailureReason": "no model"}
    assert summary("transform", answer) == "Failed; no model"
    assert status_of("transform", answer) == "Failed"


def test_a_job_is_described_by_its_kinds_operation(script):
    one = script()
    one.answer(
        "sagemaker", "describe_training_job", training("Completed"), {"TrainingJobName": "j"}
    )
    assert describe(one.context, "training", "j")["TrainingJobStatus"] == "Completed"
