"""The command that removes what the others made: delete."""

from launch.api import removed
from launch.context import LaunchContext
from launch.errors import LaunchError, is_missing
from launch.follow import DESCRIBE, ENDED, RULE_STATUSES, status_of
from launch.jobs import FAILED, FINE, describe_or_none
from launch.requests_api import stack_name
from launch.requests_hosting import alarm_name, scaled, scaling
from launch.requests_training import Call, bucket, dated, prefix
from launch.upload import Channel

RULE_RUNS = ("InProgress", "Stopping")


def delete(context: LaunchContext) -> int:
    """Remove the API, the endpoint, its configurations, models, alarm and scaling; with --data what lies in S3, too. Jobs cost nothing and stay.

    LaunchError where a job still runs whose output --data would remove.
    """
    calls = removals(context)
    for call in calls:
        context.print(
            f"delete: {call.operation.removeprefix('Delete')} {' '.join(str(value) for value in call.request.values())}"
        )
    key = f"{prefix(context.recipe)}/"
    if context.options.data:
        context.print(
            f"delete: everything under s3://{bucket(context.recipe, context.location)}/{key} (photos, models, reports)"
        )
    if not calls and not context.options.data:
        context.print(f"delete: nothing of {context.recipe.name} is known here")
        return FINE
    if (
        not context.dry
        and not context.options.yes
        and input(f"Remove these {len(calls)} things? Type yes: ").strip().lower() != "yes"
    ):
        context.print("delete: nothing was removed")
        return FAILED
    if context.options.data and not context.dry:
        wait_for_writers(context)
    for call in calls:
        try:
            context.send(call)
        except Exception as error:
            if not is_missing(error):
                raise
    if not context.dry:
        for entry in context.state.all("api"):
            removed(context, entry.name, "delete")
        for entry in context.state.all("endpoint", "config", "model", "alarm", "scaling"):
            context.state.remove(entry.kind, entry.name)
    if context.options.data:
        delete_prefix(context, key)
    return FINE


def wait_for_writers(context: LaunchContext) -> None:
    """Wait for rules that still judge a training that has ended: they write to S3. LaunchError where a job itself still runs."""
    told = ""
    while writers := [
        one
        for entry in context.state.all(*DESCRIBE)
        for one in writing(context, entry.kind, entry.name)
    ]:
        if (
            line
            := f"delete: waiting for {', '.join(writers)}, which would write again what is removed"
        ) != told:
            context.print(line)
            told = line
        context.wait()


def writing(context: LaunchContext, kind: str, name: str) -> list[str]:
    """What of a job still writes to S3 and ends by itself. LaunchError where that is the job, which nobody told to stop."""
    answer = describe_or_none(context, kind, name) or {}
    status = status_of(kind, answer)
    if status == "InProgress":
        raise LaunchError(
            f"the {kind} job {name} still runs and would write again what is removed; `launch stop` ends it"
        )
    if answer and status not in ENDED:
        return [name]
    return [
        f"{rule['RuleConfigurationName']} of {name}"
        for field in RULE_STATUSES
        for rule in answer.get(field, [])
        if rule["RuleEvaluationStatus"] in RULE_RUNS
    ]


def removals(context: LaunchContext) -> list[Call]:
    """Requests that remove what was made, in an order that works."""
    recipe, known = context.recipe, context.state.all
    if context.dry and not known("endpoint"):
        context.print(
            "dry run: nothing was made yet; these would remove what `deploy` and `api` make"
        )
        name = dated(recipe.endpoint_name, context.stamp)
        names = {
            "api": [stack_name(recipe)],
            "endpoint": [recipe.endpoint_name],
            "config": [name],
            "model": [name],
            "alarm": [alarm_name(recipe)],
            "scaling": [1] if scaling(recipe) else [],
        }
    else:
        names = {
            kind: [entry.name for entry in known(kind)]
            for kind in ("api", "endpoint", "config", "model", "alarm", "scaling")
        }
    return [
        *(Call("cloudformation", "DeleteStack", {"StackName": name}) for name in names["api"]),
        *(
            Call("application-autoscaling", "DeregisterScalableTarget", scaled(recipe))
            for _ in names["scaling"]
        ),
        *(
            Call("sagemaker", "DeleteEndpoint", {"EndpointName": name})
            for name in names["endpoint"]
        ),
        *(
            Call("sagemaker", "DeleteEndpointConfig", {"EndpointConfigName": name})
            for name in names["config"]
        ),
        *(Call("sagemaker", "DeleteModel", {"ModelName": name}) for name in names["model"]),
        *(
            [Call("cloudwatch", "DeleteAlarms", {"AlarmNames": names["alarm"]})]
            if names["alarm"]
            else []
        ),
    ]


def delete_prefix(context: LaunchContext, key: str) -> None:
    """Remove all objects under a prefix of the recipe's bucket."""
    if context.dry:
        context.ask(
            "s3", "ListObjectsV2", Bucket=bucket(context.recipe, context.location), Prefix=key
        )
        return
    channel = Channel(context.client("s3"), bucket(context.recipe, context.location), key)
    names = list(channel.objects())
    channel.delete(names)
    context.print(f"delete: {len(names)} objects removed")
