"""The command api: the page and API in front of the endpoint, as one CloudFormation stack."""

import os

from launch.context import LaunchContext
from launch.errors import LaunchError, is_missing, message_of
from launch.jobs import FAILED, FINE
from launch.requests_api import code, code_location, code_object, stack, stack_name
from launch.stacks import (
    GOOD,
    NEVER_MADE,
    reason,
    stack_or_none,
    url_of,
    wait_until_deleted,
    wait_until_stable,
)
from launch.upload import Channel

STANDIN = "0" * 32  # of a dry run, for a key that is not set


def api(context: LaunchContext) -> int:
    """Put the page and API in front of the endpoint, or bring them to the recipe's settings, and print their URL. --delete removes them."""
    name = stack_name(context.recipe)
    if context.options.url:
        return show_url(context, name)
    if context.options.delete:
        return remove(context, name)
    zipped = code()
    wanted = stack(context.recipe, context.location, zipped, api_key(context))
    known = context.state.latest("api")
    context.note("api", name)
    body = f"{len(zipped)} bytes: web/" if context.dry else zipped
    context.ask(
        "s3", "PutObject", **code_object(context.recipe, context.location, zipped), Body=body
    )
    if context.dry:
        context.ask(
            "cloudformation",
            "UpdateStack" if known and known.name == name else "CreateStack",
            **wanted,
        )
        return FINE
    if not brought(context, name, wanted) or context.options.no_wait:
        return show_url(context, name) if not context.options.no_wait else FINE
    return outcome(context, name)


def api_key(context: LaunchContext) -> str:
    """What callers must send; from the environment, since a recipe is no place for secrets, and options are seen by others."""
    given = os.environ.get("SLIPWAY_API_KEY", "")
    if context.dry and not given and context.recipe.settings.api.access == "key":
        context.print(f"dry run: SLIPWAY_API_KEY is not set; '{STANDIN}' stands for it")
        return STANDIN
    return given


def brought(context: LaunchContext, name: str, wanted: dict) -> bool:
    """Ask for the stack, or for its change; False where there is nothing to change."""
    found = wait_until_stable(context, name, "api")  # an earlier command may have been interrupted
    status = found["StackStatus"] if found else ""
    if status.endswith("ROLLBACK_FAILED") and status not in NEVER_MADE:
        raise LaunchError(
            f"the stack {name} is {status} and cannot be changed; `launch api RECIPE --delete` removes it, then deploy again"
        )
    if status in NEVER_MADE:
        context.print(f"api: {name} is {status}, never was a whole API; making it anew")
        context.ask("cloudformation", "DeleteStack", StackName=name)
        wait_until_deleted(context, name, "api")
        found = None
    if found is None:
        context.ask("cloudformation", "CreateStack", **wanted)
        return True
    try:
        context.ask("cloudformation", "UpdateStack", **wanted)
    except Exception as error:
        if "No updates are to be performed" not in message_of(error):
            raise
        context.print(f"api: {name} is as the recipe says already")
        return False
    return True


def outcome(context: LaunchContext, name: str) -> int:
    """Wait for the change; the URL, or why it failed."""
    found = wait_until_stable(context, name, "api")
    status = found["StackStatus"] if found else "gone"
    if status in GOOD:
        context.print(f"api: {url_of(found)}")
        return FINE
    back = "; it serves as before the update" if status == "UPDATE_ROLLBACK_COMPLETE" else ""
    context.print(
        f"api: failed: {name} is {status}{back}: {reason(context, name) if found else 'someone deleted it'}"
    )
    return FAILED


def show_url(context: LaunchContext, name: str) -> int:
    """The URL: alone on its line for --url, so that a shell can take it. LaunchError where there is none."""
    if context.dry:
        context.ask("cloudformation", "DescribeStacks", StackName=name)
        return FINE
    url = url_of(stack_or_none(context, name))
    if not url:
        raise LaunchError(
            f"there is no API {name} in {context.location.region}; `launch api RECIPE` makes it"
        )
    context.print(url if context.options.url else f"api: {url}")
    return FINE


def remove(context: LaunchContext, name: str) -> int:
    """Remove the stack, its logs and its code; that it is not there is no error."""
    context.ask("cloudformation", "DeleteStack", StackName=name)
    if context.dry:
        return FINE
    removed(context, name, "api")
    context.print(f"api: {name} is gone")
    return FINE


def removed(context: LaunchContext, name: str, who: str) -> None:
    """Wait until a stack is gone, then remove its code from S3 and forget it."""
    wait_until_deleted(context, name, who)
    code_bucket, below = code_location(context.recipe, context.location)
    channel = Channel(context.client("s3"), code_bucket, below)
    try:
        channel.delete(list(channel.objects()))
    except Exception as error:
        if not is_missing(error):
            raise
    context.state.remove("api", name)
