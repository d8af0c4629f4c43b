"""The commands status, logs and stop: their lines, and the jobs that they look at."""

import pytest
from botocore.exceptions import ClientError

from launch import monitoring
from launch.errors import LaunchError
from launch.monitoring import stop
from tests.support.launching import ARN, JOB, training

REQUEST = {"TrainingJobName": JOB}
STOPS = "; a training has 120 s to save its model"


def test_all_running_jobs_are_stopped(script):
    one = script()
    for name in ("a", "b", "c", "d"):
        one.context.note("training", name)
    for name, status in (("a", "InProgress"), ("b", "Failed")):
        wanted = {"TrainingJobName": name}
        one.answer("sagemaker", "describe_training_job", training(status), wanted)
        if status == "InProgress":
            one.answer("sagemaker", "stop_training_job", {}, wanted)
    # SageMaker has forgotten the third.
    one.refuse("sagemaker", "describe_training_job", "ValidationException", "not found")
    one.answer("sagemaker", "describe_training_job", training("InProgress"))
    one.answer("sagemaker", "stop_training_job", {}, {"TrainingJobName": "d"})
    assert stop(one.context) == 0
    assert one.finished().splitlines() == [f"stop: {name} is stopping{STOPS}" for name in "ad"]


def test_a_job_that_cannot_be_stopped_keeps_no_other_running(script):
    one = script()
    for name in ("a", "b"):
        one.context.note("training", name)
    one.refuse("sagemaker", "describe_training_job", "AccessDeniedException", "no")
    one.answer("sagemaker", "describe_training_job", training("InProgress"))
    one.answer("sagemaker", "stop_training_job", {}, {"TrainingJobName": "b"})
    with pytest.raises(LaunchError, match="1 of 2 jobs may still run and cost: a; mend"):
        stop(one.context)
    first, second = one.printed[-2:]
    assert first.startswith("stop: a was not stopped: ")
    assert second == f"stop: b is stopping{STOPS}"


def test_what_cannot_be_seen_hides_nothing_else(script):
    one = script()
    one.context.state.add("training", "a", "today")
    one.context.state.add("training", "b", "today")
    one.context.state.add("endpoint", "demo", "today")
    one.refuse("sagemaker", "describe_training_job", "AccessDeniedException", "no")
    one.answer("sagemaker", "describe_training_job", training("Completed"))
    one.refuse("sagemaker", "describe_endpoint", "ValidationException", "Could not find endpoint")
    assert monitoring.status(one.context) == 1
    first, second, _ = one.finished().splitlines()
    assert first.startswith("training a: it cannot be seen (")
    assert second == "training b: Completed (started today)"


def test_a_named_job_alone_is_stopped(script):
    one = script(job="a")
    one.context.note("training", "a")
    one.context.note("training", "b")
    one.answer("sagemaker", "describe_training_job", training("InProgress"))
    one.answer("sagemaker", "stop_training_job", {}, {"TrainingJobName": "a"})
    assert stop(one.context) == 0
    assert one.finished() == f"stop: a is stopping{STOPS}"


@pytest.mark.parametrize("status", ["Completed", "Stopped"])
def test_nothing_runs(script, status):
    one = script()
    one.context.note("training", "a")
    one.answer("sagemaker", "describe_training_job", training(status))
    assert stop(one.context) == 0
    assert one.finished() == "stop: nothing runs"


def test_a_dry_run_shows_one_request(script):
    one = script()
    one.context.note("training", "a")
    one.context.note("tuning", "b")
    one.context.dry = True
    assert stop(one.context) == 0
    # The latest job only: a dry run knows no states.
    assert [call.operation for call in one.context.calls] == ["StopHyperParameterTuningJob"]
    assert one.context.calls[0].request == {"HyperParameterTuningJobName": "b"}
    assert one.printed == []


def test_status_has_a_line_for_each_thing(script):
    one = script()
    for kind, name in (("training", JOB), ("training", "x"), ("model", "m"), ("endpoint", "demo")):
        one.context.state.add(kind, name, "today")
    one.answer("sagemaker", "describe_training_job", training("Completed"), REQUEST)
    one.refuse("sagemaker", "describe_training_job", "ValidationException", "not found")
    one.refuse("sagemaker", "describe_endpoint", "ValidationException", "Could not find endpoint")
    assert monitoring.status(one.context) == 0
    assert one.finished().splitlines() == [
        f"training {JOB}: Completed (started today)",
        "training x: not on SageMaker (started today)",
        "endpoint demo: not on SageMaker",
    ]


def test_a_refused_look_at_the_endpoint_is_raised(script):
    one = script()
    one.refuse("sagemaker", "describe_endpoint", "AccessDeniedException", "no")
    with pytest.raises(ClientError):
        monitoring.endpoint_summary(one.context, "e")


def test_an_endpoints_state_in_one_line(script):
    one = script()
    one.answer(
        "sagemaker",
        "describe_endpoint",
        {
            "EndpointName": "e",
            "EndpointArn": ARN,
            "EndpointConfigName": "c",
            "EndpointStatus": "Failed",
            "CreationTime": 0,
            "LastModifiedTime": 0,
            "FailureReason": "no image",
            "ProductionVariants": [
                {"VariantName": "all", "CurrentInstanceCount": 1, "DesiredInstanceCount": 2},
                # A serverless variant has no instances.
                {"VariantName": "serverless"},
                {"VariantName": "old", "CurrentInstanceCount": 0},
            ],
        },
    )
    assert monitoring.endpoint_summary(one.context, "e") == (
        "Failed; c; all 1 of 2 instances; old 0 of  instances; no image"
    )


def test_dry_runs_of_status_and_logs_ask_without_lines(script):
    one = script()
    one.context.state.add("training", JOB, "today")
    one.context.dry = True
    assert monitoring.status(one.context) == 0
    assert monitoring.logs(one.context) == 0
    one.context.options.endpoint = True
    assert monitoring.logs(one.context) == 0
    assert one.printed == []
    # One request for each: a dry run gets no pages.
    assert [call.operation for call in one.context.calls][0] == "GetResources"
    assert [call.request for call in one.context.calls][1:] == [
        REQUEST,
        {"logGroupName": "/aws/sagemaker/TrainingJobs", "logStreamNamePrefix": f"{JOB}/"},
        {"logGroupName": "/aws/sagemaker/Endpoints/demo"},
    ]


@pytest.mark.parametrize("status, code", [("Completed", 0), ("Failed", 1)])
def test_logs_end_with_the_jobs_code(script, status, code):
    one = script()
    one.context.note("training", JOB)
    one.answer("sagemaker", "describe_training_job", training(status))
    one.logged("a line")
    assert monitoring.logs(one.context) == code
    assert one.printed[-1] == "a line"


def test_an_endpoints_log_is_read_until_it_has_no_more_lines(script, monkeypatch):
    one = script(endpoint=True, no_wait=True)
    one.logged("a line")
    # With --no-wait it ends once there are no more lines.
    one.answer("logs", "describe_log_streams", {"logStreams": []})
    assert monitoring.logs(one.context) == 0
    assert one.finished() == "a line"


def test_an_endpoints_log_has_no_end(script, monkeypatch):
    one = script(endpoint=True)
    one.answer("logs", "describe_log_streams", {"logStreams": []})
    one.answer("logs", "describe_log_streams", {"logStreams": []})
    # The first wait passes, the second is the user's Ctrl-C.
    waits = iter([None, KeyboardInterrupt()])

    def sleep(seconds: float) -> None:
        ended = next(waits)
        if ended:
            raise ended

    monkeypatch.setattr("launch.context.time.sleep", sleep)
    with pytest.raises(KeyboardInterrupt):
        monitoring.logs(one.context)
    one.finished()
