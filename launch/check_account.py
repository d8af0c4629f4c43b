"""Looks of `launch check` at the account: credentials, role, bucket, quotas."""

from collections.abc import Iterator

from launch.bucket_owners import NO_BUCKET, foreign, region_in
from launch.context import LaunchContext
from launch.errors import NOT_ALLOWED, code_of, is_missing
from launch.findings import BAD, GOOD, WARNING, Finding, required
from launch.recipe import Recipe, searches
from launch.requests_training import bucket, owner, role

# HeadBucket has no error document: these are HTTP statuses.
OTHER_REGION = ("301", "400")


def credentials(context: LaunchContext) -> Iterator[Finding]:
    """The credentials' account is the recipe's."""
    caller = context.ask("sts", "GetCallerIdentity")
    location = context.location
    yield required(
        caller["Account"] == location.account,
        f"you are {caller['Arn']} in {location.region}",
        f", but the role is of account {location.account}",
    )


def the_role(context: LaunchContext) -> Iterator[Finding]:
    """The role exists, and SageMaker may assume it."""
    name = role(context.recipe, context.location).rpartition("/")[2]
    try:
        found = context.ask("iam", "GetRole", RoleName=name)["Role"]
    except Exception as error:
        if not is_missing(error):
            raise
        yield Finding(
            BAD,
            f"the role '{name}' does not exist; make one that sagemaker.amazonaws.com may assume, "
            "and set sagemaker.role",
        )
        return
    if "sagemaker.amazonaws.com" in str(found["AssumeRolePolicyDocument"]):
        # Whether its policies allow enough is for SageMaker to find: IAM has no simple answer.
        yield Finding(GOOD, f"role {name}")
    else:
        yield Finding(BAD, f"the role '{name}' does not let sagemaker.amazonaws.com assume it")


def the_bucket(context: LaunchContext) -> Iterator[Finding]:
    """The bucket exists, is ours, and lies in the region."""
    name = bucket(context.recipe, context.location)
    account = owner(context.recipe, context.location, name)
    region = context.location.region
    try:
        answer = context.ask("s3", "HeadBucket", Bucket=name)
    except Exception as error:
        code = code_of(error)
        if code in NO_BUCKET:
            yield Finding(
                BAD, f"the bucket '{name}' does not exist; aws s3 mb s3://{name} --region {region}"
            )
            return
        if code in OTHER_REGION:
            yield Finding(
                BAD,
                f"the bucket '{name}' lies in another region than {region}; "
                "set sagemaker.region to its own",
            )
            return
        if code in NOT_ALLOWED:
            yield Finding(BAD, foreign(context, name))
            return
        raise
    bucket_region = region_in(answer) or region
    yield required(
        bucket_region == region,
        f"bucket {name} of account {account} in {bucket_region}",
        f", but the recipe's region is {region}",
    )


def quotas(context: LaunchContext) -> Iterator[Finding]:
    """The account's quotas have room for the machines of the recipe."""
    client = context.client("service-quotas")
    quota: dict[str, float] = {}
    for page in client.get_paginator("list_service_quotas").paginate(ServiceCode="sagemaker"):
        for entry in page["Quotas"]:
            quota[entry["QuotaName"]] = entry["Value"]
    # A quota of an instance type is missing where the region does not offer the type.
    for name, count in wanted_quotas(context.recipe).items():
        if name in quota:
            yield required(
                quota[name] >= count,
                f"quota '{name}' is {quota[name]:.0f}",
                f", the recipe needs {count}; ask for more under Service Quotas",
            )
        else:
            instance_type = name.split()[0]
            yield Finding(
                WARNING,
                f"quota '{name}' is not listed; "
                f"is {instance_type} offered in {context.location.region}?",
            )


def wanted_quotas(recipe: Recipe) -> dict[str, int]:
    """Instances by the name of SageMaker's quota."""
    settings = recipe.sagemaker
    training = settings.training
    # All trainings of a search run at the same time, each on its own machines.
    parallel = max((search.budgets.parallel for search in searches(recipe)), default=1)
    usage = "training job usage"
    if training.spot:
        usage = "spot training job usage"
    wanted = {
        f"{training.instance_type} for {usage}": training.instance_count * parallel,
        f"{settings.batch.instance_type} for transform job usage": settings.batch.instance_count,
    }
    endpoint = settings.endpoint
    if endpoint.kind != "serverless":
        most = max(endpoint.instance_count, endpoint.max_instances)
        wanted[f"{endpoint.instance_type} for endpoint usage"] = most
    return wanted
