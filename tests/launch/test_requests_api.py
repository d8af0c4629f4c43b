"""The stack's request: parameters from the recipe, and settings that do not fit."""

import pytest

from launch.context import validate
from launch.errors import LaunchError
from launch.requests_api import code, code_object, parameters, stack
from launch.requests_training import Call
from tests.support.launching import recipe, target
from tests.support.stacks import refusal

KEY = "a key that nobody guesses"
LOCATION = target().location


OPEN = {"access": "open"}
FULL = {
    "access": "jwt",
    "jwt_issuer": "https://issuer.example",
    "jwt_audience": ["a", "b"],
    "origins": ["https://example.org", "http://localhost:8000"],
    "samples": "s3://other/photos",
    "code_bucket": "code",
    "sure_from": 0.75,
    "log_days": 7,
    "request_burst": 5,
    "name": "yoga",
}


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        (
            # An alias is enough where no photos are shown.
            {"kms_key": "alias/mine"},
            {
                "EndpointName": "three-colours",
                "CodeBucket": "sagemaker-eu-west-1-123456789012",
                "SamplesBucket": "",
                "SamplesPrefix": "",
                "SamplesKeyArn": "",
                "TargetModel": "",
                "AllowedOrigins": "",
            },
        ),
        (
            {"api": {"samples": "validation"}},
            {
                "SamplesBucket": "sagemaker-eu-west-1-123456789012",
                "SamplesPrefix": "slipway/three-colours/data/validation/",
            },
        ),
        ({"api": OPEN}, {"ApiKeySha256": ""}),
        (
            {"api": FULL},
            {
                "JwtIssuer": "https://issuer.example",
                "JwtAudience": "a,b",
                "AllowedOrigins": "https://example.org,http://localhost:8000",
                "SamplesBucket": "other",
                "SamplesPrefix": "photos/",
                "CodeBucket": "code",
                "SureFrom": "0.75",
                "LogDays": "7",
                "RequestBurst": "5",
            },
        ),
        (
            {
                "channels": {"train": "a", "val": "s3://pics/q/"},
                "endpoint": {"name": "Yoga Poses"},
                "api": {"samples": "validation"},
            },
            {
                "SamplesBucket": "pics",
                "SamplesPrefix": "q/",
                "EndpointName": "Yoga-Poses",
                # In ARNs an endpoint's name is in lower case.
                "EndpointArnName": "yoga-poses",
            },
        ),
        (
            {"kms_key": "key-1", "api": {"samples": "validation"}},
            {"SamplesKeyArn": "arn:aws:kms:eu-west-1:123456789012:key/key-1"},
        ),
        (
            {"api": {"samples": "none"}, "kms_key": "alias/mine"},
            {"SamplesBucket": "", "SamplesKeyArn": ""},
        ),
        ({"endpoint": {"kind": "multi-model"}}, {"TargetModel": "three-colours.tar.gz"}),
        (
            {"endpoint": {"kind": "multi-model"}, "api": {"target_model": "dogs.tar.gz"}},
            {"TargetModel": "dogs.tar.gz"},
        ),
    ],
)
def test_the_stack_says_all_of_the_recipe_and_the_template_takes_it(settings, found):
    one = recipe(**settings)
    key = "" if one.sagemaker.api.access != "key" else KEY
    passed = parameters(one, LOCATION, code(), key)
    assert found.items() <= passed.items()
    # The template itself takes the parameters.
    assert refusal(passed) == ""
    validate(Call("cloudformation", "CreateStack", stack(one, LOCATION, code(), key)))
    # botocore has the shape of each request.
    validate(Call("cloudformation", "UpdateStack", stack(one, LOCATION, code(), key)))
    validate(Call("s3", "PutObject", {**code_object(one, LOCATION, code()), "Body": code()}))
    assert code_object(one, LOCATION, code()).get("SSEKMSKeyId", "") == one.sagemaker.kms_key


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"colour": 1}, "sagemaker.api: setting 'colour' is unknown; known: name, access, "),
        ({"access": "secret"}, "access is 'secret'; expected open, key, jwt"),
        ({"access": "key"}, "set SLIPWAY_API_KEY"),
        ({"access": "jwt"}, "set jwt_issuer"),
        # Tokens over http could be read on the way.
        ({"access": "jwt", "jwt_issuer": "http://a", "jwt_audience": ["b"]}, "https:// address"),
        ({"jwt_issuer": "https://a", **OPEN}, "go with access jwt"),
        ({"origins": ["*"]}, "'\\*' in sagemaker.api.origins is not a web origin"),
        ({"origins": ["https://a.org/path"]}, "without a path"),
        ({"samples": "photos"}, "s3://bucket/prefix/"),
        ({"samples": "s3://bucket/"}, "s3://bucket/prefix/"),
        ({"samples": "s3://bucket/*"}, "s3://bucket/prefix/"),
        ({"samples": "s3://bucket/prefix/", "access": ""}, "access is ''; expected"),
        ({"requests_per_second": 0}, "requests_per_second is 0; it must be at least 1"),
        ({"request_burst": -1}, "request_burst is -1"),
        ({"sure_from": 50}, "sure_from is 50; a probability"),
        ({"log_days": 2}, "log_days is 2; CloudWatch keeps"),
        ({"name": "1 api"}, "name is '1 api'; a stack's name"),
        ({"target_model": "a.tar.gz"}, "for multi-model endpoints, and this one is real-time"),
        ({"log_days": "many"}, "log_days must be a whole number; found 'many'"),
    ],
)
def test_settings_that_cannot_be_meant_are_errors(settings, expected):
    with pytest.raises(LaunchError, match=expected):
        stack(recipe(api={**OPEN, **settings}), LOCATION, b"")


def test_a_key_and_the_recipe_must_say_the_same():
    for access, key, expected in (
        ("open", KEY, "SLIPWAY_API_KEY is set, but sagemaker.api.access is 'open'"),
        ("key", "short", "has 5 characters; take at least 16"),
        # A header ends with its line.
        ("key", "a key with an end\n", "characters that a header cannot carry"),
        ("key", "ein Schlüssel für alle", "characters that a header cannot carry"),
    ):
        with pytest.raises(LaunchError, match=expected):
            stack(recipe(api={"access": access}), LOCATION, b"", key)
    with pytest.raises(LaunchError, match="asynchronous endpoint"):
        stack(recipe(endpoint={"kind": "async"}, api=OPEN), LOCATION, b"")
    # A role is allowed a key by its ARN, which an alias has not.
    with pytest.raises(LaunchError, match="kms_key is 'alias/mine'"):
        stack(recipe(kms_key="alias/mine", api={**OPEN, "samples": "validation"}), LOCATION, b"")
    with pytest.raises(LaunchError, match="the recipe has no such channel"):
        stack(recipe(channels={"train": "a"}, api={**OPEN, "samples": "validation"}), LOCATION, b"")
