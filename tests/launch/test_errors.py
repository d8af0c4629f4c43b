"""AWS's errors as sentences."""

import pytest
from botocore.exceptions import ClientError

from launch.errors import is_missing, sentence


@pytest.mark.parametrize(
    "code, message, expected",
    [
        (
            "AccessDeniedException",
            "User: u is not authorized to perform: sagemaker:CreateModel on resource: r",
            "you may not sagemaker:CreateModel: ",
        ),
        ("ResourceLimitExceeded", "limit 0", "a quota of your account is reached: limit 0"),
        ("ExpiredTokenException", "x", "the AWS credentials have expired"),
        (
            "UnrecognizedClientException",
            "The security token included in the request is invalid.",
            "AWS does not know these credentials",
        ),
        (
            "ValidationException",
            "Cannot find the requested image in the registry",
            "the image is not in ECR, or the role may not pull it",
        ),
        ("PermanentRedirect", "use another endpoint", "the bucket lies in another region"),
        ("NoSuchBucket", "b", "the bucket does not exist: "),
        ("ThrottlingException", "Rate exceeded", "AWS throttled the request"),
        (
            "CapacityError",
            "Unable to provision requested ML compute capacity",
            "AWS has no such machine free now",
        ),
        ("OptInRequired", "x", "this region is not switched on"),
        (
            "ValidationException",
            "something else",
            "CreateX answered ValidationException: something else",
        ),
    ],
)
def test_refusals_become_one_sentence(code, message, expected):
    error = ClientError({"Error": {"Code": code, "Message": message}}, "CreateX")
    assert sentence(error).startswith(expected)
    assert "\n" not in sentence(error)


def test_only_what_is_not_there_is_missing():
    def missing(code, message):
        return is_missing(ClientError({"Error": {"Code": code, "Message": message}}, "X"))

    assert missing("ValidationException", "Could not find endpoint")
    assert missing("NoSuchKey", "")
    assert missing("ValidationException", "Requested resource not found.")
    assert not missing("AccessDeniedException", "not found")
    assert not missing("ValidationException", "1 validation error detected")
