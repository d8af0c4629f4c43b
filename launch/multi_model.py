"""The models of a multi-model endpoint, in S3, and the command models.

A model's name has a checksum in it: SageMaker's hosts keep what they loaded by its name, so that a
new archive under an old name would leave the old model answering.
"""

import json
import re
from dataclasses import dataclass
from datetime import datetime

from launch.bucket_owners import check_bucket
from launch.context import LaunchContext, to_stderr
from launch.errors import LaunchError
from launch.jobs import FAILED, FINE
from launch.requests_training import folder_uri, s3, s3_encryption, split_s3

SUFFIX = ".tar.gz"
CHECKSUM_DIGITS = 12
EXACT = re.compile(rf"-[0-9a-f]{{{CHECKSUM_DIGITS}}}\.tar\.gz$")
NO_CHECKSUM = "0" * CHECKSUM_DIGITS  # stands for it in a dry run


@dataclass(frozen=True)
class StoredModel:
    """A model archive: its name, as `--target` takes it, size in bytes, and when it came."""

    name: str
    size: int
    changed: datetime


def model_prefix(context: LaunchContext) -> str:
    """s3:// prefix where a multi-model endpoint looks for its models, with a slash at its end."""
    # The key is part of users' buckets, so it keeps its first name.
    return folder_uri(s3(context.recipe, context.location, "shelf"))


def stem(context: LaunchContext) -> str:
    """The part before the checksum of the names that --target, or else the recipe, means."""
    return str(context.options.target or context.recipe.slug).removesuffix(SUFFIX)


def add_model(context: LaunchContext, source: str) -> str:
    """Copy a model to where a multi-model endpoint looks for models; its name there."""
    bucket_name, prefix_key = split_s3(model_prefix(context))
    source_bucket, source_key = split_s3(source)
    check_bucket(context, source_bucket)
    name = f"{stem(context)}-{checksum(context, source_bucket, source_key)}{SUFFIX}"
    context.ask(
        "s3",
        "CopyObject",
        Bucket=bucket_name,
        Key=f"{prefix_key}{name}",
        CopySource={"Bucket": source_bucket, "Key": source_key},
        **s3_encryption(context.recipe.sagemaker.kms_key),
    )
    return name


def checksum(context: LaunchContext, bucket_name: str, key: str) -> str:
    """Hexadecimal digits that S3 derives from an object's content (its ETag)."""
    answer = context.ask("s3", "HeadObject", Bucket=bucket_name, Key=key)
    if context.dry:
        return NO_CHECKSUM
    return str(re.sub("[^0-9a-f]", "", answer["ETag"].lower()))[:CHECKSUM_DIGITS]


def stored_models(context: LaunchContext) -> list[StoredModel]:
    """All models of the endpoint, the newest first."""
    bucket_name, key = split_s3(model_prefix(context))
    pages = context.client("s3").get_paginator("list_objects_v2")
    found = []
    for page in pages.paginate(Bucket=bucket_name, Prefix=key):
        for entry in page.get("Contents", []):
            name = entry["Key"].removeprefix(key)
            found.append(StoredModel(name, entry["Size"], entry["LastModified"]))
    return sorted(found, key=lambda model: model.changed, reverse=True)


def target_model(context: LaunchContext) -> str:
    """The name of the model that --target means, else of the recipe's newest.

    A name without a checksum means its newest. LaunchError where there is none.
    """
    wanted = stem(context)
    if context.dry:
        return f"{wanted}-{NO_CHECKSUM}{SUFFIX}"
    if EXACT.search(f"{wanted}{SUFFIX}"):
        return f"{wanted}{SUFFIX}"
    models = stored_models(context)
    for model in models:
        # Before there were checksums, the name was the stem alone.
        bare = EXACT.sub("", model.name).removesuffix(SUFFIX)
        if bare == wanted:
            return model.name
    there = ", ".join(model.name for model in models) or "none"
    raise LaunchError(
        f"the endpoint has no model '{wanted}'; it has {there} (`launch deploy` adds one)"
    )


def models(context: LaunchContext) -> int:
    """List the models of a multi-model endpoint, or remove one of them (--remove NAME)."""
    kind = context.recipe.sagemaker.endpoint.kind
    if kind != "multi-model":
        say = to_stderr if context.options.json else context.print
        say(
            f"models: the endpoint is {kind}, with one model, which `launch status` names; "
            "only multi-model ones have a list of models"
        )
        return FAILED if context.options.remove else FINE
    bucket_name, key = split_s3(model_prefix(context))
    check_bucket(context, bucket_name)
    if context.options.remove:
        return remove_model(context, context.options.remove)
    if context.dry:
        context.ask("s3", "ListObjectsV2", Bucket=bucket_name, Prefix=key)
        return FINE
    found = stored_models(context)
    for model in found:
        context.print(line_of(model, context.options.json))
    if not found and not context.options.json:
        context.print(f"models: none under {model_prefix(context)}; `launch deploy` adds one")
    return FINE


def line_of(model: StoredModel, as_json: bool) -> str:
    changed = model.changed.isoformat(timespec="seconds")
    if as_json:
        return json.dumps({"name": model.name, "bytes": model.size, "changed": changed})
    return f"{model.name}  {model.size / 1e6:.1f} MB  {changed}"


def remove_model(context: LaunchContext, name: str) -> int:
    """Remove a model by its whole name. LaunchError for one that is not there."""
    bucket_name, key = split_s3(model_prefix(context))
    if not context.dry:
        known = [model.name for model in stored_models(context)]
        if name not in known:
            there = ", ".join(known) or "none"
            raise LaunchError(f"the endpoint has no model '{name}'; it has {there}")
    context.ask("s3", "DeleteObject", Bucket=bucket_name, Key=f"{key}{name}")
    if not context.dry:
        context.print(
            f"models: {name} is removed; a host that has loaded it answers by it until it needs "
            "the room or is replaced"
        )
    return FINE
