"""The command that makes and updates endpoints: deploy."""

from pathlib import Path

from launch.context import LaunchContext
from launch.errors import LaunchError, is_missing
from launch.jobs import FAILED, FINE, best_trial, chosen, describe_or_none
from launch.requests_hosting import (
    alarm,
    alarm_name,
    endpoint,
    endpoint_config,
    model,
    scaling,
    update,
)
from launch.requests_training import bucket, dated, model_data, prefix, s3
from launch.upload import Channel, File, sha256_of

UNSETTLED = ("Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting")
TOO_LARGE = 5 * 1024**3


def deploy(context: LaunchContext) -> int:
    """Make a model, a configuration and the endpoint, or bring a live endpoint over to them with rollback; wait until it answers."""
    recipe, settings = context.recipe, context.recipe.settings.endpoint
    live = None if context.dry else live_status(context)
    known = context.state.latest("endpoint")
    if live in UNSETTLED:
        if known is None or known.name != recipe.endpoint_name or live == "Deleting":
            raise LaunchError(
                f"the endpoint {recipe.endpoint_name} is {live}; wait until `launch status` says InService"
            )
        context.print("deploy: an earlier command began this; waiting for it")
        return wait_and_scale(context, known.facts["config"])
    source = model_source(context)
    if settings.kind == "multi-model":
        data = add_to_multi_model(context, source)
        if live == "InService" and not context.options.update:
            context.print(
                f"deploy: {recipe.endpoint_name} serves it by `invoke --target {multi_model_name(context)}`; nothing else changes "
                "(--update makes a new configuration)"
            )
            return FINE
    else:
        data = source
    name = dated(recipe.endpoint_name, context.stamp)
    context.note("model", name, data=data)
    context.ask(
        "sagemaker",
        "CreateModel",
        **model(recipe, context.target, name, data, settings.image, settings.environment),
    )
    context.note("config", name)
    context.ask(
        "sagemaker", "CreateEndpointConfig", **endpoint_config(recipe, context.location, name, name)
    )
    if settings.kind != "serverless":
        context.note("alarm", alarm_name(recipe))
        context.ask("cloudwatch", "PutMetricAlarm", **alarm(recipe))
    context.note("endpoint", recipe.endpoint_name, config=name)
    if live is None and not (context.dry and context.options.update):
        context.ask("sagemaker", "CreateEndpoint", **endpoint(recipe, name))
    else:
        context.ask("sagemaker", "UpdateEndpoint", **update(recipe, name))
    return wait_and_scale(context, name)


def wait_and_scale(context: LaunchContext, config: str) -> int:
    """Wait unless told otherwise, then let it scale."""
    code = FINE if context.dry or context.options.no_wait else wait_in_service(context, config)
    if code == FINE:
        register_scaling(context)
    return code


def live_status(context: LaunchContext) -> str | None:
    """State of the endpoint; None where there is none. LaunchError when it never came up."""
    name = context.recipe.endpoint_name
    try:
        found = context.ask("sagemaker", "DescribeEndpoint", EndpointName=name)["EndpointStatus"]
    except Exception as error:
        if is_missing(error):
            return None
        raise
    if found == "Failed":
        raise LaunchError(
            f"the endpoint {name} has failed and cannot be updated; `launch delete` removes it, then deploy again"
        )
    return found


def wait_in_service(context: LaunchContext, config: str) -> int:
    """Wait until the endpoint rests; 1 when it failed, or went back to what it had."""
    told = ""
    while True:
        answer = context.ask(
            "sagemaker", "DescribeEndpoint", EndpointName=context.recipe.endpoint_name
        )
        status = answer["EndpointStatus"]
        if status != told:
            context.print(f"deploy: {context.recipe.endpoint_name} is {status}")
            told = status
        if status not in UNSETTLED:
            break
        context.wait()
    if answer.get("EndpointConfigName") != config:
        context.print(
            f"deploy: failed: the update was rolled back; the endpoint serves {answer.get('EndpointConfigName')} as before. "
            f"{answer.get('FailureReason', '')}"
        )
        return FAILED
    if status != "InService":
        context.print(
            f"deploy: failed: {answer.get('FailureReason', status)}; its log: `launch logs RECIPE --endpoint`"
        )
        return FAILED
    return FINE


def register_scaling(context: LaunchContext) -> None:
    calls = scaling(context.recipe)
    if calls:
        context.note("scaling", context.recipe.endpoint_name)
    for call in calls:
        context.send(call)


def model_source(context: LaunchContext) -> str:
    """s3:// of the model.tar.gz: --model, a file of this machine brought to S3, or what a training left."""
    given = context.options.model
    if given.startswith("s3://"):
        return given
    if given:
        return bring(context, Path(given))
    job = best_trial(context)[0] if context.options.best else chosen(context, "training").name
    if context.dry:
        return model_data(context.recipe, context.location, job)
    answer = describe_or_none(context, "training", job)
    if answer is None:
        raise LaunchError(
            f"there is no training job {job} on SageMaker; name one with --job, or a model with --model"
        )
    if answer["TrainingJobStatus"] not in ("Completed", "Stopped"):
        raise LaunchError(
            f"the training {job} is {answer['TrainingJobStatus']}; there is no model of it to deploy"
        )
    return answer["ModelArtifacts"]["S3ModelArtifacts"]


def bring(context: LaunchContext, path: Path) -> str:
    """A model.tar.gz of this machine, in S3 under its own checksum."""
    if not path.is_file() or not path.name.endswith(".tar.gz"):
        raise LaunchError(f"'{path}' is no model.tar.gz")
    file = File("model.tar.gz", path, path.stat().st_size, sha256_of(path))
    channel = Channel(
        None if context.dry else context.client("s3"),
        bucket(context.recipe, context.location),
        f"{prefix(context.recipe)}/models/{file.sha256[:16]}/",
        context.recipe.settings.kms_key,
    )
    if file.size > TOO_LARGE:
        raise LaunchError(f"'{path}' has more than 5 GB")
    if context.dry:
        context.ask("s3", "PutObject", **channel.put_request(file), Body=str(path))
    elif file.name not in channel.objects():
        channel.put(file)
    return f"s3://{channel.bucket}/{channel.key}{file.name}"


def multi_model_name(context: LaunchContext) -> str:
    return context.options.target or f"{context.recipe.slug}.tar.gz"


def add_to_multi_model(context: LaunchContext, source: str) -> str:
    """Copy a model to where a multi-model endpoint looks for models; that prefix."""
    shelf = s3(context.recipe, context.location, "shelf") + "/"
    origin, _, key = source.removeprefix("s3://").partition("/")
    kms_key = context.recipe.settings.kms_key
    context.ask(
        "s3",
        "CopyObject",
        Bucket=bucket(context.recipe, context.location),
        Key=f"{prefix(context.recipe)}/shelf/{multi_model_name(context)}",
        CopySource={"Bucket": origin, "Key": key},
        **({"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": kms_key} if kms_key else {}),
    )
    return shelf
