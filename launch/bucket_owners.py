"""Whose the buckets are: nothing is sent to, or read from, a bucket of an unnamed account.

The default bucket's name can be guessed, and whoever makes a bucket first has its name.
"""

from launch.aws import Response
from launch.context import LaunchContext
from launch.errors import NOT_ALLOWED, LaunchError, Missing, code_of
from launch.requests_training import owner, split_s3

# HeadBucket has no error document: this is the HTTP status.
NO_BUCKET = ("404", "NoSuchBucket")


def check_bucket(context: LaunchContext, name: str) -> None:
    """LaunchError for a bucket of another account or region, Missing for none. Asks once."""
    if context.dry or name in context.own_buckets:
        return
    try:
        # The client adds the account: S3 refuses where the bucket is another's.
        answer = context.ask("s3", "HeadBucket", Bucket=name)
    except Exception as error:
        if code_of(error) in NO_BUCKET:
            region = context.location.region
            raise Missing(
                f"the bucket '{name}' does not exist; aws s3 mb s3://{name} --region {region}"
            ) from error
        if code_of(error) in NOT_ALLOWED:
            raise LaunchError(foreign(context, name)) from error
        # The request itself has its own sentence.
        return
    check_region(context, name, answer)
    context.own_buckets.add(name)


def check_region(context: LaunchContext, name: str, answer: Response) -> None:
    """LaunchError for a bucket of another region, by the answer of HeadBucket.

    boto3 follows a bucket to its region in silence; SageMaker refuses such a bucket, but only after
    the photos were sent.
    """
    region = context.location.region
    found = region_in(answer) or region
    if found != region:
        raise LaunchError(
            f"the bucket '{name}' lies in {found}, and the recipe's region is {region}: SageMaker "
            f"reads and writes buckets of its own region alone; set sagemaker.region to {found}, "
            f"or take a bucket of {region}"
        )


def region_in(answer: Response) -> str:
    """The region that HeadBucket names; empty for none."""
    headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    # An older S3 service names the region in a header only.
    return str(answer.get("BucketRegion") or headers.get("x-amz-bucket-region", ""))


def foreign(context: LaunchContext, name: str) -> str:
    """The sentence about a bucket that S3 does not let us see as this account's."""
    account = owner(context.recipe, context.location, name)
    return (
        f"the bucket '{name}' is not of account {account}, or you may not s3:ListBucket it; "
        "nothing is sent to another's bucket: set another sagemaker.bucket, or name the account "
        f"that you mean under sagemaker.bucket_accounts: {{{name}: '…'}}"
    )


def check_request(context: LaunchContext, request: object) -> None:
    """check_bucket for each s3:// address of a request: SageMaker itself asks for no owner."""
    for name in sorted(buckets_in(request)):
        check_bucket(context, name)


def buckets_in(part: object) -> set[str]:
    """The buckets of all s3:// addresses in a nested request."""
    if isinstance(part, str):
        if part.startswith("s3://"):
            return {split_s3(part)[0]}
        return set()
    found: set[str] = set()
    if isinstance(part, dict):
        part = list(part.values())
    if isinstance(part, list):
        for one in part:
            found |= buckets_in(one)
    return found
