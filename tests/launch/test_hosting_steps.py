"""Steps of deploy: what it waits for, which model it takes, what it brings to S3."""

from dataclasses import replace

import pytest
from botocore.exceptions import ClientError

from launch import hosting
from launch.errors import LaunchError
from launch.hosting import deploy, live_status, wait_in_service
from launch.model_source import source_of
from launch.removal import delete
from launch.take_up import take_up
from tests.support.launching import ARN, ScriptedAws, training

NAME = "colours-261121-1815-k3f9"


def is_in(one: ScriptedAws, status: str, config: str = "c", **more: object) -> None:
    found = {
        "EndpointName": "colours",
        "EndpointArn": ARN,
        "EndpointConfigName": config,
        "EndpointStatus": status,
        "CreationTime": 0,
        "LastModifiedTime": 0,
        **more,
    }
    one.answer("sagemaker", "describe_endpoint", found, {"EndpointName": "colours"})


def test_the_state_of_an_endpoint(colours):
    one = colours()
    is_in(one, "InService")
    one.of_recipe()
    assert live_status(one.context) == "InService"
    is_in(one, "InService")
    one.of_recipe("another")
    with pytest.raises(LaunchError, match="the recipe 'another' made it, and it is left alone"):
        live_status(one.context)
    one.refuse("sagemaker", "describe_endpoint", "ValidationException", "Could not find endpoint")
    assert live_status(one.context) is None
    one.refuse("sagemaker", "describe_endpoint", "AccessDeniedException", "no")
    with pytest.raises(ClientError):
        live_status(one.context)


@pytest.mark.parametrize(
    "status, config, code, said",
    [
        ("InService", "c", 0, ""),
        (
            "InService",
            "old",
            1,
            "deploy: failed: the update was rolled back; "
            "the endpoint serves old as before. an alarm",
        ),
        ("Failed", "c", 1, "deploy: failed: an alarm; its log: `launch logs RECIPE --endpoint`"),
    ],
)
def test_a_stable_endpoint(colours, status, config, code, said):
    one = colours()
    for state in ("Creating", "Creating", "Updating"):
        is_in(one, state)
    is_in(one, status, config, FailureReason="an alarm")
    assert wait_in_service(one.context, "c") == code
    lines = [f"deploy: colours is {state}" for state in ("Creating", "Updating", status)]
    assert one.finished().splitlines() == [*lines, *filter(None, [said])]


def test_a_failed_deployment_is_not_scaled(colours, monkeypatch):
    one = colours()
    monkeypatch.setattr(hosting, "register_scaling", lambda context: pytest.fail("scaled"))
    is_in(one, "Failed")
    assert hosting.wait_and_scale(one.context, "c") == 1


@pytest.mark.parametrize(
    "known, status", [(None, "Updating"), ("other", "Updating"), ("colours", "Deleting")]
)
def test_another_ones_change_is_not_waited_for(colours, known, status):
    one = colours(model="s3://b/model.tar.gz")
    if known:
        one.context.note("endpoint", known, config="c")
    is_in(one, status)
    if known != "colours":
        one.of_recipe()
    with pytest.raises(LaunchError, match=f"the endpoint colours is {status}; wait until"):
        deploy(one.context)


@pytest.mark.parametrize(
    "kind, operations",
    [
        ("real-time", ["CreateModel", "CreateEndpointConfig", "PutMetricAlarm"]),
        ("serverless", ["CreateModel", "CreateEndpointConfig"]),
    ],
)
@pytest.mark.parametrize("update, last", [(False, "CreateEndpoint"), (True, "UpdateEndpoint")])
def test_a_dry_run_shows_a_new_endpoint_or_its_update(colours, kind, operations, update, last):
    one = colours(kind, model="s3://b/model.tar.gz", update=update)
    one.context.dry = True
    assert deploy(one.context) == 0
    assert [call.operation for call in one.context.calls] == [*operations, last]
    assert one.context.calls[0].request["ModelName"] == NAME


def test_a_serverless_endpoint_that_is_not_waited_for(colours):
    one = colours("serverless", model="s3://b/model.tar.gz", no_wait=True)
    one.context.target.images["serve"] = "image"
    one.refuse("sagemaker", "describe_endpoint", "ValidationException", "Could not find endpoint")
    one.answer("sagemaker", "create_model", {"ModelArn": ARN})
    one.answer("sagemaker", "create_endpoint_config", {"EndpointConfigArn": ARN})
    one.answer("sagemaker", "create_endpoint", {"EndpointArn": ARN})
    assert deploy(one.context) == 0
    assert one.finished() == ""
    kept = [(entry.kind, entry.name, entry.facts) for entry in one.context.state.entries]
    assert kept == [
        ("model", NAME, {"data": "s3://b/model.tar.gz"}),
        ("config", NAME, {}),
        ("endpoint", "colours", {"config": NAME}),
    ]


def scaled(one: ScriptedAws) -> ScriptedAws:
    """The same, of a recipe whose endpoint scales to three machines."""
    settings = one.context.recipe.sagemaker
    endpoint = replace(settings.endpoint, max_instances=3)
    recipe = replace(one.context.recipe, sagemaker=replace(settings, endpoint=endpoint))
    one.context = replace(one.context, recipe=recipe)
    return one


def test_an_endpoint_that_is_not_waited_for_gets_its_scaling_by_follow(colours):
    """SageMaker scales no endpoint that is still Creating."""
    one = scaled(colours(no_wait=True))
    assert hosting.wait_and_scale(one.context, "c") == 0
    assert one.finished().startswith("deploy: scaling comes with InService; type: launch follow ")
    later = scaled(colours())
    later.context.note("endpoint", "colours", config="c")
    for _ in range(3):
        is_in(later, "InService")
    later.answer("application-autoscaling", "register_scalable_target", {})
    later.answer("application-autoscaling", "put_scaling_policy", {"PolicyARN": ARN})
    assert take_up(later.context) == 0
    assert "deploy: colours is InService" in later.finished()
    is_in(later, "InService")
    assert take_up(later.context) == 0
    assert later.finished().endswith("nothing runs or changes; `launch status` shows what is there")


@pytest.mark.parametrize(
    "update, live, operation",
    [(True, "InService", "update_endpoint"), (False, None, "create_endpoint")],
)
def test_a_new_configuration_of_a_multi_model_endpoint(colours, update, live, operation):
    one = colours("multi-model", model="s3://b/model.tar.gz", update=update, no_wait=True)
    if live:
        is_in(one, live)
        one.of_recipe()
    else:
        message = "Could not find endpoint"
        one.refuse("sagemaker", "describe_endpoint", "ValidationException", message)
    one.answer("s3", "head_object", {"ETag": '"0123456789abcdef"'})
    one.answer("s3", "copy_object")
    one.answer("sagemaker", "create_model", {"ModelArn": ARN})
    one.answer("sagemaker", "create_endpoint_config", {"EndpointConfigArn": ARN})
    one.answer("cloudwatch", "put_metric_alarm")
    one.answer("sagemaker", operation, {"EndpointArn": ARN})
    assert deploy(one.context) == 0
    said = one.finished()
    # a second recipe of one name, in another folder, is not silent about whose endpoint it takes
    assert ("a recipe of this name made it from another folder or machine" in said) == bool(live)


def test_scaling_is_noted_where_there_is_some(colours):
    one = colours()
    hosting.register_scaling(one.context)
    assert one.context.state.entries == []
    settings = one.context.recipe.sagemaker
    scaled = replace(settings.endpoint, max_instances=2)
    one.context.recipe = replace(one.context.recipe, sagemaker=replace(settings, endpoint=scaled))
    one.answer("application-autoscaling", "register_scalable_target")
    one.answer("application-autoscaling", "put_scaling_policy", {"PolicyARN": "p"})
    hosting.register_scaling(one.context)
    assert [entry.kind for entry in one.context.state.entries] == ["scaling"]


def test_an_endpoint_that_sleeps_gets_its_alarm_and_delete_takes_it_away(colours):
    one = colours("async")
    settings = one.context.recipe.sagemaker
    scaled = replace(settings.endpoint, min_instances=0, max_instances=1)
    one.context.recipe = replace(one.context.recipe, sagemaker=replace(settings, endpoint=scaled))
    one.answer("application-autoscaling", "register_scalable_target")
    one.answer("application-autoscaling", "put_scaling_policy", {"PolicyARN": "p"})
    one.answer("application-autoscaling", "put_scaling_policy", {"PolicyARN": "wakes"})
    asked: list[dict] = []
    one.stub("cloudwatch")
    one.answer("cloudwatch", "put_metric_alarm")
    one.context.client("cloudwatch").meta.events.register(
        "provide-client-params.cloudwatch.PutMetricAlarm",
        lambda params, **_: asked.append(dict(params)),
    )
    hosting.register_scaling(one.context)
    assert asked[0]["AlarmActions"] == ["wakes"]
    noted = [(entry.kind, entry.name) for entry in one.context.state.entries]
    assert noted == [("scaling", "colours"), ("alarm", "slipway-colours-backlog")]
    assert one.finished() == ""
    one.context.options.yes = True
    one.no_endpoint()
    one.answer("application-autoscaling", "deregister_scalable_target")
    one.answer("cloudwatch", "delete_alarms", {}, {"AlarmNames": ["slipway-colours-backlog"]})
    assert delete(one.context) == 0
    one.finished()


@pytest.mark.parametrize("there", [True, False])
def test_a_refused_deploy_leaves_the_notes_as_the_endpoint_is(colours, there):
    """Two commands at once: `follow` must not take the other's endpoint for a rolled-back one."""
    one = colours(model="s3://b/model.tar.gz")
    one.no_endpoint()
    one.answer("sagemaker", "create_model", {"ModelArn": ARN})
    one.answer("sagemaker", "create_endpoint_config", {"EndpointConfigArn": ARN})
    one.answer("cloudwatch", "put_metric_alarm")
    one.refuse("sagemaker", "create_endpoint", "ResourceLimitExceeded", "no more")
    if there:
        is_in(one, "Updating", "old", PendingDeploymentSummary={"EndpointConfigName": "theirs"})
    else:
        one.no_endpoint()
    with pytest.raises(ClientError):
        deploy(one.context)
    one.finished()
    noted = [entry.facts for entry in one.context.state.all("endpoint")]
    assert noted == ([{"config": "theirs"}] if there else [])


def test_an_endpoint_that_is_deleted_meanwhile_ends_the_wait(colours):
    one = colours()
    is_in(one, "Updating")
    one.no_endpoint()
    assert wait_in_service(one.context, "c") == 1
    assert one.finished().endswith("the endpoint colours is gone: someone deleted it")


def test_an_update_whose_answer_was_lost_is_known_for_ours(colours):
    """The client asks again, and SageMaker refuses: the first try is on its way."""
    one = colours(model="s3://b/model.tar.gz", no_wait=True)
    one.context.note("endpoint", "colours", config="old")
    is_in(one, "InService", "old")
    one.answer("sagemaker", "create_model", {"ModelArn": ARN})
    one.answer("sagemaker", "create_endpoint_config", {"EndpointConfigArn": ARN})
    one.answer("cloudwatch", "put_metric_alarm")
    message = "Cannot update in-progress endpoint"
    one.refuse("sagemaker", "update_endpoint", "ValidationException", message)
    is_in(one, "Updating", "old", PendingDeploymentSummary={"EndpointConfigName": NAME})
    assert deploy(one.context) == 0
    one.finished()
    assert [entry.facts for entry in one.context.state.all("endpoint")] == [{"config": NAME}]


def test_a_job_that_never_came_is_not_deployed(colours):
    one = colours()
    one.context.note("training", "first")
    one.context.note("training", "never")
    one.refuse("sagemaker", "describe_training_job", "ValidationException", "not found")
    one.refuse("sagemaker", "describe_training_job", "ValidationException", "not found")
    one.answer("sagemaker", "describe_training_job", training("Completed"))
    found = source_of(one.context)
    assert (found.job, found.uri) == ("first", "s3://b/model.tar.gz")
