"""The command deploy: new endpoints, updates, rollbacks, several models."""

import pytest

from launch.errors import LaunchError
from launch.hosting import deploy
from launch.removal import delete
from tests.support.launching import ARN, ScriptedAws


def endpoint(status: str, config: str, **more: object) -> dict:
    return {
        "EndpointName": "yoga-poses",
        "EndpointArn": ARN,
        "EndpointConfigName": config,
        "EndpointStatus": status,
        "CreationTime": 0,
        "LastModifiedTime": 0,
        **more,
    }


def made(one: ScriptedAws, operation: str) -> None:
    """What deploy asks for before it waits, for an endpoint on instances."""
    one.answer("sagemaker", "create_model", {"ModelArn": ARN})
    one.answer("sagemaker", "create_endpoint_config", {"EndpointConfigArn": ARN})
    one.answer("cloudwatch", "put_metric_alarm")
    one.answer("sagemaker", operation, {"EndpointArn": ARN})


def test_a_deployment_its_update_and_its_end(script):
    name = "yoga-poses-261121-1815-k3f9"
    one = script("yoga_poses", model="s3://b/model.tar.gz")
    one.refuse(
        "sagemaker",
        "describe_endpoint",
        "ValidationException",
        'Could not find endpoint "yoga-poses".',
    )
    made(one, "create_endpoint")
    # The state is asked for until it is stable.
    for state in ("Creating", "Creating", "InService"):
        one.answer("sagemaker", "describe_endpoint", endpoint(state, name))
    one.answer("application-autoscaling", "register_scalable_target")
    one.answer("application-autoscaling", "put_scaling_policy", {"PolicyARN": "p"})
    assert deploy(one.context) == 0
    assert one.finished().splitlines() == [
        "deploy: yoga-poses is Creating",
        "deploy: yoga-poses is InService",
        f"deploy: next: launch invoke {one.context.recipe.path} PHOTOS",
    ]
    assert [entry.kind for entry in one.context.state.entries] == [
        "model",
        "config",
        "alarm",
        "endpoint",
        "scaling",
    ]

    # An update that SageMaker takes back.
    back = script("yoga_poses", model="s3://b/other.tar.gz")
    back.answer("sagemaker", "describe_endpoint", endpoint("InService", "before"))
    made(back, "update_endpoint")
    for state in ("Updating", "RollingBack"):
        back.answer("sagemaker", "describe_endpoint", endpoint(state, "before"))
    rolled_back = endpoint("InService", "before", FailureReason="an alarm rang")
    back.answer("sagemaker", "describe_endpoint", rolled_back)
    assert deploy(back.context) == 1
    assert (
        "the update was rolled back; the endpoint serves before as before. an alarm rang"
        in back.finished()
    )

    end = script("yoga_poses", yes=True)
    end.answer("application-autoscaling", "deregister_scalable_target")
    end.answer("sagemaker", "delete_endpoint", {}, {"EndpointName": "yoga-poses"})
    # Somebody has deleted it already.
    end.refuse(
        "sagemaker",
        "delete_endpoint_config",
        "ValidationException",
        "Could not find endpoint configuration.",
    )
    end.answer("sagemaker", "delete_model", {}, {"ModelName": name})
    end.answer("cloudwatch", "delete_alarms", {}, {"AlarmNames": ["slipway-yoga-poses-5xx"]})
    assert delete(end.context) == 0
    assert "delete: Endpoint yoga-poses" in end.finished()
    assert end.context.state.entries == []


def test_a_deployment_that_was_left_is_waited_for(script):
    one = script("yoga_poses")
    one.context.note("endpoint", "yoga-poses", config="c")
    for state in ("Creating", "Creating", "InService"):
        one.answer("sagemaker", "describe_endpoint", endpoint(state, "c"))
    one.answer("application-autoscaling", "register_scalable_target")
    one.answer("application-autoscaling", "put_scaling_policy", {"PolicyARN": "p"})
    assert deploy(one.context) == 0
    assert one.finished().startswith("deploy: an earlier command began this; waiting for it")


@pytest.mark.parametrize(
    "found, expected",
    [
        ("Updating", "the endpoint yoga-poses is Updating; wait"),
        ("Failed", "has failed and cannot be updated; `launch delete`"),
    ],
)
def test_an_endpoint_that_cannot_be_updated_now(script, found, expected):
    one = script("yoga_poses", model="s3://b/model.tar.gz")
    one.answer("sagemaker", "describe_endpoint", endpoint(found, "c"))
    one.of_recipe()
    with pytest.raises(LaunchError, match=expected):
        deploy(one.context)
