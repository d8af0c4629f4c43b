"""The command follow: waits again for what an earlier command left running, after Ctrl-C."""

from launch.api import finish_removal, wait_for_change
from launch.batch import finish_batch
from launch.context import LaunchContext
from launch.follow import DESCRIBE, ENDED, status_of
from launch.hosting import CHANGING, lacks_scaling, wait_and_scale
from launch.jobs import FINE, chosen, describe_or_none, endpoint_or_none, exit_code, finish
from launch.preparation import finish_step
from launch.search import wait as wait_for_search
from launch.stacks import stack_or_none
from launch.state import Entry
from launch.tagged import recall_and_say

FOLLOWED = (*DESCRIBE, "endpoint", "api")


def take_up(context: LaunchContext) -> int:
    """Wait again for the latest thing that still changes: a job, the endpoint, its API.

    --job NAME follows that job. 0 when it ended well.
    """
    if context.dry or context.options.job:
        entry = chosen(context, *DESCRIBE)
        if context.dry:
            operation, field, _ = DESCRIBE[entry.kind]
            context.ask("sagemaker", operation, **{field: entry.name})
            return FINE
        return follow_entry(context, entry)
    recall_and_say(context, "follow", *FOLLOWED)
    for entry in reversed(context.state.all(*FOLLOWED)):
        if changes(context, entry):
            context.print(f"follow: {entry.kind} {entry.name}")
            return follow_entry(context, entry)
    context.print("follow: nothing runs or changes; `launch status` shows what is there")
    return FINE


def changes(context: LaunchContext, entry: Entry) -> bool:
    """Whether a thing is on its way to another state, or its command has more to do."""
    if entry.kind == "endpoint":
        answer = endpoint_or_none(context, entry.name)
        if answer is None:
            return False
        status = answer["EndpointStatus"]
        # One that was not waited for has no scaling yet.
        return status in CHANGING or (status == "InService" and lacks_scaling(context))
    if entry.kind == "api":
        stack = stack_or_none(context, entry.name)
        return stack is not None and stack["StackStatus"].endswith("_IN_PROGRESS")
    described = describe_or_none(context, entry.kind, entry.name)
    return described is not None and status_of(entry.kind, described) not in ENDED


def follow_entry(context: LaunchContext, entry: Entry) -> int:
    """Wait for one thing to its end, as the command that started it would."""
    if entry.kind == "endpoint":
        return follow_endpoint(context, entry)
    if entry.kind == "api":
        return follow_api(context, entry.name)
    if entry.kind == "transform":
        return finish_batch(context, entry.name)
    if entry.kind == "processing":
        return finish_step(context, entry)
    if entry.kind == "tuning":
        code = exit_code(wait_for_search(context, entry.name))
        context.print(f"follow: `launch tune {context.recipe.path}` goes on with the chain")
        return code
    return finish(context, entry.kind, entry.name)


def follow_endpoint(context: LaunchContext, entry: Entry) -> int:
    """Wait until an endpoint serves; of one that is being deleted, until it is gone."""
    while True:
        answer = endpoint_or_none(context, entry.name)
        if answer is None:
            context.print(f"follow: the endpoint {entry.name} is gone")
            return FINE
        if answer["EndpointStatus"] != "Deleting":
            return wait_and_scale(context, entry.facts["config"])
        context.wait()


def follow_api(context: LaunchContext, name: str) -> int:
    """Wait for a stack's change; of one that is being deleted, until all of it is gone."""
    stack = stack_or_none(context, name)
    if stack is not None and stack["StackStatus"] != "DELETE_IN_PROGRESS":
        return wait_for_change(context, name)
    finish_removal(context, name, "follow")
    context.print(f"follow: {name} is gone")
    return FINE
