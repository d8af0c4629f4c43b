"""AWS's errors, and the lack of an answer, as one sentence that says what to do."""

import errno
import re

FULL = (errno.ENOSPC, errno.EDQUOT)
ACTION = re.compile(r"perform: ([\w-]+:\w+)")
# S3's HEAD requests have no body: botocore then gives the HTTP status as the code.
NOT_ALLOWED = ("AccessDenied", "AccessDeniedException", "403", "UnauthorizedOperation")
NOT_THERE = (
    "ResourceNotFound",
    "ResourceNotFoundException",
    "NoSuchKey",
    "NoSuchBucket",
    "404",
    "NoSuchEntity",
    "ObjectNotFoundException",
)
EXPIRED = ("ExpiredToken", "ExpiredTokenException", "RequestExpired")
CLOCK = ("RequestTimeTooSkewed", "RequestInTheFuture")
SKEWED = re.compile(r"signature (expired|not yet current)", re.I)
UNKNOWN_CREDENTIALS = (
    "InvalidClientTokenId",
    "UnrecognizedClientException",
    "SignatureDoesNotMatch",
    "InvalidSignatureException",
    "IncompleteSignature",
    "InvalidToken",
    "InvalidAccessKeyId",
    "AuthFailure",
)
QUOTA = ("ResourceLimitExceeded", "LimitExceededException", "ServiceQuotaExceededException")
OTHER_REGION = (
    "PermanentRedirect",
    "AuthorizationHeaderMalformed",
    "IllegalLocationConstraintException",
    "301",
)
# Operations of S3: a request names the bucket's owner, and S3 refuses another's without a word.
OF_BUCKETS = (
    *("HeadBucket", "ListObjectsV2", "GetObject", "HeadObject"),
    *("PutObject", "CopyObject", "DeleteObject", "DeleteObjects"),
)
# What S3 and SageMaker pass on from KMS.
KEYS = (
    "KMS.DisabledException",
    "KMS.NotFoundException",
    "KMS.InvalidStateException",
    "KMS.KMSInvalidStateException",
    "KMSDisabledException",
    "KMSNotFoundException",
    "KMSInvalidStateException",
)
THROTTLED = (
    "ThrottlingException",
    "Throttling",
    "TooManyRequestsException",
    "SlowDown",
    "RequestLimitExceeded",
)
NO_CAPACITY = ("CapacityError", "InsufficientCapacityError")
NO_IMAGE = re.compile(
    r"(image|repository).*(not found|does not exist|cannot find)|cannot find.*image", re.I
)
# By AWS's code of the error: the sentence, with the code, AWS's message and the operation.
SENTENCES = (
    (EXPIRED, "the AWS credentials have expired; sign in again (`aws sso login`)"),
    (
        CLOCK,
        "this machine's clock is wrong, and AWS refuses what is signed with it ({message}); set it "
        "right (`timedatectl set-ntp true`)",
    ),
    (
        UNKNOWN_CREDENTIALS,
        "AWS does not know these credentials ({code}); check AWS_PROFILE, and that the region "
        "belongs to your account's partition",
    ),
    (
        QUOTA,
        "a quota of your account is reached: {message}; ask for more under Service Quotas, "
        "SageMaker, or take another instance type",
    ),
    (
        OTHER_REGION,
        "the bucket lies in another region than the recipe's: {message}; "
        "set `sagemaker: region:` to the bucket's",
    ),
    (
        ("NoSuchBucket",),
        "the bucket does not exist: {message}; make it, or set `sagemaker: bucket:`",
    ),
    (
        KEYS,
        "the KMS key of `sagemaker: kms_key:`, or of the bucket, cannot be used: {message}; "
        "enable it, or take a key of the recipe's region",
    ),
    (("OptInRequired",), "this region is not switched on for your account: {message}"),
    (
        THROTTLED,
        "AWS throttled the request more often than this client retries; "
        "run the command again in a minute ({operation}: {message})",
    ),
)


class LaunchError(RuntimeError):
    """A step that cannot be done; the text says which step, why, and what to do."""


class Unseen(LaunchError):
    """It cannot be seen whether the step was done."""


class Missing(LaunchError):
    """The wanted thing does not exist."""


def is_expected(error: Exception) -> bool:
    """Whether an error is a sentence for the user: of launch, botocore, the disk or the network."""
    # Any other error is a fault of ours, and keeps its traceback.
    if isinstance(error, (LaunchError, OSError)):
        return True
    # botocore's errors have no common parent.
    return type(error).__module__.startswith(("botocore", "boto3"))


def expected_sentence(error: Exception) -> str:
    """The sentence of an error that does not keep other things from being done.

    An error that is a fault of ours is raised again.
    """
    if not is_expected(error):
        raise error
    return sentence(error)


def sentence(error: Exception) -> str:
    """One sentence for an exception of botocore; for any other its own text."""
    from botocore import exceptions

    if isinstance(error, exceptions.ClientError):
        return _sentence_of_answer(error)
    if isinstance(
        error,
        (
            exceptions.NoCredentialsError,
            exceptions.PartialCredentialsError,
            exceptions.CredentialRetrievalError,
        ),
    ):
        return (
            f"there are no usable AWS credentials ({error}); run `aws configure` or "
            "`aws sso login`, or set AWS_PROFILE"
        )
    signed_out = (
        *(exceptions.TokenRetrievalError, exceptions.SSOTokenLoadError),
        exceptions.UnauthorizedSSOTokenError,
    )
    if isinstance(error, signed_out):
        return f"the sign-in of this profile has ended ({error}); run `aws sso login`"
    if isinstance(error, exceptions.ProfileNotFound):
        return f"{error}; set AWS_PROFILE to one of `aws configure list-profiles`"
    if isinstance(error, exceptions.NoRegionError):
        return "no region is given; set `sagemaker: region:` in the recipe, or AWS_REGION"
    if isinstance(error, exceptions.EndpointConnectionError):
        return (
            f"{error}; check the recipe's region (is there such a region, with this service?) "
            "and this machine's network"
        )
    if isinstance(error, OSError) and error.errno in FULL:
        return _full_disk(error)
    if isinstance(error, exceptions.ParamValidationError):
        return " ".join(str(error).split())
    return str(error)


def _full_disk(error: OSError) -> str:
    where = f" (writing '{error.filename}')" if error.filename else ""
    return f"the disk is full{where}; make room, or take another folder with --out, and go on"


def code_of(error: Exception) -> str:
    """AWS's code of an error, such as `AccessDeniedException`; empty for other exceptions."""
    return str(_answer(error).get("Code", ""))


def message_of(error: Exception) -> str:
    """AWS's message of an error, in one line; for other exceptions their text."""
    return " ".join(str(_answer(error).get("Message", error)).split())


def is_missing(error: Exception) -> bool:
    """Whether AWS says that the thing does not exist. A refusal to look is not that."""
    code = code_of(error)
    if code in NOT_THERE:
        return True
    # SageMaker answers a Describe of an unknown name with a ValidationException.
    return code == "ValidationException" and bool(
        re.search(r"could not find|does not exist|not found", message_of(error), re.I)
    )


def is_taken(error: Exception) -> bool:
    """Whether SageMaker says that something has this name already."""
    if code_of(error) == "ResourceInUse":
        return True
    # Of models, configurations and endpoints.
    return code_of(error) == "ValidationException" and "already exist" in message_of(error)


def may_have_arrived(error: Exception) -> bool:
    """Whether AWS may have done what was asked: no answer came, or one of a fault of its own."""
    from botocore import exceptions

    if isinstance(error, Unseen):
        return True
    if isinstance(error, exceptions.ClientError):
        return error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) >= 500
    return isinstance(error, (exceptions.HTTPClientError, exceptions.ConnectionError))


def _answer(error: Exception) -> dict[str, object]:
    """The error document of a ClientError; empty for other exceptions."""
    response = getattr(error, "response", None) or {}  # None: no answer came
    document: dict[str, object] = response.get("Error", {})
    return document


def _sentence_of_answer(error: Exception) -> str:
    code = code_of(error)
    message = message_of(error)
    operation = str(getattr(error, "operation_name", ""))
    if code in NOT_ALLOWED:
        named = ACTION.search(message)
        action = named[1] if named else operation
        if action.startswith("kms:"):
            message += " (the key's own policy must allow it, too)"
        elif operation in OF_BUCKETS:
            message += " (or the bucket is another account's: sagemaker.bucket_accounts names it)"
        return (
            f"you may not {action}: {message}; ask for that permission, "
            "or set AWS_PROFILE to a user that has it"
        )
    if SKEWED.search(message):
        code = CLOCK[0]  # most services have no code of their own for it
    for codes, text in SENTENCES:
        if code in codes:
            return text.format(code=code, message=message, operation=operation)
    # A validation error also speaks of capacity: of a value outside its range.
    names_capacity = "capacity" in message.lower() and code != "ValidationException"
    if code in NO_CAPACITY or names_capacity:
        return (
            f"AWS has no such machine free now: {message}; try later, another instance type, "
            "or another region"
        )
    if NO_IMAGE.search(message):
        return (
            f"the image is not in ECR, or the role may not pull it: {message}; "
            "run ./build_and_push.sh, and let the role read the repository"
        )
    return f"{operation or 'AWS'} answered {code or 'an error'}: {message}"
