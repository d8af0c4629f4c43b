"""How an update of an endpoint moves its traffic, where the recipe says so."""

import pytest

from launch.aws import Request
from launch.context import validate
from launch.errors import LaunchError
from launch.requests_training import Call
from launch.requests_update import update
from tests.support.launching import recipe


def update_of(**settings: object) -> Request:
    return update(recipe(endpoint=settings), "c")


@pytest.mark.parametrize(
    "traffic, instances, routing, limit_s",
    [
        ("canary", 2, {"Type": "CANARY", "CanarySize": 50}, 4800),
        ("canary", 4, {"Type": "CANARY", "CanarySize": 25}, 4800),
        ("linear", 3, {"Type": "LINEAR", "LinearStepSize": 50}, 4800),
        ("linear", 4, {"Type": "LINEAR", "LinearStepSize": 25}, 6800),
    ],
)
def test_the_recipe_shifts_traffic_part_by_part(traffic, instances, routing, limit_s):
    request = update_of(traffic=traffic, instance_count=instances, bake_s=1000)
    validate(Call("sagemaker", "UpdateEndpoint", request))
    config = request["DeploymentConfig"]
    policy = config["BlueGreenUpdatePolicy"]
    parts = {
        name: value if name == "Type" else {"Type": "CAPACITY_PERCENT", "Value": value}
        for name, value in routing.items()
    }
    wanted = {**parts, "WaitIntervalInSeconds": 1000}
    assert policy["TrafficRoutingConfiguration"] == wanted
    assert policy["MaximumExecutionTimeoutInSeconds"] == limit_s
    assert config["AutoRollbackConfiguration"]["Alarms"]


def test_a_part_of_the_traffic_needs_two_machines():
    with pytest.raises(LaunchError, match="traffic is 'canary', and instance_count is 1: .* two"):
        update_of(traffic="canary")
