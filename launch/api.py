"""The command api: the page and API in front of the endpoint, as one CloudFormation stack."""

from dataclasses import replace

from launch.api_access import access_line, api_key, forget_key
from launch.aws import Request
from launch.context import LaunchContext
from launch.errors import LaunchError, is_missing, message_of
from launch.jobs import FAILED, FINE
from launch.multi_model import stem, target_model
from launch.recipe import Recipe
from launch.requests_api import code, code_location, code_object, stack, stack_name
from launch.stacks import (
    GOOD,
    NEVER_MADE,
    failure_reason,
    stack_or_none,
    url_of,
    wait_until_deleted,
    wait_until_stable,
)
from launch.upload import Channel


def api(context: LaunchContext) -> int:
    """Create or update the page and API in front of the endpoint, and print their URL.

    --delete removes them.
    """
    name = stack_name(context.recipe)
    if context.options.url:
        return show_url(context, name)
    if context.options.delete:
        return remove(context, name)
    zipped = code()
    key = api_key(context)
    wanted = stack(with_target(context), context.location, zipped, key.text)
    context.print(access_line(context, key))
    if context.dry:
        show_requests(context, name, wanted, zipped)
        return FINE
    # Noted before the request: an interrupted command must not lose the stack.
    context.note("api", name)
    put = code_object(context.recipe, context.location, zipped)
    context.ask("s3", "PutObject", **put, Body=zipped)
    changed = request_change(context, name, wanted)
    if context.options.no_wait:
        return FINE
    if not changed:
        return show_url(context, name)
    return wait_for_change(context, name)


def with_target(context: LaunchContext) -> Recipe:
    """The recipe; of a multi-model endpoint with its newest model, where it names none itself."""
    settings = context.recipe.sagemaker
    if settings.endpoint.kind != "multi-model" or settings.api.target_model:
        return context.recipe
    api_settings = replace(settings.api, target_model=target_model(context))
    return replace(context.recipe, sagemaker=replace(settings, api=api_settings))


def move_page(context: LaunchContext, model: str) -> int:
    """Let the page and API ask for a multi-model endpoint's new model; FINE where there are none.

    A recipe that names a model itself keeps that, and another model than the recipe's changes
    nothing.
    """
    if context.dry or stem(context) != context.recipe.slug:
        return FINE
    name = stack_name(context.recipe)
    found = None
    if context.state.all("api") and not context.recipe.sagemaker.api.target_model:
        found = stack_or_none(context, name)
    if found is None:
        return FINE
    kept = []
    for parameter in found.get("Parameters", []):
        key = parameter["ParameterKey"]
        if key != "TargetModel":
            kept.append({"ParameterKey": key, "UsePreviousValue": True})
        elif parameter["ParameterValue"] == model:
            return FINE
    context.print(f"deploy: the page {name} asks for it, too, from now on")
    context.ask(
        "cloudformation",
        "UpdateStack",
        StackName=name,
        UsePreviousTemplate=True,
        Parameters=[*kept, {"ParameterKey": "TargetModel", "ParameterValue": model}],
        Capabilities=["CAPABILITY_IAM"],
        **once(context),
    )
    if context.options.no_wait:
        return FINE
    return wait_for_change(context, name)


def show_requests(context: LaunchContext, name: str, wanted: Request, zipped: bytes) -> None:
    """The requests of a dry run: the code's upload, and the stack."""
    put = code_object(context.recipe, context.location, zipped)
    context.ask("s3", "PutObject", **put, Body=f"{len(zipped)} bytes: web/")
    known = context.state.latest("api")
    operation = "CreateStack"
    if known is not None and known.name == name:
        operation = "UpdateStack"
    context.ask("cloudformation", operation, **wanted)


def request_change(context: LaunchContext, name: str, wanted: Request) -> bool:
    """Ask for the stack, or for its update; False where nothing changes."""
    # An earlier command may have been interrupted while CloudFormation went on.
    found = wait_until_stable(context, name, "api")
    if found is not None and must_be_made_anew(context, name, found["StackStatus"]):
        context.ask("cloudformation", "DeleteStack", StackName=name)
        wait_until_deleted(context, name, "api")
        found = None
    if found is None:
        context.ask("cloudformation", "CreateStack", **wanted, **once(context))
        return True
    try:
        context.ask("cloudformation", "UpdateStack", **wanted, **once(context))
    except Exception as error:
        # CloudFormation answers an unchanged stack with a ValidationError.
        if "No updates are to be performed" not in message_of(error):
            raise
        context.print(f"api: {name} is already as in the recipe")
        return False
    return True


def once(context: LaunchContext) -> Request:
    """The token by which CloudFormation knows a request that the client sent again."""
    return {"ClientRequestToken": f"slipway-{context.attempt}"}


def must_be_made_anew(context: LaunchContext, name: str, status: str) -> bool:
    """Whether the stack never was complete. LaunchError for one that only a person can repair."""
    if status in NEVER_MADE:
        context.print(f"api: {name} is {status}: it was never complete; making it anew")
        return True
    if status.endswith("ROLLBACK_FAILED"):
        raise LaunchError(
            f"the stack {name} is {status} and cannot be changed; "
            "`launch api RECIPE --delete` removes it, then deploy again"
        )
    return False


def wait_for_change(context: LaunchContext, name: str) -> int:
    """Wait for the change, then print the URL, or why it failed."""
    found = wait_until_stable(context, name, "api")
    if found is None:
        context.print(f"api: failed: {name} is gone: someone deleted it")
        return FAILED
    status = found["StackStatus"]
    if status in GOOD:
        context.print(f"api: {url_of(found)}")
        return FINE
    state = f"{name} is {status}"
    if status == "UPDATE_ROLLBACK_COMPLETE":
        state += "; it serves as before the update"
    context.print(f"api: failed: {state}: {failure_reason(context, name)}")
    return FAILED


def show_url(context: LaunchContext, name: str) -> int:
    """Print the URL; with --url alone on its line, for a shell. LaunchError without one."""
    if context.dry:
        context.ask("cloudformation", "DescribeStacks", StackName=name)
        return FINE
    url = url_of(stack_or_none(context, name))
    if not url:
        raise LaunchError(
            f"the API {name} does not exist in {context.location.region}; "
            "`launch api RECIPE` makes it"
        )
    if context.options.url:
        context.print(url)
    else:
        context.print(f"api: {url}")
    return FINE


def remove(context: LaunchContext, name: str) -> int:
    """Remove the stack, its logs and its code. A stack that does not exist is not an error."""
    context.ask("cloudformation", "DeleteStack", StackName=name)
    if context.dry:
        return FINE
    finish_removal(context, name, "api")
    context.print(f"api: {name} is gone")
    return FINE


def finish_removal(context: LaunchContext, name: str, command: str) -> None:
    """Wait until a stack is gone, then remove its code from S3 and forget it."""
    wait_until_deleted(context, name, command)
    # CloudFormation removes only its own resources; the zip file was put by us.
    code_bucket, below = code_location(context.recipe, context.location)
    channel = Channel(context.client("s3"), code_bucket, below)
    try:
        channel.delete(list(channel.objects()))
    except Exception as error:
        if not is_missing(error):
            raise
    context.state.remove("api", name)
    forget_key(context)
