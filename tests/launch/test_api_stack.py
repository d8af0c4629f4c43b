"""The command api while CloudFormation works, fails and rolls back."""

from typing import Any

import pytest
from botocore.stub import ANY

from launch.api import api
from launch.errors import LaunchError
from launch.monitoring import status
from launch.removal import delete
from launch.requests_api import code, code_object, stack
from tests.support.launching import ATTEMPT, ScriptedAws, recipe, target

NAME = "slipway-three-colours"
URL = "https://abc.execute-api.eu-west-1.amazonaws.com/"
KEY = "a key that nobody guesses"
LOCATION = target().location


class Stack(ScriptedAws):
    """A context at which CloudFormation's answers are written down beforehand."""

    def is_in(self, state: str | None) -> None:
        if state is None:
            self.refuse(
                "cloudformation",
                "describe_stacks",
                "ValidationError",
                f"Stack with id {NAME} does not exist",
            )
            return
        outputs = [{"OutputKey": "Url", "OutputValue": URL}]
        found = {
            "StackName": NAME,
            "StackStatus": state,
            "CreationTime": "2026-01-01T00:00:00Z",
            "Outputs": outputs,
        }
        self.answer("cloudformation", "describe_stacks", {"Stacks": [found]}, {"StackName": NAME})

    def put(self) -> None:
        self.answer(
            "s3",
            "put_object",
            {},
            {**code_object(self.context.recipe, LOCATION, code()), "Body": code()},
        )

    def happened(self, *events: tuple[str, str, str]) -> None:
        """(resource, status, reason), newest first."""
        made = [
            {
                "StackId": "x",
                "EventId": str(number),
                "StackName": NAME,
                "Timestamp": "2026-01-01T00:00:00Z",
                "LogicalResourceId": resource,
                "ResourceStatus": state,
                "ResourceStatusReason": why,
            }
            for number, (resource, state, why) in enumerate(events)
        ]
        self.answer("cloudformation", "describe_stack_events", {"StackEvents": made})


@pytest.fixture
def script(tmp_path, monkeypatch):
    # without it each call would make a key, and a template, of its own
    monkeypatch.setenv("SLIPWAY_API_KEY", KEY)
    return Stack(recipe(), tmp_path)


def wanted_of(script: Stack) -> dict[str, Any]:
    """The request for the stack; by its token CloudFormation knows one that is sent again."""
    asked = stack(script.context.recipe, LOCATION, code(), KEY)
    return {**asked, "ClientRequestToken": f"slipway-{ATTEMPT}"}


def test_a_new_api_is_waited_for(script):
    script.put()
    script.is_in(None)
    script.answer(
        "cloudformation",
        "create_stack",
        {"StackId": "x"},
        wanted_of(script),
    )
    for state in ("CREATE_IN_PROGRESS", "CREATE_IN_PROGRESS", "CREATE_COMPLETE"):
        script.is_in(state)
    assert api(script.context) == 0
    who, *told = script.finished().splitlines()
    assert "only callers that send the key" in who
    assert told == [f"api: {NAME} is CREATE_IN_PROGRESS", f"api: {URL}"]
    assert script.context.state.latest("api").name == NAME


def test_what_never_came_up_is_made_anew_and_a_failure_says_why(script):
    script.put()
    script.is_in("ROLLBACK_COMPLETE")
    script.answer("cloudformation", "delete_stack", {}, {"StackName": NAME})
    for state in ("DELETE_IN_PROGRESS", None):
        script.is_in(state)
    wanted = {
        "ClientRequestToken": f"slipway-{ATTEMPT}",
        **dict.fromkeys(("TemplateBody", "Parameters", "Capabilities", "Tags"), ANY),
        "StackName": NAME,
    }
    script.answer("cloudformation", "create_stack", {"StackId": "x"}, wanted)
    script.is_in("ROLLBACK_COMPLETE")
    script.happened(
        ("Api", "CREATE_FAILED", "Resource creation cancelled"),
        ("Role", "CREATE_FAILED", "not authorized to perform\n iam:CreateRole"),
    )
    assert api(script.context) == 1
    assert script.finished().endswith(
        f"api: failed: {NAME} is ROLLBACK_COMPLETE: Role: not authorized to perform iam:CreateRole"
    )


def test_an_update_that_was_rolled_back_tells_its_own_reason(script):
    script.put()
    script.is_in("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")  # an earlier command was interrupted
    script.is_in("UPDATE_COMPLETE")
    script.answer(
        "cloudformation",
        "update_stack",
        {"StackId": "x"},
        wanted_of(script),
    )
    script.is_in("UPDATE_ROLLBACK_COMPLETE")
    script.happened(
        ("Stage", "UPDATE_FAILED", "too fast"),
        (NAME, "UPDATE_IN_PROGRESS", "User Initiated"),
        ("Api", "UPDATE_FAILED", "of last week"),
    )
    assert api(script.context) == 1
    assert script.finished().endswith(
        "UPDATE_ROLLBACK_COMPLETE; it serves as before the update: Stage: too fast"
    )


def test_a_stack_that_cannot_be_changed_or_removed_is_an_error(script):
    script.put()
    script.is_in("UPDATE_ROLLBACK_FAILED")
    with pytest.raises(
        LaunchError,
        match="is UPDATE_ROLLBACK_FAILED and cannot be changed; `launch api RECIPE --delete`",
    ):
        api(script.context)
    script.context.options.delete = True
    script.answer("cloudformation", "delete_stack", {}, {"StackName": NAME})
    script.is_in("DELETE_FAILED")
    script.happened(("Role", "DELETE_FAILED", "in use"), (NAME, "DELETE_IN_PROGRESS", ""))
    with pytest.raises(LaunchError, match=f"the stack {NAME} was not deleted: Role: in use"):
        api(script.context)
    script.finished()
    assert script.context.state.latest("api")


def test_what_is_gone_already_is_said_and_removed_from_the_list(script):
    script.context.state.add("api", NAME, "2026-11-21T18:15:00+00:00")
    script.is_in(None)
    for _ in range(2):
        script.no_endpoint()
    assert status(script.context) == 0
    script.context.options.yes = True
    script.answer("cloudformation", "delete_stack", {}, {"StackName": NAME})
    script.is_in(None)
    script.refuse("s3", "list_objects_v2", "NoSuchBucket", "The specified bucket does not exist")
    assert delete(script.context) == 0
    assert script.finished() == f"api {NAME}: not on CloudFormation\ndelete: Stack {NAME}"
    assert script.context.state.entries == []
