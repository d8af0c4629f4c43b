"""The bounds of the API's settings, the stack's names and parameters, and the function's zip."""

import hashlib
import io
import subprocess
import sys
import zipfile

import pytest

from launch.errors import LaunchError
from launch.requests_api import (
    FOLDERS,
    code,
    code_location,
    code_object,
    parameters,
    samples,
    stack,
    stack_name,
    validation_photos,
)
from tests.support.launching import recipe, target

LOCATION = target().location
BUCKET = "sagemaker-eu-west-1-123456789012"


def passed(key: str = "", **api: object) -> dict[str, str]:
    """The template's parameters for these settings of the API."""
    return parameters(recipe(api={"access": "open", **api}), LOCATION, b"zip", key)


def test_the_parameters_of_a_plain_recipe():
    assert passed() == {
        "EndpointName": "three-colours",
        "EndpointArnName": "three-colours",
        "TargetModel": "",
        "CodeBucket": BUCKET,
        "CodeKey": f"slipway/three-colours/api/{hashlib.sha256(b'zip').hexdigest()[:16]}.zip",
        "SamplesBucket": "",
        "SamplesPrefix": "",
        "SamplesKeyArn": "",
        "AllowedOrigins": "",
        "ApiKeySha256": "",
        "JwtIssuer": "",
        "JwtAudience": "",
        "RequestsPerSecond": "10",
        "RequestBurst": "20",
        "SureFrom": "0.5",
        "LogDays": "30",
    }


def test_the_code_is_put_under_a_checksum_of_16_digits():
    one = recipe(api={"code_bucket": "code"}, kms_key="key-1")
    assert code_location(one, LOCATION) == ("code", "slipway/three-colours/api/")
    key = hashlib.sha256(b"zip").hexdigest()[:16]
    assert code_object(one, LOCATION, b"zip") == {
        "Bucket": "code",
        "Key": f"slipway/three-colours/api/{key}.zip",
        "ContentLength": 3,
        "ServerSideEncryption": "aws:kms",
        "SSEKMSKeyId": "key-1",
    }


# The zip's checksum is its name: equal code must not be sent again.
def test_equal_files_are_an_equal_zip():
    with zipfile.ZipFile(io.BytesIO(code())) as archive:
        entries = archive.infolist()
    names = [entry.filename for entry in entries]
    assert "web/aws/handler.py" in names
    assert "web/page.html" in names
    rooms = [folder for folder in FOLDERS if folder.startswith("artifact")]
    own = sum(len(FOLDERS[room]) for room in rooms)
    assert set(names[:own]) == {f"{room}/{name}" for room in rooms for name in FOLDERS[room]}
    assert names[own:] == sorted(names[own : own + 3]) + sorted(names[own + 3 :])
    # No file's own time, which differs from checkout to checkout.
    for entry in entries:
        assert entry.date_time == (1980, 1, 1, 0, 0, 0)
        assert entry.external_attr == 0o644 << 16
        assert entry.compress_type == zipfile.ZIP_DEFLATED


def test_the_zip_has_all_that_the_function_imports(tmp_path):
    archive = tmp_path / "code.zip"
    archive.write_bytes(code())
    # -I: nothing of this checkout is found but what is in the zip.
    program = f"import sys; sys.path[:0] = [{str(archive)!r}]; import web.aws.handler"
    subprocess.run([sys.executable, "-I", "-c", program], check=True, cwd=tmp_path)


def test_a_stack_may_make_roles():
    made = stack(recipe(api={"access": "open"}), LOCATION, b"zip")
    assert made["StackName"] == "slipway-three-colours"
    # CloudFormation makes roles only where this is allowed.
    assert made["Capabilities"] == ["CAPABILITY_IAM"]
    assert {"ParameterKey": "LogDays", "ParameterValue": "30"} in made["Parameters"]
    assert len(made["Parameters"]) == 16


def test_a_stacks_name_has_128_characters_at_most():
    longest = "a" * 128
    assert stack_name(recipe(api={"name": longest})) == longest
    assert stack_name(recipe(api={"name": "a"})) == "a"
    for name in (longest + "a", "1a", "a_b"):
        with pytest.raises(LaunchError, match="has 128 at most"):
            stack_name(recipe(api={"name": name}))


@pytest.mark.parametrize(
    "api",
    [
        {"requests_per_second": 1},
        {"request_burst": 1},
        {"sure_from": 0},
        {"sure_from": 1},
        {"log_days": 365},
        {"log_days": 1},
    ],
)
def test_the_last_values_that_settings_can_have(api):
    [(name, value)] = api.items()
    # Settings and parameters are named alike.
    parameter = "".join(word.title() for word in name.split("_"))
    assert passed(**api)[parameter] == str(value)


@pytest.mark.parametrize(
    "api, expected",
    [
        ({"requests_per_second": 0}, "requests_per_second is 0; it must be at least 1"),
        ({"request_burst": 0}, "request_burst is 0; it must be at least 1"),
        ({"sure_from": -0.01}, "sure_from is -0.01; a probability lies between 0 and 1"),
        ({"sure_from": 1.01}, "sure_from is 1.01; a probability lies between 0 and 1"),
        ({"log_days": 0}, "keeps logs for 1, 3, 5, 7, 14, 30, 60, 90, 180, 365 days"),
        ({"jwt_audience": ["a"]}, "go with access jwt, and it is 'open'"),
        ({"access": "jwt", "jwt_issuer": "https://a"}, "and jwt_audience"),
    ],
)
def test_the_first_values_that_they_cannot_have(api, expected):
    with pytest.raises(LaunchError, match=expected):
        passed(**api)


def test_a_key_has_16_characters_at_least():
    key = "k" * 16
    found = passed(key, access="key")["ApiKeySha256"]
    assert found == hashlib.sha256(key.encode()).hexdigest()
    with pytest.raises(LaunchError, match="has 15 characters; take at least 16"):
        passed("k" * 15, access="key")


@pytest.mark.parametrize(
    "channels, found",
    [
        ({"validation": "a"}, f"s3://{BUCKET}/slipway/three-colours/data/validation"),
        ({"val": "s3://b/p/"}, "s3://b/p/"),
        ({"valid": "a", "val": "s3://b/p/"}, f"s3://{BUCKET}/slipway/three-colours/data/valid"),
        # An empty channel is given, and has no place.
        ({"validation": "", "val": "s3://b/p/"}, ""),
        ({"train": "a"}, ""),
    ],
)
def test_sample_photos_are_the_validation_channels(channels, found):
    assert validation_photos(recipe(channels=channels), LOCATION) == found


@pytest.mark.parametrize("given", ["s3://abc/p", "s3://abc/p/", f"s3://{'b' * 63}/p/"])
def test_samples_end_in_one_slash(given):
    found = samples(recipe(api={"samples": given}), LOCATION)
    assert found == given.rstrip("/") + "/"


# Shorter and longer than a bucket's name may be.
@pytest.mark.parametrize("given", ["s3://ab/p/", f"s3://{'b' * 64}/p/", "s3://abc//", "s3://abc"])
def test_samples_that_are_no_prefix_are_an_error(given):
    with pytest.raises(LaunchError, match="set sagemaker.api.samples to s3://bucket/prefix/"):
        samples(recipe(api={"samples": given}), LOCATION)


def test_the_samples_key_is_an_arn():
    def key_arn(given: str) -> str:
        one = recipe(kms_key=given, api={"access": "open", "samples": "validation"})
        return parameters(one, LOCATION, b"zip")["SamplesKeyArn"]

    assert key_arn("arn:aws:kms:eu-west-1:1:key/a") == "arn:aws:kms:eu-west-1:1:key/a"
    assert key_arn("a") == "arn:aws:kms:eu-west-1:123456789012:key/a"
    assert key_arn("") == ""
