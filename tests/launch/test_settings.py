"""Settings that do not fit, and files that are not recipes."""

import re

import pytest

from launch.errors import LaunchError
from launch.recipe import read_recipe
from launch.requests_batch import transform_job
from launch.requests_debug import debug_job
from launch.requests_hosting import endpoint_config
from tests.support.jobs import REPOSITORY
from tests.support.launching import (
    recipe,
    target,
)


@pytest.mark.parametrize(
    "settings, expected",
    [
        (
            {"regoin": "x"},
            "sagemaker: setting 'regoin' is unknown (did you mean 'region'?); known: region, role",
        ),
        (
            {"training": {"instances": 2}},
            "sagemaker.training: setting 'instances' is unknown "
            "(did you mean 'instance_type'?); known: image",
        ),
        (
            {"training": {"max_run_s": "long"}},
            "sagemaker.training.max_run_s must be a whole number; found 'long'",
        ),
        (
            {"training": {"spot": "yes please"}},
            "sagemaker.training.spot must be true or false; found 'yes please'",
        ),
        (
            {"training": [1]},
            "sagemaker.training must be names with values, such as `name: value`; found '[1]'",
        ),
        (
            {"endpoint": {"kind": "fast"}},
            "sagemaker.endpoint.kind must be one of "
            "real-time, serverless, async, multi-model; found 'fast'",
        ),
        ({"subnets": ["subnet-1"]}, "sagemaker.subnets and sagemaker.security_groups go together"),
        (
            {"training": {"spot": True, "max_wait_s": 5, "max_run_s": 10}},
            "max_wait_s is 5; it includes the running time",
        ),
        ({"training": {"spot": True, "keep_alive_s": 60}}, "keep_alive_s does not go with spot"),
        ({"debugger": {"rules": ["luck"]}}, "'luck' is not a rule of SageMaker Debugger"),
        ({"debugger": {"profile_interval_ms": 7}}, "profile_interval_ms is 7; expected 100"),
        (
            {"debugger": {"rule_parameters": {"DeadRelu.x": 1}}},
            "expected Rule.parameter of one of the rules",
        ),
        (
            {"endpoint": {"kind": "serverless", "memory_mb": 1000}},
            "memory_mb is 1000; serverless has 1024",
        ),
        (
            {"endpoint": {"kind": "serverless"}, "network_isolation": True},
            "a serverless endpoint cannot have network_isolation",
        ),
        ({"batch": {"instance_type": "ml.g5.xlarge", "cuda": 13}}, "have driver 535 at most"),
        ({"batch": {"concurrent": 50}}, "payload_mb is 300 MB; SageMaker allows 100"),
        ({"training": {"image": "mine"}}, "the image 'mine' has not been pushed"),
    ],
)
def test_what_a_recipe_cannot_say(settings, expected):
    with pytest.raises(LaunchError, match=re.escape(expected)):
        # Some mistakes show only in a request.
        one = recipe(**settings)
        debug_job(one, target(), "job")
        endpoint_config(one, target().location, "c", "m")
        transform_job(one, target().location, "j", "m", "s3://b/p/")


@pytest.mark.parametrize(
    "content, expected",
    [("name: [", "is not YAML"), ("hyperparameters:", "has no name"), ("- 1", "holds a list")],
)
def test_what_is_no_recipe(tmp_path, content, expected):
    (tmp_path / "recipe.yaml").write_text(content)
    with pytest.raises(LaunchError, match=expected):
        read_recipe(tmp_path / "recipe.yaml")
    with pytest.raises(LaunchError, match="cannot be read: No such file"):
        read_recipe(tmp_path / "none.yaml")


def test_the_recipes_are_read_from_the_repository():
    assert {
        read_recipe(path).sagemaker.endpoint.kind
        for path in (REPOSITORY / "recipes").glob("*.yaml")
    } == {"serverless", "real-time"}
