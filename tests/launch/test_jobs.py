"""The commands train, debug, status, logs and stop, with AWS's answers by script."""

import json

import pytest
from botocore.exceptions import ClientError

from launch.errors import LaunchError, sentence
from launch.jobs import debug, train
from launch.monitoring import logs, status, stop
from tests.support.launching import (
    ARN,
    ATTEMPT,
    JOB,
    training,
)

EPOCH = "epoch={} train_loss=1.5 train_accuracy=0.4 validation_loss=1.25 validation_accuracy={}"


def test_a_training_from_start_to_end(script):
    one = script()
    one.answer("sagemaker", "create_training_job", {"TrainingJobArn": ARN})
    one.answer(
        "sagemaker",
        "describe_training_job",
        training("InProgress", "Starting"),
        {"TrainingJobName": JOB},
    )
    one.logged()
    one.answer("sagemaker", "describe_training_job", training("InProgress", "Training"))
    one.logged(EPOCH.format(1, 0.75), "a line", EPOCH.format(2, 0.5))
    one.answer(
        "sagemaker",
        "describe_training_job",
        training(
            "Completed",
            TrainingTimeInSeconds=100,
            BillableTimeInSeconds=30,
            EnableManagedSpotTraining=True,
        ),
    )
    one.logged("the last line")
    assert train(one.context) == 0
    assert one.finished().splitlines() == [
        f"started: training job {JOB}",
        f"{JOB}: InProgress, Starting",
        f"{JOB}: InProgress, Training",
        EPOCH.format(1, 0.75),
        "a line",
        EPOCH.format(2, 0.5),
        f"{JOB}: Completed; 100 s of training, 30 s billed, 70 % saved by spot",
        "the last line",
        "model: s3://b/model.tar.gz",
    ]


def test_a_training_that_fails_says_why(script):
    one = script(metrics=True)
    one.answer("sagemaker", "create_training_job", {"TrainingJobArn": ARN})
    one.answer(
        "sagemaker",
        "describe_training_job",
        training("Failed", FailureReason="AlgorithmError: no photos"),
    )
    one.logged("noise", EPOCH.format(1, "nan"))
    assert train(one.context) == 1
    assert one.finished().splitlines()[1:] == [
        f"{JOB}: Failed; AlgorithmError: no photos",
        f"metrics: {EPOCH.format(1, 'nan')}",
    ]


def test_after_an_interruption_the_same_training_is_found_and_followed(script, monkeypatch):
    first = script()
    first.answer("sagemaker", "create_training_job", {"TrainingJobArn": ARN})
    first.answer("sagemaker", "describe_training_job", training("InProgress"))
    first.logged()
    monkeypatch.setattr("launch.context.time.sleep", interrupt)
    with pytest.raises(KeyboardInterrupt):
        train(first.context)
    first.finished()
    second = script()
    for state in ("InProgress", "Completed"):
        second.answer("sagemaker", "describe_training_job", training(state))
    second.logged()
    assert train(second.context) == 0
    assert second.finished().startswith(f"train: {JOB} still runs; following it")
    third = script()
    third.no_endpoint()
    third.answer("sagemaker", "describe_training_job", training("Completed"))
    assert status(third.context) == 0
    assert third.finished().startswith(f"training {JOB}: Completed (started 20")


def interrupt(seconds: float) -> None:
    raise KeyboardInterrupt


def test_a_training_that_aws_refuses_is_forgotten(script):
    one = script()
    one.refuse(
        "sagemaker",
        "create_training_job",
        "ResourceLimitExceeded",
        "The account-level service limit 'ml.m5.xlarge for training job usage' is 0 Instances",
    )
    with pytest.raises(ClientError) as refused:
        train(one.context)
    assert sentence(refused.value).startswith(
        "a quota of your account is reached: "
        "The account-level service limit 'ml.m5.xlarge for training job usage' is 0"
    )
    assert one.context.state.entries == []
    assert json.loads(one.context.state.path.read_text())["entries"] == []


@pytest.mark.parametrize(
    "message",
    [
        "Debugger is no longer open to new customers.",
        "Validation error: DebugHookConfig is not supported for this account",
    ],
)
def test_where_debugger_is_refused_the_training_watches_itself(script, message):
    one = script(no_wait=True)
    one.refuse("sagemaker", "create_training_job", "ValidationException", message)
    one.answer("sagemaker", "create_training_job", {"TrainingJobArn": ARN})
    asked: list[dict] = []
    one.record("CreateTrainingJob", asked)
    assert debug(one.context) == 0
    assert "AWS refuses Debugger" in one.finished()
    assert "python -m diagnose" in one.finished()
    assert ["DebugHookConfig" in request for request in asked] == [True, False]
    assert asked[1]["HyperParameters"]["debug"] == "true"


def test_other_refusals_of_a_debugged_training_are_errors(script):
    one = script()
    one.refuse(
        "sagemaker",
        "create_training_job",
        "AccessDeniedException",
        "User: u is not authorized to perform: sagemaker:CreateTrainingJob on resource: r",
    )
    with pytest.raises(ClientError) as refused:
        debug(one.context)
    assert sentence(refused.value).startswith("you may not sagemaker:CreateTrainingJob: ")


def test_a_job_whose_log_one_may_not_read_is_followed_without(script):
    one = script()
    one.refuse(
        "sagemaker", "create_training_job", "ResourceInUse", "Training job names must be unique"
    )  # a retry of a request whose answer was lost
    own = {"Key": "slipway:attempt", "Value": ATTEMPT}
    one.answer("sagemaker", "list_tags", {"Tags": [own]}, {"ResourceArn": ARN})
    one.answer("sagemaker", "describe_training_job", training("InProgress"))
    one.refuse(
        "logs",
        "describe_log_streams",
        "AccessDeniedException",
        "not authorized to perform: logs:DescribeLogStreams on r",
    )
    one.answer("sagemaker", "describe_training_job", training("Completed"))
    assert train(one.context) == 0
    assert one.finished().count("logs: you may not logs:DescribeLogStreams") == 1


def test_stop_stops_what_runs(script):
    one = script()
    one.context.note("training", "old")
    one.context.note("training", "new")
    one.answer(
        "sagemaker", "describe_training_job", training("Completed"), {"TrainingJobName": "old"}
    )
    one.answer(
        "sagemaker", "describe_training_job", training("InProgress"), {"TrainingJobName": "new"}
    )
    one.answer("sagemaker", "stop_training_job", {}, {"TrainingJobName": "new"})
    assert stop(one.context) == 0
    assert one.finished() == "stop: new is stopping; a training has 120 s to save its model"


def test_logs_of_a_job_that_is_not_there(script):
    with pytest.raises(
        LaunchError,
        match="no training or tuning or transform or processing job was started here for demo",
    ):
        logs(script().context)


def test_where_even_no_profiler_is_refused_the_training_runs_without_a_word_of_it(script):
    one = script(no_wait=True)
    one.refuse(
        "sagemaker",
        "create_training_job",
        "ValidationException",
        "ProfilerConfig is not available to new customers",
    )
    one.answer("sagemaker", "create_training_job", {"TrainingJobArn": ARN})
    asked: list[dict] = []
    one.record("CreateTrainingJob", asked)
    assert train(one.context) == 0
    assert ["ProfilerConfig" in request for request in asked] == [True, False]
    assert [entry.name for entry in one.context.state.all("training")] == [JOB]


def test_what_costs_too_much_is_not_started(script):
    one = script("dog_breeds")
    from dataclasses import replace

    one.context.recipe = replace(
        one.context.recipe, sagemaker=replace(one.context.recipe.sagemaker, budget_usd=0.5)
    )
    with pytest.raises(
        LaunchError, match=r"the training may cost up to 0.57 USD, and sagemaker.budget_usd is 0.50"
    ):
        train(one.context)
