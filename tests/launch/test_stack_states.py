"""States of a CloudFormation stack, the wait for them, and the reason of a failure."""

import pytest
from botocore.exceptions import ClientError

from launch import api as apis
from launch.api_access import api_key
from launch.errors import LaunchError
from launch.stacks import (
    failure_reason,
    stack_or_none,
    stack_summary,
    url_of,
    wait_until_deleted,
    wait_until_stable,
)
from tests.support.launching import ScriptedAws, recipe

NAME = "slipway-three-colours"
STACK = {"StackName": NAME, "CreationTime": 0}


@pytest.fixture
def one(tmp_path):
    return ScriptedAws(recipe(), tmp_path)


def is_in(one: ScriptedAws, status: str, outputs: list[dict[str, str]] | None = None) -> None:
    found = {**STACK, "StackStatus": status, "Outputs": outputs or []}
    one.answer("cloudformation", "describe_stacks", {"Stacks": [found]}, {"StackName": NAME})


def is_gone(one: ScriptedAws) -> None:
    # CloudFormation has no code of its own for a stack that is missing.
    message = f"Stack with id {NAME} does not exist"
    one.refuse("cloudformation", "describe_stacks", "ValidationError", message)


def test_only_cloudformations_own_words_say_that_a_stack_is_missing(one):
    is_gone(one)
    assert stack_or_none(one.context, NAME) is None
    for code, message in (("ValidationError", "no name"), ("AccessDenied", "x does not exist")):
        one.refuse("cloudformation", "describe_stacks", code, message)
        with pytest.raises(ClientError):
            stack_or_none(one.context, NAME)


def test_the_url_is_the_output_of_that_name():
    outputs = [
        {"OutputKey": "Api", "OutputValue": "no"},
        {"OutputKey": "Url", "OutputValue": "https://a/"},
    ]
    assert url_of({"Outputs": outputs}) == "https://a/"
    # A stack that is being made has no outputs yet.
    assert url_of({"Outputs": outputs[:1]}) == ""
    assert url_of({}) == ""
    assert url_of(None) == ""


def test_a_stacks_state_and_url_in_one_line(one):
    is_in(one, "CREATE_COMPLETE", [{"OutputKey": "Url", "OutputValue": "https://a/"}])
    assert stack_summary(one.context, NAME) == "CREATE_COMPLETE; https://a/"
    is_in(one, "CREATE_IN_PROGRESS")
    assert stack_summary(one.context, NAME) == "CREATE_IN_PROGRESS"
    one.context.dry = True
    assert stack_summary(one.context, NAME) == ""
    assert one.context.calls[0].operation == "DescribeStacks"


@pytest.mark.parametrize(
    "status, exists",
    [
        ("CREATE_COMPLETE", True),
        ("CREATE_FAILED", True),
        ("REVIEW_IN_PROGRESS", True),
        ("DELETE_FAILED", True),
        ("DELETE_COMPLETE", False),
    ],
)
def test_a_stable_stack_is_not_waited_for(one, status, exists):
    is_in(one, status)
    found = wait_until_stable(one.context, NAME, "api")
    assert (found is not None) is exists
    assert one.finished() == ""


def test_each_state_is_printed_once(one):
    states = ["UPDATE_IN_PROGRESS"] * 2 + ["UPDATE_ROLLBACK_IN_PROGRESS"] * 2 + ["UPDATE_COMPLETE"]
    for status in states:
        is_in(one, status)
    found = wait_until_stable(one.context, NAME, "api")
    assert found is not None
    assert found["StackStatus"] == "UPDATE_COMPLETE"
    assert one.finished().splitlines() == [
        f"api: {NAME} is UPDATE_IN_PROGRESS",
        f"api: {NAME} is UPDATE_ROLLBACK_IN_PROGRESS",
    ]


def happened(one: ScriptedAws, *events: dict[str, str]) -> None:
    """The stack's events, newest first."""
    # botocore's shape asks for them; no test looks at them.
    needed = {"StackId": "x", "EventId": "1", "StackName": NAME, "Timestamp": 0}
    found = [{**needed, **event} for event in events]
    wanted = {"StackName": NAME}
    one.answer("cloudformation", "describe_stack_events", {"StackEvents": found}, wanted)


def event(resource: str, status: str, **reason: str) -> dict[str, str]:
    return {"LogicalResourceId": resource, "ResourceStatus": status, **reason}


@pytest.mark.parametrize(
    "events, reason",
    [
        ([], "CloudFormation gives no reason"),
        ([{}], "CloudFormation gives no reason"),
        ([event("Role", "CREATE_FAILED")], "Role: no reason is given"),
        (
            [
                # Newest first: the first failure stands below the later one.
                event("Api", "CREATE_FAILED", ResourceStatusReason="later"),
                event("Role", "CREATE_FAILED", ResourceStatusReason="first\n of all"),
                event(NAME, "CREATE_IN_PROGRESS"),
                # A failure of an earlier change.
                event("Old", "UPDATE_FAILED", ResourceStatusReason="long ago"),
            ],
            "Role: first of all",
        ),
        (
            [
                event("Role", "CREATE_FAILED", ResourceStatusReason="no"),
                event("Api", "CREATE_IN_PROGRESS"),
                event("Bucket", "CREATE_FAILED", ResourceStatusReason="the very first"),
                # The end of the change before.
                event(NAME, "UPDATE_COMPLETE"),
            ],
            "Bucket: the very first",
        ),
        (
            # What CloudFormation cancels is an effect, not the cause.
            [event("Api", "CREATE_FAILED", ResourceStatusReason="Resource creation cancelled")],
            "CloudFormation gives no reason",
        ),
        (
            [event("Api", "CREATE_COMPLETE", ResourceStatusReason="fine")],
            "CloudFormation gives no reason",
        ),
    ],
)
def test_the_reason_is_the_first_failure_of_the_latest_change(one, events, reason):
    happened(one, *events)
    assert failure_reason(one.context, NAME) == reason


def test_a_stack_that_stays_is_an_error(one):
    is_gone(one)
    wait_until_deleted(one.context, NAME, "api")
    is_in(one, "DELETE_FAILED")
    happened(one, event("Role", "DELETE_FAILED", ResourceStatusReason="in use"))
    with pytest.raises(LaunchError, match=f"the stack {NAME} was not deleted: Role: in use"):
        wait_until_deleted(one.context, NAME, "api")


@pytest.mark.parametrize(
    "status, anew",
    [
        ("CREATE_FAILED", True),
        ("ROLLBACK_FAILED", True),
        ("CREATE_COMPLETE", False),
        ("UPDATE_ROLLBACK_COMPLETE", False),
    ],
)
def test_only_what_was_never_complete_is_made_anew(one, status, anew):
    assert apis.must_be_made_anew(one.context, NAME, status) is anew
    said = f"api: {NAME} is {status}: it was never complete; making it anew"
    assert one.printed == [said][: int(anew)]


def test_a_stack_that_somebody_deleted_meanwhile(one):
    is_gone(one)
    assert apis.wait_for_change(one.context, NAME) == 1
    assert one.finished() == f"api: failed: {NAME} is gone: someone deleted it"


def test_a_failure_without_a_rollback_promises_nothing(one):
    is_in(one, "UPDATE_FAILED")
    happened(one)
    assert apis.wait_for_change(one.context, NAME) == 1
    said = f"api: failed: {NAME} is UPDATE_FAILED: CloudFormation gives no reason"
    assert one.finished() == said


def test_another_validation_error_of_an_update_is_raised(one):
    is_in(one, "UPDATE_COMPLETE")
    one.refuse("cloudformation", "update_stack", "ValidationError", "Template error")
    with pytest.raises(ClientError, match="Template error"):
        apis.request_change(one.context, NAME, {"StackName": NAME})


@pytest.mark.parametrize(
    "dry, access, given, found",
    [
        (True, "key", "", "0" * 32),
        (True, "key", "mine", "mine"),
        (True, "open", "", ""),
        (False, "key", "mine", "mine"),
    ],
)
def test_only_a_dry_run_has_a_stand_in_for_the_key(
    tmp_path, monkeypatch, dry, access, given, found
):
    monkeypatch.setenv("SLIPWAY_API_KEY", given)
    one = ScriptedAws(recipe(api={"access": access}), tmp_path)
    one.context.dry = dry
    assert api_key(one.context).text == found
    assert len(one.printed) == int(found == "0" * 32)


@pytest.mark.parametrize(
    "kind, name, operation",
    [
        ("api", NAME, "UpdateStack"),
        ("api", "other", "CreateStack"),
        ("model", NAME, "CreateStack"),
    ],
)
def test_a_dry_run_updates_a_stack_that_is_known(one, kind, name, operation):
    one.context.state.add(kind, name, "now")
    one.context.dry = True
    assert apis.api(one.context) == 0
    assert [call.operation for call in one.context.calls] == ["PutObject", operation]
    assert one.context.calls[0].request["Body"].endswith(" bytes: web/")


def test_a_refusal_to_list_the_code_is_raised(one):
    is_gone(one)
    one.refuse("s3", "list_objects_v2", "AccessDenied", "no")
    with pytest.raises(ClientError):
        apis.finish_removal(one.context, NAME, "api")
