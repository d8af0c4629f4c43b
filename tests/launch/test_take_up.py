"""The command follow: what an earlier command left is waited for again."""

import socket
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from launch.aws import RETRIES
from launch.take_up import follow_entry, take_up
from tests.launch.test_preparation import described
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


def test_what_is_being_removed_is_waited_for(script):
    one = script()
    one.context.note("endpoint", "demo", config="c")
    for _ in range(2):
        one.answer("sagemaker", "describe_endpoint", endpoint("Deleting"))
    one.no_endpoint()
    assert take_up(one.context) == 0
    assert one.finished().endswith("follow: the endpoint demo is gone")
    two = script()
    two.context.note("api", "slipway-demo")
    stack = {"StackName": "slipway-demo", "CreationTime": 0, "StackStatus": "DELETE_IN_PROGRESS"}
    for _ in range(3):
        two.answer("cloudformation", "describe_stacks", {"Stacks": [stack]})
    two.refuse("cloudformation", "describe_stacks", "ValidationError", "it does not exist")
    two.answer("s3", "list_objects_v2", {})
    assert take_up(two.context) == 0
    assert two.finished().endswith("follow: slipway-demo is gone")
    assert two.context.state.all("api") == []


def test_a_step_of_prepare_says_how_it_goes_on_or_what_it_prepared(script):
    one = script()
    one.context.note("processing", "first", step="shards")
    one.answer("sagemaker", "describe_processing_job", described("first", "Completed"))
    one.logged("a line")
    assert follow_entry(one.context, one.context.state.entries[0]) == 0
    assert "follow: `launch prepare" in one.printed[-1]
    two = script()
    two.context.note("processing", "second", step="join")
    two.answer("sagemaker", "describe_processing_job", described("second", "Completed"))
    two.logged("a line")
    two.refuse("s3", "get_object", "NoSuchKey")
    assert follow_entry(two.context, two.context.state.entries[-1]) == 0
    assert "    channels:" in two.finished()


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


class Busy(BaseHTTPRequestHandler):
    """A service that always has a fault of its own."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(503)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is printed."""


def test_attempts_that_got_a_fault_are_said(script, capsys, monkeypatch):
    with HTTPServer(("127.0.0.1", 0), Busy) as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setitem(RETRIES, "max_attempts", 2)
        with pytest.raises(ClientError):
            script().context.ask("sts", "GetCallerIdentity")
        server.shutdown()
    said = capsys.readouterr().err
    assert said.startswith("AWS: GetCallerIdentity: answered 503")
    assert said.endswith("at attempt 1 of 2; trying again\n")
