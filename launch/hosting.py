"""The command deploy: makes and updates endpoints."""

from launch.api import move_page
from launch.architectures import fitting_image
from launch.context import LaunchContext
from launch.errors import LaunchError, may_have_arrived
from launch.jobs import FAILED, FINE, endpoint_or_none
from launch.making import check_owner, make
from launch.model_source import model_source
from launch.multi_model import add_model, model_prefix
from launch.packages import package_source
from launch.requests_hosting import endpoint, endpoint_config, model, serving_environment
from launch.requests_training import dated
from launch.requests_update import (
    alarm,
    alarm_name,
    scaling,
    sleeps,
    update,
    wake_alarm,
    wake_alarm_name,
    waking,
)
from launch.state import Entry

# In these states SageMaker refuses an update.
CHANGING = ("Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting")


def deploy(context: LaunchContext) -> int:
    """Make a model, a configuration and the endpoint, and wait until it answers.

    A live endpoint is updated, and rolls back by itself when the new model fails.
    """
    live = None
    if not context.dry:
        live = live_status(context)
    # After Ctrl-C the endpoint goes on; the same command then waits for it.
    if live in CHANGING:
        known = entry_of_change(context, live)
        context.print("deploy: an earlier command began this; waiting for it")
        return wait_and_scale(context, known.facts["config"])
    data = package_source(context) if context.options.package else model_source(context)
    added = ""
    if context.recipe.sagemaker.endpoint.kind == "multi-model":
        added = add_model(context, data)
        data = model_prefix(context)
    if added and live == "InService" and not context.options.update:
        context.print(
            f"deploy: {context.recipe.endpoint_name} serves it by "
            f"`invoke --target {added}`; nothing else changes "
            "(--update makes a new configuration)"
        )
        return move_page(context, added)
    return deploy_config(context, data, live, added)


def deploy_config(context: LaunchContext, data: str, live: str | None, added: str) -> int:
    """Make a configuration, and bring the endpoint to it. added: a multi-model endpoint's model."""
    name = make_config(context, data)
    context.note("endpoint", context.recipe.endpoint_name, config=name)
    is_new = live is None
    if context.dry and context.options.update:
        is_new = False
    try:
        if is_new:
            make(context, "CreateEndpoint", endpoint(context.recipe, name))
        else:
            context.ask("sagemaker", "UpdateEndpoint", **update(context.recipe, name))
    except Exception as error:
        if context.dry or may_have_arrived(error):
            raise
        # An answer may have got lost, and the client then asked again: the name tells.
        if note_as_it_is(context) != name:
            raise
    code = wait_and_scale(context, name)
    if added and code == FINE:
        code = move_page(context, added)
    return code


def note_as_it_is(context: LaunchContext) -> str:
    """After a refused change: note the configuration that the endpoint has or gets; its name.

    Another command may have given it. Else `follow` would take that one for rolled back.
    """
    name = context.recipe.endpoint_name
    answer = endpoint_or_none(context, name)
    if answer is None:
        context.state.remove("endpoint", name)
        return ""
    coming = answer.get("PendingDeploymentSummary") or answer
    config = str(coming["EndpointConfigName"])
    context.note("endpoint", name, config=config)
    return config


def entry_of_change(context: LaunchContext, live: str | None) -> Entry:
    """The entry of the earlier command that changes the endpoint. LaunchError for another one's."""
    name = context.recipe.endpoint_name
    known = context.state.latest("endpoint")
    if known is None or known.name != name or live == "Deleting":
        raise LaunchError(
            f"the endpoint {name} is {live}; wait until `launch status` says InService"
        )
    return known


def make_config(context: LaunchContext, data: str) -> str:
    """Make the model, its configuration and the rollback's alarm; the name of the first two."""
    recipe = context.recipe
    settings = recipe.sagemaker.endpoint
    on = "" if settings.kind == "serverless" else settings.instance_type
    image = fitting_image(context, settings.image, on)
    # One name for both: each configuration has a model of its own.
    name = dated(recipe.endpoint_name, context.stamp)
    context.note("model", name, data=data)
    environment = serving_environment(settings)
    request = model(recipe, context.target, name, data, image, environment)
    make(context, "CreateModel", request)
    context.note("config", name)
    config = endpoint_config(recipe, context.location, name, name)
    make(context, "CreateEndpointConfig", config)
    # A serverless endpoint has no rollback by alarms, see requests_update.
    if settings.kind != "serverless":
        context.note("alarm", alarm_name(recipe))
        context.ask("cloudwatch", "PutMetricAlarm", **alarm(recipe))
    return name


def wait_and_scale(context: LaunchContext, config: str) -> int:
    """Wait for the endpoint, then register its scaling. With --no-wait neither: an endpoint that
    is not InService yet cannot be scaled, and `follow` registers it later.
    """
    path = context.recipe.path
    if context.dry:
        register_scaling(context)
        return FINE
    if context.options.no_wait:
        if scaling(context.recipe):
            context.print(f"deploy: scaling comes with InService; type: launch follow {path}")
        return FINE
    code = wait_in_service(context, config)
    if code != FINE:
        return code
    register_scaling(context)
    context.print(f"deploy: next: launch invoke {path} PHOTOS")
    return FINE


def lacks_scaling(context: LaunchContext) -> bool:
    """Whether the recipe's endpoint is to scale, and no command has registered that yet."""
    known = context.state.latest("scaling")
    registered = known is not None and known.name == context.recipe.endpoint_name
    return bool(scaling(context.recipe)) and not registered


def live_status(context: LaunchContext) -> str | None:
    """State of the endpoint; None where there is none.

    LaunchError when it never came up, and for one that the notes lack and another recipe made.
    """
    name = context.recipe.endpoint_name
    answer = endpoint_or_none(context, name)
    if answer is None:
        return None
    if all(entry.name != name for entry in context.state.all("endpoint")):
        check_owner(context, f"endpoint {name}", str(answer["EndpointArn"]))
        context.print(
            f"deploy: the endpoint {name} is there, and the notes here lack it: a recipe of this "
            "name made it from another folder or machine, and both change the same endpoint"
        )
    found = str(answer["EndpointStatus"])
    if found == "Failed":
        raise LaunchError(
            f"the endpoint {name} has failed and cannot be updated; "
            "`launch delete` removes it, then deploy again"
        )
    return found


def wait_in_service(context: LaunchContext, config: str) -> int:
    """Wait until the endpoint is stable; FAILED when it failed or rolled back."""
    name = context.recipe.endpoint_name
    printed = ""
    while True:
        answer = endpoint_or_none(context, name)
        if answer is None:
            context.print(f"deploy: failed: the endpoint {name} is gone: someone deleted it")
            return FAILED
        status = answer["EndpointStatus"]
        if status != printed:
            context.print(f"deploy: {name} is {status}")
            printed = status
        if status not in CHANGING:
            break
        context.wait()
    serving = answer.get("EndpointConfigName")
    # A rolled-back endpoint is InService, too, but with its old configuration.
    if serving != config:
        context.print(
            "deploy: failed: the update was rolled back; "
            f"the endpoint serves {serving} as before. {answer.get('FailureReason', '')}"
        )
        return FAILED
    if status != "InService":
        context.print(
            f"deploy: failed: {answer.get('FailureReason', status)}; "
            "its log: `launch logs RECIPE --endpoint`"
        )
        return FAILED
    return FINE


def register_scaling(context: LaunchContext) -> None:
    """Let the number of instances follow the requests; an asynchronous endpoint's also from 0."""
    recipe = context.recipe
    calls = scaling(recipe)
    if calls:
        context.note("scaling", recipe.endpoint_name)
    for call in calls:
        context.send(call)
    if sleeps(recipe):
        answer = context.send(waking(recipe))
        context.note("alarm", wake_alarm_name(recipe))
        # A dry run has no answer.
        policy = answer.get("PolicyARN", context.location.arn("autoscaling", "scalingPolicy:…"))
        context.ask("cloudwatch", "PutMetricAlarm", **wake_alarm(recipe, policy))
