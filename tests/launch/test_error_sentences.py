"""Errors of AWS and of botocore as sentences: each code, each class, each fallback."""

import errno

import pytest
from botocore import exceptions
from botocore.exceptions import ClientError

from launch import errors
from launch.errors import code_of, is_missing, message_of, sentence


def refused(code: str, message: str, operation: str = "CreateX") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)


@pytest.mark.parametrize(
    "error, start",
    [
        (exceptions.NoCredentialsError(), "there are no usable AWS credentials (Unable to locate"),
        (
            exceptions.PartialCredentialsError(provider="p", cred_var="v"),
            "there are no usable AWS credentials (",
        ),
        (
            exceptions.CredentialRetrievalError(provider="p", error_msg="e"),
            "there are no usable AWS credentials (",
        ),
        (
            exceptions.TokenRetrievalError(provider="p", error_msg="e"),
            "the sign-in of this profile has ended (",
        ),
        (exceptions.SSOTokenLoadError(error_msg="e"), "the sign-in of this profile has ended ("),
        (exceptions.UnauthorizedSSOTokenError(), "the sign-in of this profile has ended ("),
        (exceptions.ProfileNotFound(profile="me"), "The config profile (me) could not be found; "),
        (exceptions.NoRegionError(), "no region is given; set `sagemaker: region:`"),
        (
            exceptions.EndpointConnectionError(endpoint_url="https://a"),
            'Could not connect to the endpoint URL: "https://a"; check the recipe',
        ),
        (exceptions.ParamValidationError(report="a\n  b"), "Parameter validation failed: a b"),
        (ValueError("as\nit is"), "as\nit is"),
    ],
)
def test_botocores_own_errors(error, start):
    assert sentence(error).startswith(start)


@pytest.mark.parametrize(
    "code, message, start",
    [
        ("403", "Forbidden", "you may not CreateX: Forbidden; "),
        ("UnauthorizedOperation", "perform: a:B on c", "you may not a:B: "),
        ("X", "no Capacity now", "AWS has no such machine free now: no Capacity now; "),
        ("InsufficientCapacityError", "no", "AWS has no such machine free now: no; "),
        ("ValidationException", "capacity 9 is out of range", "CreateX answered ValidationExc"),
        ("X", "repository a\nnot found", "the image is not in ECR, or the role may not pull it"),
        ("SignatureDoesNotMatch", "Signature expired: a is now earlier", "this machine's clock"),
        ("InvalidSignatureException", "Signature not yet current: a", "this machine's clock is"),
        ("X", "something", "CreateX answered X: something"),
        ("KMS.DisabledException", "a is disabled", "the KMS key of `sagemaker: kms_key:`, or of"),
        ("", "something", "CreateX answered an error: something"),
    ],
)
def test_answers_of_aws(code, message, start):
    assert sentence(refused(code, message)).startswith(start)


def test_a_full_disk():
    assert sentence(OSError(errno.ENOSPC, "No space left on device")).startswith(
        "the disk is full; make room"
    )
    assert "(writing 'a')" in sentence(OSError(errno.EDQUOT, "quota", "a"))


def test_an_answer_without_an_operation_is_awss():
    assert sentence(refused("X", "m", "")) == "AWS answered X: m"


@pytest.mark.parametrize(
    "codes, text", [(code, text) for codes, text in errors.SENTENCES for code in codes]
)
def test_every_code_has_its_sentence(codes, text):
    wanted = text.format(code=codes, message="m", operation="CreateX")
    assert sentence(refused(codes, "m")) == wanted


def test_code_and_message_of_any_error():
    assert code_of(refused("X", "a\n b")) == "X"
    assert message_of(refused("X", "a\n b")) == "a b"
    assert code_of(ValueError("v")) == ""
    assert message_of(ValueError("a\n b")) == "a b"


@pytest.mark.parametrize(
    "code, message, missing",
    [
        *((code, "", True) for code in errors.NOT_THERE),
        ("ValidationException", "Could not find it", True),
        ("ValidationException", "it DOES NOT EXIST", True),
        ("ValidationException", "too long", False),
        ("X", "does not exist", False),
    ],
)
def test_missing_things(code, message, missing):
    assert is_missing(refused(code, message)) is missing


def test_a_key_that_may_not_be_used_is_no_foreign_bucket():
    message = "User: me is not authorized to perform: kms:GenerateDataKey on resource: key"
    text = sentence(refused("AccessDenied", message, "PutObject"))
    assert text.startswith("you may not kms:GenerateDataKey: ")
    assert "the key's own policy must allow it, too" in text
    assert "bucket" not in text
