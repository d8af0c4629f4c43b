"""The model registry: the commands register, approve and packages; what deploy takes of it."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

from artifact.archives.tar_archive import read_member
from launch.architectures import fitting_image
from launch.aws import Response
from launch.bucket_owners import check_request
from launch.context import LaunchContext
from launch.download import accuracies
from launch.errors import LaunchError, is_missing
from launch.jobs import FINE
from launch.making import check_owner, make
from launch.model_source import Source, source_of
from launch.registered import KIND, registered, version_or_none, versions
from launch.requests_packages import (
    APPROVED,
    METRICS_FILE,
    PENDING,
    REJECTED,
    group,
    group_name,
    package,
    quality,
    version_arn,
)
from launch.upload import File, channel_below

DESCRIPTION = "model.json"  # in an artifact of ours
LARGEST_DESCRIPTION = 2**22  # bytes; one of 10,000 classes has less
LATEST = "latest"


def register(context: LaunchContext) -> int:
    """Register a training's model as a new version of the recipe's group in the model registry.

    The version has the training's metrics, and waits for `launch approve`. What was registered
    before is not registered again.
    """
    recipe = context.recipe
    source = with_accuracies(context, source_of(context))
    earlier = registered(context, source.uri)
    if earlier:
        context.print(f"register: {source.uri} is registered as {earlier} (--again registers it)")
        return FINE
    make_group(context)
    settings = recipe.sagemaker.endpoint
    on = "" if settings.kind == "serverless" else settings.instance_type
    image = fitting_image(context, settings.image, on)
    approval = APPROVED if context.options.approve else PENDING
    request = package(recipe, context.target, image, source, put_metrics(context, source), approval)
    check_request(context, request)
    # A repeated request gives the version that the first one made.
    answer = context.ask(
        "sagemaker", "CreateModelPackage", **request, ClientToken=f"slipway-{context.attempt}"
    )
    if context.dry:
        return FINE
    arn = str(answer["ModelPackageArn"])
    context.note(KIND, arn, data=source.uri)
    context.print(f"registered: {arn} is {approval}")
    version = arn.rpartition("/")[2]
    step = f"deploy {recipe.path} --package {version}"
    if approval != APPROVED:
        step = f"approve {recipe.path} --version {version}"
    context.print(f"register: next: launch {step}")
    return FINE


def make_group(context: LaunchContext) -> None:
    """The recipe's group, where it is not there yet. LaunchError where another recipe's is."""
    if has_group(context):
        return
    try:
        make(context, "CreateModelPackageGroup", group(context.recipe))
    except LaunchError:
        # Two commands at once: the other one's group is the recipe's, too.
        if context.dry or not has_group(context):
            raise


def has_group(context: LaunchContext) -> bool:
    """Whether the recipe's group is there. LaunchError for one of this name without its tag."""
    name = group_name(context.recipe)
    if context.dry:
        return False
    try:
        found = context.ask("sagemaker", "DescribeModelPackageGroup", ModelPackageGroupName=name)
    except Exception as error:
        if not is_missing(error):
            raise
        return False
    check_owner(context, f"model package group {name}", str(found["ModelPackageGroupArn"]))
    return True


def with_accuracies(context: LaunchContext, source: Source) -> Source:
    """The source; of a model.tar.gz on this machine with the accuracies that our artifact notes."""
    given = context.options.model
    if not given or given.startswith("s3://"):
        return source
    try:
        text = description_in(given)
    except (OSError, ValueError) as error:
        raise LaunchError(f"'{given}' cannot be read as a tar archive: {error}") from error
    shares = accuracies(text) if text else {}
    return replace(source, metrics={f"{name}_accuracy": share for name, share in shares.items()})


def description_in(archive: str) -> str:
    """The text of an artifact's model.json; empty without one. Raises ValueError and OSError."""
    return (read_member(Path(archive), DESCRIPTION, LARGEST_DESCRIPTION) or b"").decode()


def put_metrics(context: LaunchContext, source: Source) -> str:
    """The metrics as a file in S3: its URI; empty where none are known."""
    if not source.metrics:
        return ""
    channel = channel_below(context, f"packages/{context.stamp}")
    uri = f"s3://{channel.bucket}/{channel.key}{METRICS_FILE}"
    path = context.out / "launch" / context.recipe.slug / context.stamp / METRICS_FILE
    text = json.dumps(quality(source.metrics), indent=1) + "\n"
    content = text.encode()
    file = File(METRICS_FILE, path, len(content), hashlib.sha256(content).hexdigest())
    if context.dry:
        context.ask("s3", "PutObject", **channel.put_request(file), Body=text)
        return uri
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    channel.put(file)
    return uri


def approve(context: LaunchContext) -> int:
    """Approve a registered version, so that it can be deployed. --reject rejects it."""
    options = context.options
    arn = version_arn(context.recipe, context.location, options.version or 1)
    if not options.version and not context.dry:
        arn = str(newest(context)["ModelPackageArn"])
    status = REJECTED if options.reject else APPROVED
    described = {"ApprovalDescription": options.why} if options.why else {}
    context.ask(
        "sagemaker",
        "UpdateModelPackage",
        ModelPackageArn=arn,
        ModelApprovalStatus=status,
        **described,
    )
    if context.dry:
        return FINE
    context.print(f"approve: {arn} is {status}")
    if status == APPROVED:
        version = arn.rpartition("/")[2]
        context.print(f"approve: next: launch deploy {context.recipe.path} --package {version}")
    return FINE


def packages(context: LaunchContext) -> int:
    """List the recipe's registered versions, the newest first, with approval and metrics."""
    listed = versions(context)
    if context.dry:
        return FINE
    for one in listed:
        arn = one["ModelPackageArn"]
        found = context.ask("sagemaker", "DescribeModelPackage", ModelPackageName=arn)
        context.print(line_of(found, context.options.json))
    if not listed and not context.options.json:
        context.print(f"packages: none of {context.recipe.name}; `launch register` makes one")
    return FINE


def line_of(found: Response, as_json: bool) -> str:
    """A version in one line."""
    known = found.get("CustomerMetadataProperties", {})
    if as_json:
        fields = {
            "version": found["ModelPackageVersion"],
            "approval": found["ModelApprovalStatus"],
            "arn": found["ModelPackageArn"],
            "created": found["CreationTime"].isoformat(timespec="seconds"),
        }
        return json.dumps({**fields, **known})
    metrics = [f"{name}={known[name]}" for name in sorted(known) if name.endswith("_accuracy")]
    rest = "  ".join([*metrics, known.get("training_job", "")])
    return f"{found['ModelPackageVersion']:>4}  {found['ModelApprovalStatus']:<21}  {rest}".rstrip()


def newest(context: LaunchContext, **more: str) -> Response:
    """The group's newest version that fits. LaunchError where there is none."""
    found = versions(context, **more)
    if not found:
        which = "approved version" if more else "version"
        raise LaunchError(
            f"the model registry has no {which} of {context.recipe.name}; `launch packages` lists "
            "them, `launch register` and `launch approve` make one"
        )
    return found[0]


def package_source(context: LaunchContext) -> str:
    """ARN of the version of --package. LaunchError for one that is not there or not approved."""
    given = str(context.options.package)
    if context.recipe.sagemaker.endpoint.kind == "multi-model":
        raise LaunchError("a multi-model endpoint takes models of S3; leave out --package")
    if given == LATEST and not context.dry:
        return str(newest(context, ModelApprovalStatus=APPROVED)["ModelPackageArn"])
    arn = given
    if given == LATEST:
        arn = version_arn(context.recipe, context.location, 1)
    elif given.isascii() and given.isdigit():
        arn = version_arn(context.recipe, context.location, int(given))
    elif not given.startswith("arn:"):
        raise LaunchError(f"--package takes a version's number or ARN, or latest; found '{given}'")
    if context.dry:
        return arn
    found = version_or_none(context, arn)
    if found is None:
        raise LaunchError(f"the model registry has no {arn}; `launch packages` lists what it has")
    if found.get("ModelApprovalStatus", APPROVED) != APPROVED:
        raise LaunchError(f"{arn} is {found['ModelApprovalStatus']}; `launch approve` approves it")
    return arn
