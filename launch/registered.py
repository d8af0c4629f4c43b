"""What the model registry has of a recipe: its versions, and their removal."""

from collections.abc import Callable
from datetime import UTC

from launch.aws import Response
from launch.context import LaunchContext
from launch.deployed import package_data
from launch.errors import code_of, is_missing
from launch.requests_packages import group_name
from launch.requests_training import Call, folder_uri, s3
from launch.state import Entry
from launch.tagged import all_pages

KIND = "package"  # of our notes
CONFLICT = "ConflictException"
LOOKED_AT = 100  # of the newest versions, where the notes lack one


def registered(context: LaunchContext, uri: str) -> str:
    """The version that the registry has of a model; empty for none, and with --again.

    The notes are only the quickest way to it: an interrupted command has noted nothing.
    """
    if context.dry or context.options.again:
        return ""
    for entry in context.state.all(KIND):
        if entry.facts.get("data") == uri and version_or_none(context, entry.name) is not None:
            return entry.name
    for entry in recalled(context, lambda data: data == uri):
        return entry.name
    return ""


def recalled(context: LaunchContext, wanted: Callable[[str], bool]) -> list[Entry]:
    """The group's versions that the notes lack and whose model is wanted, noted again.

    wanted: says it of a model's s3:// URI.
    """
    noted = {entry.name for entry in context.state.all(KIND)}
    found = []
    for one in versions(context)[:LOOKED_AT]:
        arn = str(one["ModelPackageArn"])
        answer = None if arn in noted else version_or_none(context, arn)
        data = package_data(answer) if answer else ""
        if answer and data and wanted(data):
            created = answer["CreationTime"].astimezone(UTC).isoformat(timespec="seconds")
            found.append(Entry(KIND, arn, created, {"data": data}))
    if found:
        context.state.recall(found)
    return found


def versions(context: LaunchContext, **more: str) -> list[Response]:
    """The group's versions, the newest first; none without the group. more: further filters."""
    request = {"ModelPackageGroupName": group_name(context.recipe), "SortOrder": "Descending"}
    try:
        return all_pages(context, "ListModelPackages", "ModelPackageSummaryList", **request, **more)
    except Exception as error:
        if not is_missing(error):
            raise
        return []


def version_or_none(context: LaunchContext, arn: str) -> Response | None:
    """The answer of DescribeModelPackage; None for an unknown version."""
    try:
        return context.ask("sagemaker", "DescribeModelPackage", ModelPackageName=arn)
    except Exception as error:
        if is_missing(error):
            return None
        raise


def package_removals(context: LaunchContext) -> list[Call]:
    """Requests that remove the versions whose models `--data` removes, and those of the notes."""
    if not context.dry:
        data = folder_uri(s3(context.recipe, context.location))
        recalled(context, lambda uri: uri.startswith(data))
    return [
        Call("sagemaker", "DeleteModelPackage", {"ModelPackageName": entry.name})
        for entry in context.state.all(KIND)
    ]


def forget_packages(context: LaunchContext) -> None:
    """After their removal: take them out of the notes, and remove a group that is empty now."""
    entries = context.state.all(KIND)
    if context.dry or not entries:
        return
    name = group_name(context.recipe)
    try:
        context.ask("sagemaker", "DeleteModelPackageGroup", ModelPackageGroupName=name)
    except Exception as error:
        if code_of(error) != CONFLICT and not is_missing(error):
            raise
        context.print(f"delete: the group {name} stays: it has other versions, or is gone already")
    for entry in entries:
        context.state.remove(KIND, entry.name)
