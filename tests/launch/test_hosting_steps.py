"""Steps of deploy: what it waits for, which model it takes, what it brings to S3."""

import os
from dataclasses import replace

import pytest
from botocore.exceptions import ClientError

from launch import hosting
from launch.errors import LaunchError
from launch.hosting import bring, deploy, live_status, model_source, wait_in_service
from launch.removal import delete
from launch.take_up import take_up
from launch.upload import sha256_of
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
    assert live_status(one.context) == "InService"
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
    is_in(later, "InService")
    is_in(later, "InService")
    later.answer("application-autoscaling", "register_scalable_target", {})
    later.answer("application-autoscaling", "put_scaling_policy", {"PolicyARN": ARN})
    assert take_up(later.context) == 0
    assert "deploy: colours is InService" in later.finished()
    is_in(later, "InService")
    assert take_up(later.context) == 0
    assert later.finished().endswith("nothing runs or changes; `launch status` shows what is there")


@pytest.mark.parametrize(
    "status, found",
    [("Completed", True), ("Stopped", True), ("InProgress", False), ("Failed", False)],
)
def test_a_training_that_ended_has_a_model(colours, status, found):
    one = colours(job="job")
    one.answer("sagemaker", "describe_training_job", training(status))
    if found:
        assert model_source(one.context) == "s3://b/model.tar.gz"
        return
    with pytest.raises(LaunchError, match=f"the training job is {status}; it has no model"):
        model_source(one.context)


def test_where_a_model_is_taken_from(colours):
    one = colours(job="job")
    one.refuse("sagemaker", "describe_training_job", "ValidationException", "not found")
    with pytest.raises(LaunchError, match="the training job job does not exist on SageMaker"):
        model_source(one.context)
    one.context.dry = True
    source = "s3://photos/slipway/colours/output/job/output/model.tar.gz"
    assert model_source(one.context) == source
    one.context.options.best = True
    one.context.state.add("tuning", "s", "now")
    assert model_source(one.context) == source.replace("/job/", "/best-of-s/")


def test_a_model_of_this_machine_is_brought_once(colours, tmp_path):
    one = colours()
    path = tmp_path / "mine.tar.gz"
    path.write_bytes(b"model")
    digits = sha256_of(path)[:16]
    prefix = f"slipway/colours/models/{digits}/"
    listed = {"Bucket": "photos", "Prefix": prefix}
    one.answer("s3", "list_objects_v2", {}, listed)
    one.answer("s3", "put_object", {"ETag": "1"})
    uri = f"s3://photos/{prefix}model.tar.gz"
    assert bring(one.context, path) == uri
    there = {"Contents": [{"Key": f"{prefix}model.tar.gz", "ETag": "1"}]}
    one.answer("s3", "list_objects_v2", there, listed)
    assert bring(one.context, path) == uri
    one.finished()
    one.context.dry = True
    assert bring(one.context, path) == uri
    assert one.context.calls[0].request["Body"] == str(path)


@pytest.mark.parametrize("name", ["none.tar.gz", "model.zip", "folder.tar.gz"])
def test_other_files_are_no_model(colours, tmp_path, name):
    (tmp_path / "model.zip").touch()
    (tmp_path / "folder.tar.gz").mkdir()
    with pytest.raises(LaunchError, match=f"{name}' is not a model.tar.gz"):
        bring(colours().context, tmp_path / name)


def test_a_model_has_5_gb_at_most(colours, tmp_path, monkeypatch):
    one = colours()
    one.context.dry = True
    monkeypatch.setattr(hosting, "sha256_of", lambda path: "0" * 64)
    path = tmp_path / "model.tar.gz"
    path.touch()
    os.truncate(path, 5 * 1024**3)  # a sparse file takes no room
    assert bring(one.context, path).startswith("s3://photos/")
    os.truncate(path, 5 * 1024**3 + 1)
    with pytest.raises(LaunchError, match="model.tar.gz' has more than 5 GB"):
        bring(one.context, path)


@pytest.mark.parametrize(
    "update, live, operation",
    [(True, "InService", "update_endpoint"), (False, None, "create_endpoint")],
)
def test_a_new_configuration_of_a_multi_model_endpoint(colours, update, live, operation):
    one = colours("multi-model", model="s3://b/model.tar.gz", update=update, no_wait=True)
    if live:
        is_in(one, live)
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
    one.finished()


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
