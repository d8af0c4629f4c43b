"""The command delete: removes all that the other commands made."""

from launch.api import finish_removal
from launch.context import LaunchContext
from launch.errors import LaunchError, expected_sentence, is_missing
from launch.follow import DESCRIBE, ENDED, RULE_STATUSES, status_of
from launch.jobs import FAILED, FINE, describe_or_none
from launch.registered import forget_packages, package_removals
from launch.requests_api import stack_name
from launch.requests_training import Call, bucket, dated, prefix
from launch.requests_update import alarm_name, scalable_target, scaling, sleeps, wake_alarm_name
from launch.state import Entry
from launch.tagged import recall_and_say
from launch.upload import Channel

RULE_RUNS = ("InProgress", "Stopping")
# In the order of their removal: each thing before the ones that it uses.
COSTLY = ("api", "endpoint")
MADE = ("api", "scaling", "endpoint", "config", "model", "alarm")


def delete(context: LaunchContext) -> int:
    """Remove the API, the endpoint, its configurations, models, alarm and scaling.

    Also those that the notes here lack: AWS finds them by the recipe's tag and names.
    Ended jobs and registered versions cost nothing and stay.
    With --data also the recipe's objects in S3, and the registered versions of models there.
    --data is refused while a job still runs whose output it would remove.
    """
    recall_and_say(context, "delete")
    # Another command may note a new thing while this one removes: that stays noted.
    known = context.state.all(*MADE)
    calls = removals(context)
    with_data = context.options.data
    if with_data:
        calls += package_removals(context)
    print_plan(context, calls)
    if not calls and not with_data:
        context.print(f"delete: nothing of {context.recipe.name} is known here")
        say_others(context)
        return FINE
    if not context.dry and not confirmed(context, len(calls)):
        context.print("delete: nothing was removed")
        return FAILED
    # Before anything is removed: this fails where a job still runs.
    if with_data and not context.dry:
        wait_for_writers(context)
    send_removals(context, calls)
    if not context.dry:
        forget(context, known)
    if with_data:
        forget_packages(context)
        delete_prefix(context)
    return FINE


def say_others(context: LaunchContext) -> None:
    """A line for each other recipe whose notes beside ours have what costs: one was renamed."""
    for recipe, entries in context.state.others():
        names = [f"{entry.kind} {entry.name}" for entry in entries if entry.kind in COSTLY]
        if names:
            context.print(
                f"delete: the notes here of the recipe '{recipe}' have {', '.join(names)}; if that "
                "was this recipe's name before, give it back, and run `launch delete` again"
            )


def print_plan(context: LaunchContext, calls: list[Call]) -> None:
    """One line for each thing that would be removed."""
    for call in calls:
        context.print(f"delete: {_shown(call)}")
    if context.options.data:
        where = f"s3://{bucket(context.recipe, context.location)}/{prefix(context.recipe)}/"
        context.print(f"delete: everything under {where} (photos, models, reports)")


def _shown(call: Call) -> str:
    values = " ".join(str(value) for value in call.request.values())
    return f"{call.operation.removeprefix('Delete')} {values}"


def confirmed(context: LaunchContext, count: int) -> bool:
    """Whether --yes was given, or the user types yes."""
    if context.options.yes:
        return True
    try:
        answer = input(f"Remove these {count} things? Type yes: ")
    except EOFError:  # nobody is there to type, as in a script
        context.print("delete: without a terminal, --yes says that it is meant")
        return False
    return answer.strip().lower() == "yes"


def send_removals(context: LaunchContext, calls: list[Call]) -> None:
    """Send the requests; a thing that does not exist any more is not an error.

    One that fails keeps none of the others. LaunchError with those things that stay.
    """
    stays = []
    for call in calls:
        try:
            context.send(call)
        except Exception as error:
            if is_missing(error):
                continue
            context.print(f"delete: {_shown(call)} stays: {expected_sentence(error)}")
            stays.append(_shown(call))
    if stays:
        raise LaunchError(
            f"{len(stays)} of {len(calls)} things could not be removed and may go on costing: "
            f"{', '.join(stays)}; mend the reasons above, then run `launch delete` again"
        )


def forget(context: LaunchContext, removed: list[Entry]) -> None:
    """Wait for the API's removal, then take the removed things out of the state."""
    for entry in removed:
        if entry.kind == "api":
            finish_removal(context, entry.name, "delete")
        elif entry in context.state.entries:
            context.state.remove(entry.kind, entry.name)


def wait_for_writers(context: LaunchContext) -> None:
    """Wait for stopping jobs, and for rules of ended trainings: they still write to S3.

    LaunchError where a job runs.
    """
    printed = ""
    while True:
        writers: list[str] = []
        for entry in context.state.all(*DESCRIBE):
            writers += writers_of(context, entry.kind, entry.name)
        if not writers:
            return
        line = f"delete: waiting for {', '.join(writers)}; it would write removed objects again"
        if line != printed:
            context.print(line)
            printed = line
        context.wait()


def writers_of(context: LaunchContext, kind: str, name: str) -> list[str]:
    """The parts of a job that still write to S3 and will end by themselves.

    LaunchError where the job itself runs, and nobody stopped it.
    """
    answer = describe_or_none(context, kind, name)
    if answer is None:
        return []
    status = status_of(kind, answer)
    if status == "InProgress":
        raise LaunchError(
            f"the {kind} job {name} still runs and would write removed objects again; "
            "`launch stop` ends it"
        )
    # A stopping training saves its model for up to 120 s.
    if status not in ENDED:
        return [name]
    found = []
    for field in RULE_STATUSES:
        for rule in answer.get(field, []):
            if rule["RuleEvaluationStatus"] in RULE_RUNS:
                found.append(f"{rule['RuleConfigurationName']} of {name}")
    return found


def removals(context: LaunchContext) -> list[Call]:
    """Requests that remove what was made, in an order that works."""
    names = made_names(context)
    if context.dry and not names["endpoint"]:
        context.print(
            "dry run: nothing was made yet; these would remove what `deploy` and `api` make"
        )
        names = names_to_come(context)
    target = scalable_target(context.recipe)
    calls = [Call("cloudformation", "DeleteStack", {"StackName": name}) for name in names["api"]]
    # Before the endpoint, whose variant it scales.
    for _ in names["scaling"]:
        calls.append(Call("application-autoscaling", "DeregisterScalableTarget", target))
    for name in names["endpoint"]:
        calls.append(Call("sagemaker", "DeleteEndpoint", {"EndpointName": name}))
    for name in names["config"]:
        calls.append(Call("sagemaker", "DeleteEndpointConfig", {"EndpointConfigName": name}))
    for name in names["model"]:
        calls.append(Call("sagemaker", "DeleteModel", {"ModelName": name}))
    if names["alarm"]:
        calls.append(Call("cloudwatch", "DeleteAlarms", {"AlarmNames": names["alarm"]}))
    return calls


def made_names(context: LaunchContext) -> dict[str, list[str]]:
    """Names of the things that were made, by kind."""
    names: dict[str, list[str]] = {kind: [] for kind in MADE}
    for entry in context.state.all(*MADE):
        names[entry.kind].append(entry.name)
    return names


def names_to_come(context: LaunchContext) -> dict[str, list[str]]:
    """Names of the things that `deploy` and `api` would make now, by kind."""
    recipe = context.recipe
    name = dated(recipe.endpoint_name, context.stamp)
    names = {
        "api": [stack_name(recipe)],
        "scaling": [],
        "endpoint": [recipe.endpoint_name],
        "config": [name],
        "model": [name],
        "alarm": [alarm_name(recipe)],
    }
    if scaling(recipe):
        names["scaling"] = [recipe.endpoint_name]
    if sleeps(recipe):
        names["alarm"].append(wake_alarm_name(recipe))
    return names


def delete_prefix(context: LaunchContext) -> None:
    """Remove all objects under the recipe's prefix."""
    name = bucket(context.recipe, context.location)
    key = f"{prefix(context.recipe)}/"
    if context.dry:
        context.ask("s3", "ListObjectsV2", Bucket=name, Prefix=key)
        return
    channel = Channel(context.client("s3"), name, key)
    names = list(channel.objects())
    kept = channel.delete(names)
    context.print(f"delete: {len(names)} objects removed")
    if kept:
        context.print(
            f"delete: the bucket '{name}' is versioned: it keeps {kept} of them as older versions, "
            "which go on costing until a lifecycle rule of the bucket, or you, remove these"
        )
