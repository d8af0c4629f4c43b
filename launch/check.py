"""launch check: what would fail later is looked at before it costs money. Changes nothing."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from launch.context import LaunchContext
from launch.cost import check_budget, most, read_prices, tuning_jobs
from launch.ecr import ECR_HOST, registry_of, split_uri
from launch.errors import NOT_ALLOWED, LaunchError, code_of, is_missing, message_of, sentence
from launch.jobs import FAILED, FINE
from launch.recipe import located, searches
from launch.registry import DOCKER_MANIFEST
from launch.requests_debug import rule_image
from launch.requests_hosting import endpoint_config, transform_job
from launch.requests_training import bucket, channels, is_gpu, role, training_job

GOOD, WARNING, BAD = "ok", "warning", "failed"


@dataclass(frozen=True)
class Finding:
    """How one look ended. level: GOOD, WARNING (it may still work) or BAD."""

    level: str
    text: str


def check(context: LaunchContext) -> int:
    """Look at everything that the recipe needs; 1 when something would fail."""
    if context.dry:
        return dry(context)
    found = []
    for look in (
        requests,
        credentials,
        the_role,
        the_bucket,
        images,
        data,
        quotas,
        drivers,
        budget,
        debugger,
    ):
        for finding in looked(context, look):
            context.print(f"{finding.level:8} {finding.text}")
            found.append(finding)
    bad = sum(finding.level == BAD for finding in found)
    context.print(
        f"check: {len(found)} looks, {bad} failed, {sum(finding.level == WARNING for finding in found)} warnings"
    )
    return FAILED if bad else FINE


def looked(
    context: LaunchContext, look: Callable[[LaunchContext], Iterator[Finding]]
) -> Iterator[Finding]:
    """A look's findings; where one may not look, a warning, and any other refusal is a failure."""
    try:
        yield from look(context)
    except Exception as error:
        if not hasattr(error, "response") and not isinstance(error, LaunchError):
            raise
        yield Finding(
            WARNING if code_of(error) in NOT_ALLOWED else BAD,
            f"{look.__name__.replace('_', ' ')}: {sentence(error)}",
        )


def dry(context: LaunchContext) -> int:
    """The questions that a check asks AWS."""
    name = role(context.recipe, context.location).rpartition("/")[2]
    context.ask("sts", "GetCallerIdentity")
    context.ask("iam", "GetRole", RoleName=name)
    context.ask("s3", "HeadBucket", Bucket=bucket(context.recipe, context.location))
    for image in sorted(used_images(context)):
        host, repository, reference = split_uri(context.target.image(image))
        if ECR_HOST.match(host):
            which = (
                {"imageDigest": reference}
                if reference.startswith("sha256:")
                else {"imageTag": reference}
            )
            context.ask(
                "ecr",
                "BatchGetImage",
                registryId=ECR_HOST.match(host)[1],
                repositoryName=repository,
                imageIds=[which],
            )
    context.ask("service-quotas", "ListServiceQuotas", ServiceCode="sagemaker")
    for channel in channels(context.recipe, context.location):
        bucket_name, _, key = (
            channel["DataSource"]["S3DataSource"]["S3Uri"].removeprefix("s3://").partition("/")
        )
        context.ask("s3", "ListObjectsV2", Bucket=bucket_name, Prefix=key, MaxKeys=1)
    return FINE


def requests(context: LaunchContext) -> Iterator[Finding]:
    """The requests themselves, by botocore's model and our own rules."""
    from launch.context import validate
    from launch.requests_training import Call

    recipe, target = context.recipe, context.target
    validate(Call("sagemaker", "CreateTrainingJob", training_job(recipe, target, "check")))
    validate(
        Call(
            "sagemaker",
            "CreateEndpointConfig",
            endpoint_config(recipe, target.location, "check", "check"),
        )
    )
    validate(
        Call(
            "sagemaker",
            "CreateTransformJob",
            transform_job(recipe, target.location, "check", "check", "s3://check/"),
        )
    )
    yield Finding(GOOD, "the recipe makes valid requests")
    if (
        recipe.settings.network_isolation
        and recipe.hyperparameters.get("weights") == "imagenet"
        and "weights" not in recipe.settings.channels
    ):
        yield Finding(
            WARNING,
            "network_isolation: ImageNet weights cannot be fetched; build with WEIGHTS=… or give them as a channel",
        )


def credentials(context: LaunchContext) -> Iterator[Finding]:
    who = context.ask("sts", "GetCallerIdentity")
    same = who["Account"] == context.location.account
    yield Finding(
        GOOD if same else BAD,
        f"you are {who['Arn']} in {context.location.region}"
        + ("" if same else f", but the role is of account {context.location.account}"),
    )


def the_role(context: LaunchContext) -> Iterator[Finding]:
    """That the role is there, and lets SageMaker take it."""
    arn = role(context.recipe, context.location)
    name = arn.rpartition("/")[2]
    try:
        found = context.ask("iam", "GetRole", RoleName=name)["Role"]
    except Exception as error:
        if not is_missing(error):
            raise
        yield Finding(
            BAD,
            f"there is no role '{name}'; make one that sagemaker.amazonaws.com may assume, and set sagemaker.role",
        )
        return
    trusted = "sagemaker.amazonaws.com" in str(found["AssumeRolePolicyDocument"])
    yield Finding(
        GOOD if trusted else BAD,
        f"role {name}"
        if trusted
        else f"the role '{name}' does not let sagemaker.amazonaws.com assume it",
    )


def the_bucket(context: LaunchContext) -> Iterator[Finding]:
    """That the bucket is there, ours, and in the region."""
    name, region = bucket(context.recipe, context.location), context.location.region
    try:
        headers = context.ask("s3", "HeadBucket", Bucket=name)
    except Exception as error:
        code = code_of(error)
        if code not in ("404", "NoSuchBucket", "301", "400"):
            raise
        told = (
            f"there is no bucket '{name}'; aws s3 mb s3://{name} --region {region}"
            if code in ("404", "NoSuchBucket")
            else f"the bucket '{name}' lies in another region than {region}; set sagemaker.region to its own"
        )
        yield Finding(BAD, told)
        return
    where = headers.get("BucketRegion") or headers["ResponseMetadata"]["HTTPHeaders"].get(
        "x-amz-bucket-region", region
    )
    yield Finding(
        GOOD if where == region else BAD,
        f"bucket {name} in {where}"
        + ("" if where == region else f", but the recipe's region is {region}"),
    )


def used_images(context: LaunchContext) -> set[str]:
    settings = context.recipe.settings
    return {settings.training.image, settings.endpoint.image, settings.batch.image}


def images(context: LaunchContext) -> Iterator[Finding]:
    """That each image is in ECR, in this region, as a manifest that SageMaker takes."""
    for name in sorted(used_images(context)):
        if name not in context.target.images:
            yield Finding(
                BAD, f"the image '{name}' has not been pushed; run ./build_and_push.sh {name}"
            )
            continue
        host, repository, reference = split_uri(context.target.image(name))
        found = ECR_HOST.match(host)
        if not found:
            yield Finding(
                WARNING,
                f"image {name} is at '{host}', which is not ECR; SageMaker takes such an image only through a VPC (TrainingImageConfig)",
            )
            continue
        if found[2] != context.location.region:
            yield Finding(
                BAD,
                f"image {name} is in ECR of {found[2]}, and SageMaker of {context.location.region} needs it in its own; run "
                f"AWS_REGION={context.location.region} ./build_and_push.sh {name}",
            )
            continue
        try:
            kind = registry_of(host).manifest(repository, reference).media_type
        except LaunchError as error:
            yield Finding(BAD, f"image {name}: {error}; run ./build_and_push.sh {name}")
            continue
        yield Finding(
            GOOD if kind == DOCKER_MANIFEST else BAD,
            f"image {name}: {repository}, {kind}"
            + ("" if kind == DOCKER_MANIFEST else ", which SageMaker refuses"),
        )


def data(context: LaunchContext) -> Iterator[Finding]:
    """That each channel has objects."""
    for channel in channels(context.recipe, context.location):
        where = channel["DataSource"]["S3DataSource"]["S3Uri"]
        bucket_name, _, key = where.removeprefix("s3://").partition("/")
        try:
            some = context.ask(
                "s3", "ListObjectsV2", Bucket=bucket_name, Prefix=key, MaxKeys=1
            ).get("KeyCount")
        except Exception as error:
            if not is_missing(error):
                raise
            some = 0
        given = context.recipe.settings.channels[channel["ChannelName"]]
        to_come = (
            not given.startswith("s3://") and located(given).is_dir()
        )  # `upload` comes after `check`
        yield Finding(
            GOOD if some else WARNING if to_come else BAD,
            f"channel {channel['ChannelName']}: {where}"
            + ("" if some else f" is empty; run `python -m launch upload {context.recipe.path}`"),
        )


def quotas(context: LaunchContext) -> Iterator[Finding]:
    """That the account's quotas have room for the machines of the recipe."""
    settings = context.recipe.settings
    parallel = max((search.budgets.parallel for search in searches(context.recipe)), default=1)
    training = settings.training
    wanted = {
        f"{training.instance_type} for {'spot ' if training.spot else ''}training job usage": training.instance_count
        * parallel,
        f"{settings.batch.instance_type} for transform job usage": settings.batch.instance_count,
    }
    if settings.endpoint.kind != "serverless":
        wanted[f"{settings.endpoint.instance_type} for endpoint usage"] = max(
            settings.endpoint.instance_count, settings.endpoint.max_instances
        )
    pages = (
        context.client("service-quotas")
        .get_paginator("list_service_quotas")
        .paginate(ServiceCode="sagemaker")
    )
    have = {entry["QuotaName"]: entry["Value"] for page in pages for entry in page["Quotas"]}
    for name, count in wanted.items():
        if name not in have:
            yield Finding(
                WARNING,
                f"quota '{name}' is not listed; is {name.split()[0]} offered in {context.location.region}?",
            )
        else:
            enough = have[name] >= count
            yield Finding(
                GOOD if enough else BAD,
                f"quota '{name}' is {have[name]:.0f}"
                + (
                    ""
                    if enough
                    else f", the recipe needs {count}; ask for more under Service Quotas"
                ),
            )


def drivers(context: LaunchContext) -> Iterator[Finding]:
    """Instance types against the CUDA of the images."""
    settings = context.recipe.settings
    endpoint = settings.endpoint
    if endpoint.kind != "serverless" and is_gpu(endpoint.instance_type) != (
        endpoint.image == "serve-gpu"
    ):
        yield Finding(
            WARNING,
            f"the endpoint puts image '{endpoint.image}' on {endpoint.instance_type}: "
            + (
                "its GPU stays unused; take the image serve-gpu"
                if is_gpu(endpoint.instance_type)
                else "there is no GPU; take the image serve"
            ),
        )
    elif is_gpu(endpoint.instance_type) and endpoint.kind == "multi-model":
        yield Finding(WARNING, "SageMaker documents multi-model endpoints on GPUs only for Triton")
    elif is_gpu(endpoint.instance_type):
        yield Finding(
            GOOD, f"endpoint: {endpoint.instance_type} with a driver for CUDA {endpoint.cuda}"
        )
    if is_gpu(settings.training.instance_type):
        old = re.match(r"ml\.p[23]", settings.training.instance_type)
        yield Finding(
            BAD if old else GOOD,
            f"training: {settings.training.instance_type}"
            + (
                " has a GPU that CUDA 13 no longer knows; take ml.g4dn, ml.g5, ml.g6, ml.p4d or later"
                if old
                else "; the image trains on the processor and says so where the host's driver is older than 580"
            ),
        )


def budget(context: LaunchContext) -> Iterator[Finding]:
    """The most that a training, and all searches, can cost."""
    limit = context.recipe.settings.budget_usd
    for what in ("training", *(["tuning"] if tuning_jobs(context.recipe) else [])):
        check_budget(context.recipe, what, over=False)
        yield Finding(
            GOOD,
            f"{what} costs at most {most(context.recipe, read_prices(), what):.2f} USD"
            + (f" of {limit:.2f}" if limit else "; no sagemaker.budget_usd is set"),
        )


def debugger(context: LaunchContext) -> Iterator[Finding]:
    """Debugger's rules are not everywhere, and not for new accounts."""
    try:
        rule_image(context.location)
        yield Finding(
            GOOD,
            "Debugger has rules in this region; AWS takes no new customers for it since 2026-07-30 (`launch debug` then uses our own)",
        )
    except LaunchError as error:
        yield Finding(WARNING, message_of(error))
