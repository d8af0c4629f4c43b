"""Looks of `launch check` at what jobs read: images in ECR, channels in S3."""

from collections.abc import Iterator

from launch.architectures import used_images
from launch.bucket_owners import check_bucket
from launch.context import LaunchContext
from launch.ecr import ECR_HOST, registry_of, split_uri
from launch.errors import LaunchError, Missing, is_missing
from launch.findings import BAD, GOOD, WARNING, Finding, required
from launch.image_facts import push_command
from launch.recipe import located
from launch.registry import DOCKER_MANIFEST
from launch.requests_training import channels, split_s3

MOST_NEIGHBOURS = 5  # in one line


def images(context: LaunchContext) -> Iterator[Finding]:
    """Each image is in ECR, in this region, with a manifest that SageMaker accepts."""
    for name in sorted(used_images(context)):
        yield image(context, name)


def image(context: LaunchContext, name: str) -> Finding:
    """The finding of one image."""
    region = context.location.region
    if name not in context.target.images:
        return Finding(BAD, f"the image '{name}' has not been pushed; run {push_command(name)}")
    host, repository, reference = split_uri(context.target.image(name))
    found = ECR_HOST.match(host)
    if not found:
        return Finding(
            WARNING,
            f"image {name} is at '{host}', which is not ECR; "
            "SageMaker takes such an image only through a VPC (TrainingImageConfig)",
        )
    # SageMaker pulls images from ECR of its own region only.
    if found[2] != region:
        return Finding(
            BAD,
            f"image {name} is in ECR of {found[2]}, and SageMaker of {region} needs it in its own; "
            f"run AWS_REGION={region} {push_command(name)}",
        )
    try:
        media_type = registry_of(host).manifest(repository, reference).media_type
    except LaunchError as error:
        return Finding(BAD, f"image {name}: {error}; run {push_command(name)}")
    return required(
        media_type == DOCKER_MANIFEST,
        f"image {name}: {repository}, {media_type}",
        ", which SageMaker refuses",
    )


def data(context: LaunchContext) -> Iterator[Finding]:
    """Each channel has objects."""
    for channel in channels(context.recipe, context.location):
        name = channel["ChannelName"]
        uri = channel["DataSource"]["S3DataSource"]["S3Uri"]
        text = f"channel {name}: {uri}"
        given = context.recipe.sagemaker.channels[name]
        try:
            check_bucket(context, split_s3(uri)[0])
            yield from neighbours(context, name, given)
        except Missing:
            pass  # then the channel is empty, too
        if has_objects(context, uri):
            yield Finding(GOOD, text)
            continue
        text += f" is empty; run `python -m launch upload {context.recipe.path}`"
        # `upload` comes after `check`, so a folder that is still here is not a mistake.
        if not given.startswith("s3://") and located(given).is_dir():
            yield Finding(WARNING, text)
        else:
            yield Finding(BAD, text)


def neighbours(context: LaunchContext, name: str, given: str) -> Iterator[Finding]:
    """A warning for folders and objects that only begin like a channel without a slash.

    They are not read: the request has the slash. Someone may have meant them to be.
    """
    if not given.startswith("s3://") or given.endswith("/"):
        return
    bucket_name, key = split_s3(given)
    page = context.ask("s3", "ListObjectsV2", Bucket=bucket_name, Prefix=key, Delimiter="/")
    found = [entry["Prefix"] for entry in page.get("CommonPrefixes", [])]
    found += [entry["Key"] for entry in page.get("Contents", [])]
    others = [f"s3://{bucket_name}/{one}" for one in found if one != f"{key}/"]
    if others:
        yield Finding(
            WARNING,
            f"channel {name}: '{given}' has no slash at its end; {given}/ is read, and not "
            f"{', '.join(others[:MOST_NEIGHBOURS])}",
        )


def has_objects(context: LaunchContext, uri: str) -> bool:
    """Whether S3 has an object under an s3:// prefix."""
    bucket_name, key = split_s3(uri)
    try:
        answer = context.ask("s3", "ListObjectsV2", Bucket=bucket_name, Prefix=key, MaxKeys=1)
    except Exception as error:
        if not is_missing(error):
            raise
        return False
    return bool(answer.get("KeyCount"))
