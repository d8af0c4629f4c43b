"""The command check: finds mistakes before they cost money. It changes nothing."""

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict

from launch.architectures import used_images
from launch.check_account import credentials, quotas, the_bucket, the_role
from launch.check_inputs import data, images
from launch.check_machines import machines, multi_model
from launch.check_recipe import budget, debugger, requests, tuning
from launch.context import LaunchContext
from launch.ecr import ECR_HOST, image_id, split_uri
from launch.errors import NOT_ALLOWED, LaunchError, code_of, sentence
from launch.findings import BAD, WARNING, Finding
from launch.jobs import FAILED, FINE
from launch.requests_training import bucket, channels, role, split_s3

Look = Callable[[LaunchContext], Iterator[Finding]]
# In the order of printing.
LOOKS: tuple[Look, ...] = (
    requests,
    credentials,
    the_role,
    the_bucket,
    images,
    data,
    quotas,
    machines,
    multi_model,
    budget,
    tuning,
    debugger,
)


def check(context: LaunchContext) -> int:
    """Look at everything that the recipe needs; 1 when something would fail."""
    if context.dry:
        return show_requests(context)
    found = []
    for look in LOOKS:
        for finding in findings_of(context, look):
            context.print(shown(finding, context.options.json))
            found.append(finding)
    bad = sum(finding.level == BAD for finding in found)
    warnings = sum(finding.level == WARNING for finding in found)
    if not context.options.json:
        context.print(f"check: {len(found)} looks, {bad} failed, {warnings} warnings")
    if bad:
        return FAILED
    return FINE


def shown(finding: Finding, as_json: bool) -> str:
    """A finding as a line for people, or as a JSON object for programs."""
    if as_json:
        return json.dumps(asdict(finding))
    return f"{finding.level:8} {finding.text}"


def findings_of(context: LaunchContext, look: Look) -> Iterator[Finding]:
    """A look's findings. AWS's refusal to look is a warning, any other error of AWS a failure."""
    try:
        yield from look(context)
    except Exception as error:
        # Only botocore's errors have a response.
        if not hasattr(error, "response") and not isinstance(error, LaunchError):
            raise
        level = BAD
        if code_of(error) in NOT_ALLOWED:
            level = WARNING
        yield Finding(level, f"{look.__name__.replace('_', ' ')}: {sentence(error)}")


def show_requests(context: LaunchContext) -> int:
    """The requests that a check sends to AWS, for a dry run."""
    # IAM takes the role's name only, without its path.
    name = role(context.recipe, context.location).rpartition("/")[2]
    context.ask("sts", "GetCallerIdentity")
    context.ask("iam", "GetRole", RoleName=name)
    context.ask("s3", "HeadBucket", Bucket=bucket(context.recipe, context.location))
    for image in sorted(used_images(context)):
        host, repository, reference = split_uri(context.target.image(image))
        found = ECR_HOST.match(host)
        if found:
            context.ask(
                "ecr",
                "BatchGetImage",
                registryId=found[1],
                repositoryName=repository,
                imageIds=[image_id(reference)],
            )
    context.ask("service-quotas", "ListServiceQuotas", ServiceCode="sagemaker")
    for channel in channels(context.recipe, context.location):
        bucket_name, key = split_s3(channel["DataSource"]["S3DataSource"]["S3Uri"])
        context.ask("s3", "ListObjectsV2", Bucket=bucket_name, Prefix=key, MaxKeys=1)
    return FINE
