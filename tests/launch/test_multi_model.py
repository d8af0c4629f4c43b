"""Models of a multi-model endpoint: a name for each content, so that none stands in for another."""

import json
from datetime import UTC, datetime

import pytest

from launch.api import move_page, with_target
from launch.errors import LaunchError
from launch.hosting import deploy
from launch.invoke import invoke
from launch.multi_model import models, target_model
from tests.support.launching import ARN, ATTEMPT, ScriptedAws, prediction, streamed

OLD = "colours-000000000000.tar.gz"
NEW = "colours-0123456789ab.tar.gz"
PREFIX = "slipway/colours/shelf/"
STACK = {"StackName": "slipway-colours", "CreationTime": 0, "StackStatus": "UPDATE_COMPLETE"}


def listed(one: ScriptedAws, *names: str) -> None:
    """The models, each a day younger than the one before it."""
    contents = [
        {
            "Key": PREFIX + name,
            "Size": 2_000_000,
            "LastModified": datetime(2026, 11, day, tzinfo=UTC),
        }
        for day, name in enumerate(names, 1)
    ]
    one.answer(
        "s3", "list_objects_v2", {"Contents": contents}, {"Bucket": "photos", "Prefix": PREFIX}
    )


def in_service(one: ScriptedAws) -> None:
    found = {"EndpointName": "colours", "EndpointArn": ARN, "EndpointConfigName": "c"}
    times = {"CreationTime": 0, "LastModifiedTime": 0}
    one.answer("sagemaker", "describe_endpoint", {**found, **times, "EndpointStatus": "InService"})


def test_another_model_gets_a_key_of_its_own_and_the_page_asks_for_it(colours):
    one = colours("multi-model", model="s3://b/job/output/model.tar.gz")
    one.context.note("api", "slipway-colours")
    in_service(one)
    one.of_recipe()
    source = {"Bucket": "b", "Key": "job/output/model.tar.gz"}
    one.answer("s3", "head_object", {"ETag": '"0123456789abcdef-2"'}, source)
    wanted = {"Bucket": "photos", "Key": PREFIX + NEW, "CopySource": source}
    one.answer("s3", "copy_object", {}, wanted)
    parameters = [
        {"ParameterKey": "EndpointName", "ParameterValue": "colours"},
        {"ParameterKey": "TargetModel", "ParameterValue": OLD},
    ]
    one.answer(
        "cloudformation", "describe_stacks", {"Stacks": [{**STACK, "Parameters": parameters}]}
    )
    one.answer(
        "cloudformation",
        "update_stack",
        {},
        {
            "StackName": "slipway-colours",
            "ClientRequestToken": f"slipway-{ATTEMPT}",
            "UsePreviousTemplate": True,
            "Parameters": [
                {"ParameterKey": "EndpointName", "UsePreviousValue": True},
                {"ParameterKey": "TargetModel", "ParameterValue": NEW},
            ],
            "Capabilities": ["CAPABILITY_IAM"],
        },
    )
    one.answer("cloudformation", "describe_stacks", {"Stacks": [STACK]})
    assert deploy(one.context) == 0
    assert f"invoke --target {NEW}" in one.finished()


def test_a_model_of_another_name_leaves_the_page_as_it_is(colours):
    one = colours("multi-model", target="second.tar.gz")
    one.context.note("api", "slipway-colours")
    assert move_page(one.context, "second-0123456789ab.tar.gz") == 0
    one.finished()


@pytest.mark.parametrize(
    "target, found",
    [
        ("", NEW),
        ("colours", NEW),
        ("colours.tar.gz", NEW),
        ("second", "second.tar.gz"),
        ("third.tar.gz", "third-0123456789ab.tar.gz"),
    ],
)
def test_the_newest_model_of_a_name_is_meant(colours, target, found):
    one = colours("multi-model", target=target)
    listed(one, "third-0123456789ab.tar.gz", "second.tar.gz", "colours.tar.gz", OLD, NEW)
    assert target_model(one.context) == found
    if not target:
        listed(one, OLD, NEW)
        assert with_target(one.context).sagemaker.api.target_model == NEW
    one.finished()


def test_a_whole_name_needs_no_list(colours):
    assert target_model(colours("multi-model", target=OLD).context) == OLD


def test_a_name_that_is_not_there(colours):
    one = colours("multi-model", target="none")
    listed(one, NEW)
    with pytest.raises(LaunchError, match=f"the endpoint has no model 'none'; it has {NEW}"):
        target_model(one.context)


def test_invoke_asks_the_newest_model(colours, photos):
    one = colours("multi-model", photos=[str(photos / "blue/blue 0.jpg")])
    listed(one, NEW)
    asked: list[dict] = []
    one.stub("sagemaker-runtime")
    one.answer("sagemaker-runtime", "invoke_endpoint", {"Body": streamed(prediction())})
    one.context.client("sagemaker-runtime").meta.events.register(
        "before-parameter-build.sagemaker-runtime.InvokeEndpoint",
        lambda params, **_: asked.append(dict(params)),
    )
    assert invoke(one.context) == 0
    assert asked[0]["TargetModel"] == NEW


def test_models_are_listed_and_removed(colours):
    one = colours("multi-model", remove="", json=False)
    listed(one, OLD, NEW)
    assert models(one.context) == 0
    assert one.printed == [
        f"{NEW}  2.0 MB  2026-11-02T00:00:00+00:00",
        f"{OLD}  2.0 MB  2026-11-01T00:00:00+00:00",
    ]
    one.context.options.json = True
    listed(one, OLD)
    assert models(one.context) == 0
    assert json.loads(one.printed[-1])["name"] == OLD
    one.context.options.remove = OLD
    listed(one, OLD, NEW)
    one.answer("s3", "delete_object", {}, {"Bucket": "photos", "Key": PREFIX + OLD})
    assert models(one.context) == 0
    assert one.finished().endswith("until it needs the room or is replaced")
    listed(one, NEW)
    with pytest.raises(LaunchError, match=f"no model '{OLD}'; it has {NEW}"):
        models(one.context)


def test_only_multi_model_endpoints_have_a_list_of_models(colours):
    one = colours(remove="")
    assert models(one.context) == 0
    assert one.finished().startswith("models: the endpoint is real-time, with one model")
    one.context.options.remove = "a.tar.gz"
    assert models(one.context) == 1
