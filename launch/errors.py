"""What AWS answers, or the lack of an answer, as one sentence that says what to do."""

import re

ACTION = re.compile(r"perform: ([\w-]+:\w+)")
NOT_ALLOWED = (
    "AccessDenied",
    "AccessDeniedException",
    "403",
    "UnauthorizedOperation",
)  # one may not look, or do
PATIENCE = (
    "AWS asked for patience more often than this client retries; run the command again in a minute"
)


class LaunchError(RuntimeError):
    """A step that cannot be done; the text says which, why, and what to do."""


class Missing(LaunchError):
    """What was asked for does not exist."""


def sentence(error: Exception) -> str:
    """One sentence for an exception of botocore; for any other its own text."""
    from botocore import exceptions

    if isinstance(error, exceptions.ClientError):
        return _of_answer(error)
    if isinstance(
        error,
        (
            exceptions.NoCredentialsError,
            exceptions.PartialCredentialsError,
            exceptions.CredentialRetrievalError,
        ),
    ):
        return f"there are no usable AWS credentials ({error}); run `aws configure` or `aws sso login`, or set AWS_PROFILE"
    if isinstance(
        error,
        (
            exceptions.TokenRetrievalError,
            exceptions.SSOTokenLoadError,
            exceptions.UnauthorizedSSOTokenError,
        ),
    ):
        return f"the sign-in of this profile has ended ({error}); run `aws sso login`"
    if isinstance(error, exceptions.ProfileNotFound):
        return f"{error}; set AWS_PROFILE to one of `aws configure list-profiles`"
    if isinstance(error, exceptions.NoRegionError):
        return "no region is given; set `sagemaker: region:` in the recipe, or AWS_REGION"
    if isinstance(error, exceptions.EndpointConnectionError):
        return f"{error}; check the recipe's region (is there such a region, with this service?) and this machine's network"
    if isinstance(error, exceptions.ParamValidationError):
        return " ".join(str(error).split())
    return str(error)


def code_of(error: Exception) -> str:
    """AWS's code of an error, such as `AccessDeniedException`; empty for other exceptions."""
    return getattr(error, "response", {}).get("Error", {}).get("Code", "")


def message_of(error: Exception) -> str:
    return " ".join(
        str(getattr(error, "response", {}).get("Error", {}).get("Message", error)).split()
    )


def is_missing(error: Exception) -> bool:
    """Whether AWS says that the thing itself is not there (never: that one may not look)."""
    code, message = code_of(error), message_of(error)
    if code in (
        "ResourceNotFound",
        "ResourceNotFoundException",
        "NoSuchKey",
        "NoSuchBucket",
        "404",
        "NoSuchEntity",
        "ObjectNotFoundException",
    ):
        return True
    return code == "ValidationException" and bool(
        re.search(r"could not find|does not exist|not found", message, re.I)
    )


def _of_answer(error: Exception) -> str:
    code, message, operation = (
        code_of(error),
        message_of(error),
        getattr(error, "operation_name", ""),
    )
    if code in NOT_ALLOWED:
        action = ACTION.search(message)
        return f"you may not {action[1] if action else operation}: {message}; ask for that permission, or set AWS_PROFILE to a user who has it"
    if code in ("ExpiredToken", "ExpiredTokenException", "RequestExpired"):
        return "the AWS credentials have expired; sign in again (`aws sso login`)"
    if code in (
        "InvalidClientTokenId",
        "UnrecognizedClientException",
        "SignatureDoesNotMatch",
        "InvalidAccessKeyId",
        "AuthFailure",
    ):
        return f"AWS does not know these credentials ({code}); check AWS_PROFILE, and that the region belongs to your account's partition"
    if code in ("ResourceLimitExceeded", "LimitExceededException", "ServiceQuotaExceededException"):
        return f"a quota of your account is reached: {message}; ask for more under Service Quotas, SageMaker, or take another instance type"
    if code in (
        "PermanentRedirect",
        "AuthorizationHeaderMalformed",
        "IllegalLocationConstraintException",
        "301",
    ):
        return f"the bucket lies in another region than the recipe's: {message}; set `sagemaker: region:` to the bucket's"
    if code == "NoSuchBucket":
        return f"there is no bucket of that name: {message}; make it, or set `sagemaker: bucket:`"
    if code == "OptInRequired":
        return f"this region is not switched on for your account: {message}"
    if code in (
        "ThrottlingException",
        "Throttling",
        "TooManyRequestsException",
        "SlowDown",
        "RequestLimitExceeded",
    ):
        return f"{PATIENCE} ({operation}: {message})"
    if (
        code in ("CapacityError", "InsufficientCapacityError")
        or "capacity" in message.lower()
        and code != "ValidationException"
    ):
        return f"AWS has no such machine free now: {message}; try later, another instance type, or another region"
    if re.search(
        r"(image|repository).*(not found|does not exist|cannot find)|cannot find.*image",
        message,
        re.I,
    ):
        return f"the image is not in ECR, or the role may not pull it: {message}; run ./build_and_push.sh, and let the role read the repository"
    return f"{operation or 'AWS'} answered {code or 'an error'}: {message}"
