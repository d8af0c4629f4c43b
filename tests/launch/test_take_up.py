"""The command follow: what an earlier command left is waited for again."""

import socket

import pytest
from botocore.exceptions import EndpointConnectionError

from launch.aws import RETRIES
from launch.take_up import take_up
from tests.launch.test_search import tuning
from tests.support.launching import ARN, JOB, training


def endpoint(status: str) -> dict:
    return {
        "EndpointName": "demo",
        "EndpointArn": ARN,
        "EndpointConfigName": "c",
        "EndpointStatus": status,
        "CreationTime": 0,
        "LastModifiedTime": 0,
    }


def test_the_latest_thing_that_changes_is_followed(script):
    one = script()
    one.context.note("training", JOB)
    one.context.note("endpoint", "demo", config="c")
    one.answer("sagemaker", "describe_endpoint", endpoint("InService"))
    for status in ("InProgress", "InProgress", "Completed"):
        one.answer("sagemaker", "describe_training_job", training(status))
    one.logged()
    one.logged("the last line")
    assert take_up(one.context) == 0
    lines = one.finished().splitlines()
    assert lines[0] == f"follow: training {JOB}"
    assert lines[-2:] == ["the last line", "model: s3://b/model.tar.gz"]


def test_an_endpoint_and_a_search_are_followed_too(script):
    one = script()
    one.context.note("endpoint", "demo", config="c")
    for status in ("Updating", "Updating", "InService"):
        one.answer("sagemaker", "describe_endpoint", endpoint(status))
    assert take_up(one.context) == 0
    assert "deploy: demo is InService" in one.finished()
    two = script(job="s")
    two.context.note("tuning", "s", search="demo")
    two.answer("sagemaker", "describe_hyper_parameter_tuning_job", tuning("Completed"))
    operation = "list_training_jobs_for_hyper_parameter_tuning_job"
    two.answer("sagemaker", operation, {"TrainingJobSummaries": []})
    assert take_up(two.context) == 0
    assert two.finished().endswith("goes on with the chain")


def test_where_nothing_changes(script):
    one = script()
    one.no_endpoint()
    one.context.note("training", JOB)
    one.answer("sagemaker", "describe_training_job", training("Completed"))
    assert take_up(one.context) == 0
    assert one.finished().startswith("follow: nothing runs or changes")


def test_attempts_without_an_answer_are_said(script, capsys, monkeypatch):
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # it does not listen: each connection is refused at once
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", f"http://127.0.0.1:{held.getsockname()[1]}")
        monkeypatch.setitem(RETRIES, "max_attempts", 2)
        with pytest.raises(EndpointConnectionError):
            script().context.ask("sts", "GetCallerIdentity")
    said = capsys.readouterr().err
    assert said.startswith("AWS: GetCallerIdentity: no answer at attempt 1 of 2 (")
    assert said.count("attempt") == 1
