"""Making a thing on SageMaker once: each request has this command's own token in a tag.

An answer may get lost, and the client then asks again. What the first try made is known by its
token, never by its name: another command's thing may have that.
"""

from launch.aws import Request
from launch.bucket_owners import check_request
from launch.context import LaunchContext
from launch.errors import LaunchError, Unseen, is_taken, sentence
from launch.requests_training import RECIPE_TAG

ATTEMPT_TAG = "slipway:attempt"
# By operation: the field of the thing's name, and its type in an ARN.
NAMED = {
    "CreateTrainingJob": ("TrainingJobName", "training-job"),
    "CreateHyperParameterTuningJob": ("HyperParameterTuningJobName", "hyper-parameter-tuning-job"),
    "CreateTransformJob": ("TransformJobName", "transform-job"),
    "CreateProcessingJob": ("ProcessingJobName", "processing-job"),
    "CreateModel": ("ModelName", "model"),
    "CreateEndpointConfig": ("EndpointConfigName", "endpoint-config"),
    "CreateEndpoint": ("EndpointName", "endpoint"),
    "CreateModelPackageGroup": ("ModelPackageGroupName", "model-package-group"),
}


def make(context: LaunchContext, operation: str, request: Request) -> None:
    """Send a request that makes a thing.

    LaunchError where another command's thing has its name, and for another account's bucket.
    """
    check_request(context, request)
    tags = [*request.get("Tags", []), {"Key": ATTEMPT_TAG, "Value": context.attempt}]
    try:
        context.ask("sagemaker", operation, **{**request, "Tags": tags})
    except Exception as error:
        if not is_taken(error):
            raise
        field, kind = NAMED[operation]
        name = str(request[field])
        if attempt_of(context, kind, name) != context.attempt:
            raise LaunchError(
                f"{operation}: another command made '{name}' at the same time, or an earlier one "
                "did; nothing was changed: try again"
            ) from error


def attempt_of(context: LaunchContext, kind: str, name: str) -> str:
    """The token of the command that made a thing; empty for none.

    Unseen where the tags cannot be read.
    """
    # SageMaker writes names in ARNs in small letters.
    arn = context.location.arn("sagemaker", f"{kind}/{name.lower()}")
    try:
        found = tags_of(context, arn)
    except Exception as error:
        raise Unseen(
            f"'{name}' exists, and whether this command made it cannot be seen: {sentence(error)}"
        ) from error
    return found.get(ATTEMPT_TAG, "")


def tags_of(context: LaunchContext, arn: str) -> dict[str, str]:
    """All tags of a thing of SageMaker, by their keys."""
    found: dict[str, str] = {}
    page_token: dict[str, str] = {}
    while True:
        page = context.ask("sagemaker", "ListTags", ResourceArn=arn, **page_token)
        found.update({tag["Key"]: tag["Value"] for tag in page.get("Tags", [])})
        if not page.get("NextToken"):
            return found
        page_token = {"NextToken": page["NextToken"]}


def check_owner(context: LaunchContext, what: str, arn: str) -> None:
    """LaunchError for a thing of SageMaker that has a name of the recipe's, and not its tag.

    Another recipe or program made it: it is never changed.
    """
    wanted = context.recipe.name
    owner = tags_of(context, arn).get(RECIPE_TAG, "")
    if owner != wanted:
        whose = f"the recipe '{owner}' made it" if owner else "another program made it"
        raise LaunchError(
            f"the {what} is there already, without the tag {RECIPE_TAG}={wanted}: {whose}, and it "
            "is left alone; take another name, or give it the tag if it is yours"
        )
