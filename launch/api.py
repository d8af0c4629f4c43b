"""The command api: the page and API in front of the endpoint, as one CloudFormation stack."""

import os

from launch.context import LaunchContext
from launch.errors import LaunchError, is_missing, message_of
from launch.jobs import FAILED, FINE
from launch.requests_api import code, code_object, code_place, stack, stack_name
from launch.stacks import GOOD, NEVER_MADE, gone, reason, settled, stack_or_none, url_of
from launch.upload import Channel

STANDIN = "0" * 32  # of a dry run, for a key that is not set


def api(desk: LaunchContext) -> int:
    """Put the page and API in front of the endpoint, or bring them to the recipe's settings, and print their URL. --delete removes them."""
    name = stack_name(desk.recipe)
    if desk.options.url:
        return show_url(desk, name)
    if desk.options.delete:
        return remove(desk, name)
    zipped = code()
    wanted = stack(desk.recipe, desk.place, zipped, api_key(desk))
    known = desk.state.latest("api")
    desk.note("api", name)
    body = f"{len(zipped)} bytes: web/" if desk.dry else zipped
    desk.ask("s3", "PutObject", **code_object(desk.recipe, desk.place, zipped), Body=body)
    if desk.dry:
        desk.ask(
            "cloudformation",
            "UpdateStack" if known and known.name == name else "CreateStack",
            **wanted,
        )
        return FINE
    if not brought(desk, name, wanted) or desk.options.no_wait:
        return show_url(desk, name) if not desk.options.no_wait else FINE
    return outcome(desk, name)


def api_key(desk: LaunchContext) -> str:
    """What callers must send; from the environment, since a recipe is no place for secrets, and options are seen by others."""
    given = os.environ.get("SLIPWAY_API_KEY", "")
    if desk.dry and not given and desk.recipe.settings.api.access == "key":
        desk.tell(f"dry run: SLIPWAY_API_KEY is not set; '{STANDIN}' stands for it")
        return STANDIN
    return given


def brought(desk: LaunchContext, name: str, wanted: dict) -> bool:
    """Ask for the stack, or for its change; False where there is nothing to change."""
    found = settled(desk, name, "api")  # an earlier command may have been interrupted
    status = found["StackStatus"] if found else ""
    if status.endswith("ROLLBACK_FAILED") and status not in NEVER_MADE:
        raise LaunchError(
            f"the stack {name} is {status} and cannot be changed; `launch api RECIPE --delete` removes it, then deploy again"
        )
    if status in NEVER_MADE:
        desk.tell(f"api: {name} is {status}, never was a whole API; making it anew")
        desk.ask("cloudformation", "DeleteStack", StackName=name)
        gone(desk, name, "api")
        found = None
    if found is None:
        desk.ask("cloudformation", "CreateStack", **wanted)
        return True
    try:
        desk.ask("cloudformation", "UpdateStack", **wanted)
    except Exception as error:
        if "No updates are to be performed" not in message_of(error):
            raise
        desk.tell(f"api: {name} is as the recipe says already")
        return False
    return True


def outcome(desk: LaunchContext, name: str) -> int:
    """Wait for the change; the URL, or why it failed."""
    found = settled(desk, name, "api")
    status = found["StackStatus"] if found else "gone"
    if status in GOOD:
        desk.tell(f"api: {url_of(found)}")
        return FINE
    back = "; it serves as before the update" if status == "UPDATE_ROLLBACK_COMPLETE" else ""
    desk.tell(
        f"api: failed: {name} is {status}{back}: {reason(desk, name) if found else 'someone deleted it'}"
    )
    return FAILED


def show_url(desk: LaunchContext, name: str) -> int:
    """The URL: alone on its line for --url, so that a shell can take it. LaunchError where there is none."""
    if desk.dry:
        desk.ask("cloudformation", "DescribeStacks", StackName=name)
        return FINE
    url = url_of(stack_or_none(desk, name))
    if not url:
        raise LaunchError(
            f"there is no API {name} in {desk.place.region}; `launch api RECIPE` makes it"
        )
    desk.tell(url if desk.options.url else f"api: {url}")
    return FINE


def remove(desk: LaunchContext, name: str) -> int:
    """Remove the stack, its logs and its code; that it is not there is no error."""
    desk.ask("cloudformation", "DeleteStack", StackName=name)
    if desk.dry:
        return FINE
    removed(desk, name, "api")
    desk.tell(f"api: {name} is gone")
    return FINE


def removed(desk: LaunchContext, name: str, who: str) -> None:
    """Wait until a stack is gone, then remove its code from S3 and forget it."""
    gone(desk, name, who)
    code_bucket, below = code_place(desk.recipe, desk.place)
    channel = Channel(desk.client("s3"), code_bucket, below)
    try:
        channel.delete(list(channel.objects()))
    except Exception as error:
        if not is_missing(error):
            raise
    desk.state.remove("api", name)
