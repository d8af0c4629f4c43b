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


def deploy(desk: LaunchContext) -> int:
    """Make a model, a configuration and the endpoint, or bring a live endpoint over to them with rollback; wait until it answers."""
    recipe, settings = desk.recipe, desk.recipe.settings.endpoint
    live = None if desk.dry else live_status(desk)
    known = desk.state.latest("endpoint")
    if live in UNSETTLED:
        if known is None or known.name != recipe.endpoint_name or live == "Deleting":
            raise LaunchError(
                f"the endpoint {recipe.endpoint_name} is {live}; wait until `launch status` says InService"
            )
        desk.tell("deploy: an earlier command began this; waiting for it")
        return settled(desk, known.facts["config"])
    source = model_source(desk)
    if settings.kind == "multi-model":
        data = add_to_shelf(desk, source)
        if live == "InService" and not desk.options.update:
            desk.tell(
                f"deploy: {recipe.endpoint_name} serves it by `invoke --target {shelf_name(desk)}`; nothing else changes "
                "(--update makes a new configuration)"
            )
            return FINE
    else:
        data = source
    name = dated(recipe.endpoint_name, desk.stamp)
    desk.note("model", name, data=data)
    desk.ask(
        "sagemaker",
        "CreateModel",
        **model(recipe, desk.target, name, data, settings.image, settings.environment),
    )
    desk.note("config", name)
    desk.ask("sagemaker", "CreateEndpointConfig", **endpoint_config(recipe, desk.place, name, name))
    if settings.kind != "serverless":
        desk.note("alarm", alarm_name(recipe))
        desk.ask("cloudwatch", "PutMetricAlarm", **alarm(recipe))
    desk.note("endpoint", recipe.endpoint_name, config=name)
    if live is None and not (desk.dry and desk.options.update):
        desk.ask("sagemaker", "CreateEndpoint", **endpoint(recipe, name))
    else:
        desk.ask("sagemaker", "UpdateEndpoint", **update(recipe, name))
    return settled(desk, name)


def settled(desk: LaunchContext, config: str) -> int:
    """Wait unless told otherwise, then let it scale."""
    code = FINE if desk.dry or desk.options.no_wait else settle(desk, config)
    if code == FINE:
        register_scaling(desk)
    return code


def live_status(desk: LaunchContext) -> str | None:
    """State of the endpoint; None where there is none. LaunchError when it never came up."""
    name = desk.recipe.endpoint_name
    try:
        found = desk.ask("sagemaker", "DescribeEndpoint", EndpointName=name)["EndpointStatus"]
    except Exception as error:
        if is_missing(error):
            return None
        raise
    if found == "Failed":
        raise LaunchError(
            f"the endpoint {name} has failed and cannot be updated; `launch delete` removes it, then deploy again"
        )
    return found


def settle(desk: LaunchContext, config: str) -> int:
    """Wait until the endpoint rests; 1 when it failed, or went back to what it had."""
    told = ""
    while True:
        answer = desk.ask("sagemaker", "DescribeEndpoint", EndpointName=desk.recipe.endpoint_name)
        status = answer["EndpointStatus"]
        if status != told:
            desk.tell(f"deploy: {desk.recipe.endpoint_name} is {status}")
            told = status
        if status not in UNSETTLED:
            break
        desk.wait()
    if answer.get("EndpointConfigName") != config:
        desk.tell(
            f"deploy: failed: the update was rolled back; the endpoint serves {answer.get('EndpointConfigName')} as before. "
            f"{answer.get('FailureReason', '')}"
        )
        return FAILED
    if status != "InService":
        desk.tell(
            f"deploy: failed: {answer.get('FailureReason', status)}; its log: `launch logs RECIPE --endpoint`"
        )
        return FAILED
    return FINE


def register_scaling(desk: LaunchContext) -> None:
    calls = scaling(desk.recipe)
    if calls:
        desk.note("scaling", desk.recipe.endpoint_name)
    for call in calls:
        desk.send(call)


def model_source(desk: LaunchContext) -> str:
    """s3:// of the model.tar.gz: --model, a file of this machine brought to S3, or what a training left."""
    given = desk.options.model
    if given.startswith("s3://"):
        return given
    if given:
        return bring(desk, Path(given))
    job = best_trial(desk)[0] if desk.options.best else chosen(desk, "training").name
    if desk.dry:
        return model_data(desk.recipe, desk.place, job)
    answer = describe_or_none(desk, "training", job)
    if answer is None:
        raise LaunchError(
            f"there is no training job {job} on SageMaker; name one with --job, or a model with --model"
        )
    if answer["TrainingJobStatus"] not in ("Completed", "Stopped"):
        raise LaunchError(
            f"the training {job} is {answer['TrainingJobStatus']}; there is no model of it to deploy"
        )
    return answer["ModelArtifacts"]["S3ModelArtifacts"]


def bring(desk: LaunchContext, path: Path) -> str:
    """A model.tar.gz of this machine, in S3 under its own checksum."""
    if not path.is_file() or not path.name.endswith(".tar.gz"):
        raise LaunchError(f"'{path}' is no model.tar.gz")
    file = File("model.tar.gz", path, path.stat().st_size, sha256_of(path))
    channel = Channel(
        None if desk.dry else desk.client("s3"),
        bucket(desk.recipe, desk.place),
        f"{prefix(desk.recipe)}/models/{file.sha256[:16]}/",
        desk.recipe.settings.kms_key,
    )
    if file.size > TOO_LARGE:
        raise LaunchError(f"'{path}' has more than 5 GB")
    if desk.dry:
        desk.ask("s3", "PutObject", **channel.put_request(file), Body=str(path))
    elif file.name not in channel.objects():
        channel.put(file)
    return f"s3://{channel.bucket}/{channel.key}{file.name}"


def shelf_name(desk: LaunchContext) -> str:
    return desk.options.target or f"{desk.recipe.slug}.tar.gz"


def add_to_shelf(desk: LaunchContext, source: str) -> str:
    """Copy a model to where a multi-model endpoint looks for models; that prefix."""
    shelf = s3(desk.recipe, desk.place, "shelf") + "/"
    origin, _, key = source.removeprefix("s3://").partition("/")
    kms_key = desk.recipe.settings.kms_key
    desk.ask(
        "s3",
        "CopyObject",
        Bucket=bucket(desk.recipe, desk.place),
        Key=f"{prefix(desk.recipe)}/shelf/{shelf_name(desk)}",
        CopySource={"Bucket": origin, "Key": key},
        **({"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": kms_key} if kms_key else {}),
    )
    return shelf
