"""What delete removes and in which order, who is asked, and what still writes to S3."""

import io

import pytest

from launch import removal
from launch.errors import LaunchError
from launch.removal import confirmed, delete, removals, writers_of
from launch.requests_training import Call
from tests.support.launching import JOB, ScriptedAws, recipe, training


def test_things_are_removed_before_those_that_they_use(colours):
    one = colours()
    # Noted in an order of their own: that of removal must not depend on it.
    for kind in ("alarm", "model", "config", "endpoint", "scaling", "api", "training"):
        one.context.state.add(kind, f"{kind}-1", "now")
    for kind in ("alarm", "model"):
        one.context.state.add(kind, f"{kind}-2", "now")
    calls = removals(one.context)
    assert [call.operation for call in calls] == [
        "DeleteStack",
        "DeregisterScalableTarget",
        "DeleteEndpoint",
        "DeleteEndpointConfig",
        "DeleteModel",
        "DeleteModel",
        "DeleteAlarms",
    ]
    assert [call.request for call in calls] == [
        {"StackName": "api-1"},
        {
            "ServiceNamespace": "sagemaker",
            "ResourceId": "endpoint/colours/variant/all",
            "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
        },
        {"EndpointName": "endpoint-1"},
        {"EndpointConfigName": "config-1"},
        {"ModelName": "model-1"},
        {"ModelName": "model-2"},
        # One request takes all alarms.
        {"AlarmNames": ["alarm-1", "alarm-2"]},
    ]
    assert [call.service for call in calls] == [
        "cloudformation",
        "application-autoscaling",
        *["sagemaker"] * 4,
        "cloudwatch",
    ]


@pytest.mark.parametrize("max_instances, scaled", [(0, 0), (2, 1)])
def test_a_dry_run_shows_what_would_be_made(tmp_path, max_instances, scaled):
    one = ScriptedAws(recipe(endpoint={"max_instances": max_instances}), tmp_path, data=True)
    one.context.dry = True
    assert delete(one.context) == 0
    operations = [call.operation for call in one.context.calls]
    assert operations == [
        "GetResources",
        "DeleteStack",
        *["DeregisterScalableTarget"] * scaled,
        "DeleteEndpoint",
        "DeleteEndpointConfig",
        "DeleteModel",
        "DeleteAlarms",
        "ListObjectsV2",
    ]
    # Before anything is made, the recipe's own names are shown.
    assert one.printed[0].startswith("dry run: nothing was made yet; ")


def test_a_dry_run_shows_what_was_made(colours):
    one = colours()
    one.context.state.add("endpoint", "e", "now")
    one.context.dry = True
    assert delete(one.context) == 0
    assert one.context.calls[1:] == [Call("sagemaker", "DeleteEndpoint", {"EndpointName": "e"})]
    assert one.printed == ["delete: Endpoint e"]
    # A dry run forgets nothing.
    assert len(one.context.state.entries) == 1


def test_what_cannot_be_removed_keeps_nothing_else(colours):
    one = colours(yes=True)
    for kind in ("api", "endpoint", "model"):
        one.context.state.add(kind, f"{kind}-1", "now")
    one.no_endpoint()
    one.refuse("cloudformation", "delete_stack", "AccessDenied", "not authorized")
    one.answer("sagemaker", "delete_endpoint")
    one.refuse("sagemaker", "delete_model", "ThrottlingException", "Rate exceeded")
    with pytest.raises(LaunchError, match="2 of 3 things .* Stack api-1, Model model-1; mend"):
        delete(one.context)
    assert [line for line in one.printed if "stays" in line][0].startswith(
        "delete: Stack api-1 stays: "
    )
    # It is all noted until nothing fails.
    assert len(one.context.state.entries) == 3


def test_nobody_to_ask_is_no(colours, monkeypatch):
    one = colours()
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert not confirmed(one.context, 3)
    assert one.printed[-1] == "delete: without a terminal, --yes says that it is meant"


def test_without_anything_noted_nothing_is_asked(colours):
    one = colours()
    one.no_endpoint()
    assert delete(one.context) == 0
    assert one.printed == ["delete: nothing of colours is known here"]


def test_data_alone_is_removed_too(colours):
    one = colours(yes=True, data=True)
    one.no_endpoint()
    one.no_versions()
    one.answer("s3", "list_objects_v2", {}, {"Bucket": "photos", "Prefix": "slipway/colours/"})
    assert delete(one.context) == 0
    assert one.printed == [
        "delete: everything under s3://photos/slipway/colours/ (photos, models, reports)",
        "delete: 0 objects removed",
    ]


@pytest.mark.parametrize(
    # A careless key press must not remove anything.
    "typed, agreed",
    [("yes", True), (" YES \n", True), ("y", False), ("", False), ("no", False)],
)
def test_only_yes_is_yes(colours, monkeypatch, typed, agreed):
    questions: list[str] = []

    def answer(question: str) -> str:
        questions.append(question)
        return typed

    monkeypatch.setattr("builtins.input", answer)
    assert confirmed(colours().context, 3) is agreed
    assert questions == ["Remove these 3 things? Type yes: "]
    assert confirmed(colours(yes=True).context, 3) is True
    assert len(questions) == 1


def test_a_refused_removal_is_raised_and_forgets_nothing(colours):
    one = colours(yes=True)
    one.context.state.add("model", "m", "now")
    one.no_endpoint()
    one.refuse("sagemaker", "delete_model", "AccessDeniedException", "no")
    with pytest.raises(LaunchError, match="1 of 1 things could not be removed"):
        delete(one.context)
    assert len(one.context.state.entries) == 1


def test_jobs_stay_noted(colours):
    one = colours(yes=True)
    one.context.state.add("training", JOB, "now")
    one.context.state.add("model", "m", "now")
    one.no_endpoint()
    one.answer("sagemaker", "delete_model", {}, {"ModelName": "m"})
    assert delete(one.context) == 0
    # A job cannot be removed from SageMaker, and its note leads to its log.
    assert [entry.kind for entry in one.context.state.entries] == ["training"]


def rule(status: str) -> dict[str, str]:
    return {"RuleConfigurationName": "Overfit", "RuleEvaluationStatus": status}


@pytest.mark.parametrize(
    "answer, writers",
    [
        (training("Stopping"), [JOB]),
        (training("Completed"), []),
        # Debugger's rules outlast the training that they judge.
        (
            training("Failed", DebugRuleEvaluationStatuses=[rule("InProgress")]),
            [f"Overfit of {JOB}"],
        ),
        (training("Failed", DebugRuleEvaluationStatuses=[rule("NoIssuesFound")]), []),
        (
            training("Stopped", ProfilerRuleEvaluationStatuses=[rule("Stopping")]),
            [f"Overfit of {JOB}"],
        ),
    ],
)
def test_what_still_writes(colours, answer, writers):
    one = colours()
    one.answer("sagemaker", "describe_training_job", answer)
    assert writers_of(one.context, "training", JOB) == writers


def test_an_unknown_job_writes_nothing_and_a_running_one_is_an_error(colours):
    one = colours()
    one.refuse("sagemaker", "describe_training_job", "ValidationException", "not found")
    assert writers_of(one.context, "training", JOB) == []
    one.answer("sagemaker", "describe_training_job", training("InProgress"))
    with pytest.raises(LaunchError, match="still runs and would write removed objects again"):
        writers_of(one.context, "training", JOB)


def test_one_line_names_all_writers_until_they_change(colours):
    one = colours()
    one.context.state.add("training", "a", "now")
    one.context.state.add("training", "b", "now")
    # a and b in turns.
    for status in ("Stopping", "Stopping", "Stopping", "Stopping", "Stopped", "Stopping"):
        one.answer("sagemaker", "describe_training_job", training(status))
    for _ in range(2):
        one.answer("sagemaker", "describe_training_job", training("Stopped"))
    removal.wait_for_writers(one.context)
    assert one.finished().splitlines() == [
        "delete: waiting for a, b; it would write removed objects again",
        "delete: waiting for b; it would write removed objects again",
    ]


def test_what_another_command_notes_meanwhile_stays_noted(colours):
    one = colours(yes=True)
    one.context.note("model", "old")
    one.no_endpoint()
    one.answer("sagemaker", "delete_model", {}, {"ModelName": "old"})
    one.context.clients["sagemaker"].meta.events.register(
        "before-parameter-build.sagemaker.DeleteModel",
        lambda **_: one.context.note("model", "young"),
    )
    assert delete(one.context) == 0
    assert [entry.name for entry in one.context.state.entries] == ["young"]
