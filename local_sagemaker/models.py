"""Operations on models and endpoint configurations: create, describe, list, delete."""

from local_sagemaker import objects, tags
from local_sagemaker.contract import invalid
from local_sagemaker.platform import Platform
from local_sagemaker.record import Record
from local_sagemaker.store import arn, page
from runtime.engine_facts import PROCESS
from runtime.errors import RunError

MODEL = "model"
CONFIG = "endpoint-config"
PROGRAM = "SAGEMAKER_PROGRAM"  # by which a serving image of AWS's runs an artifact's code
UNSUPPORTED = ("ExplainerConfig", "ShadowProductionVariants")


def create_model(platform: Platform, request: Record, region: str) -> Record:
    containers = request.get("Containers", [])
    if request.get("PrimaryContainer"):
        containers = [request["PrimaryContainer"]]
    if len(containers) != 1:
        raise invalid(
            "local SageMaker: a model has one container here, no inference pipeline; "
            f"found {len(containers)}",
        )
    container = containers[0]
    name = request["ModelName"]
    if not container.get("Image"):
        raise invalid(
            "You must specify Image for the container; local SageMaker has no model packages",
        )
    try:
        platform.container_engine.find_image(container["Image"], "serve")
    except RunError as error:
        raise invalid(f"Requested image {container['Image']} not found: {error}") from error
    if platform.container_engine.name == PROCESS and PROGRAM in container.get("Environment", {}):
        raise invalid(
            f"local SageMaker: code of your own ({PROGRAM}) runs in a serving image, and this "
            "server runs no images; start it with --engine docker or podman"
        )
    _check_data(container)
    record = {**request, "ModelArn": arn(region, "model", name), "Region": region}
    tags.add_tagged(
        platform,
        MODEL,
        name,
        record,
        record["ModelArn"],
        invalid(f'Cannot create already existing model "{record["ModelArn"]}".'),
    )
    return record


def container_of(model: Record) -> Record:
    """A model's one container."""
    container: Record = model.get("PrimaryContainer") or model["Containers"][0]
    return container


def _check_data(container: Record) -> None:
    """ApiError when the model's data is not there."""
    # ModelDataUrl is one archive; ModelDataSource may be a prefix of single files, too.
    source = container.get("ModelDataSource", {}).get("S3DataSource", {})
    uri = container.get("ModelDataUrl") or source.get("S3Uri")
    if not uri:
        return  # the model is within the image
    if container.get("Mode") == "MultiModel":
        if not uri.endswith("/"):
            raise invalid(
                "ModelDataUrl of a multi-model container must be a prefix that ends with '/'; "
                f"found '{uri}'",
            )
        return
    try:
        there = objects.listed(uri)
    except objects.ObjectError as error:
        raise invalid(f"Could not access model data at {uri}: {error}") from error
    if not there:
        raise invalid(f"Could not find model data at {uri}.")


def create_config(platform: Platform, request: Record, region: str) -> Record:
    name = request["EndpointConfigName"]
    for part in UNSUPPORTED:
        if request.get(part):
            raise invalid(f"local SageMaker: {part} is not done here")
    names = [variant["VariantName"] for variant in request["ProductionVariants"]]
    if len(set(names)) < len(names):
        raise invalid(f"Duplicate variant names are not allowed: {', '.join(names)}")
    for variant in request["ProductionVariants"]:
        _check_variant(platform, variant, region)
    record = {
        **request,
        "EndpointConfigArn": arn(region, "endpoint-config", name),
        "Region": region,
    }
    tags.add_tagged(
        platform,
        CONFIG,
        name,
        record,
        record["EndpointConfigArn"],
        invalid(
            "Cannot create already existing endpoint configuration "
            f'"{record["EndpointConfigArn"]}".'
        ),
    )
    return record


def _check_variant(platform: Platform, variant: Record, region: str) -> None:
    """ApiError for a variant that cannot be served here."""
    subject = f"variant '{variant['VariantName']}'"
    if not variant.get("ModelName"):
        raise invalid(
            f"local SageMaker: {subject} has no ModelName; inference components are not done here"
        )
    if platform.store.find(MODEL, variant["ModelName"]) is None:
        raise invalid(f'Could not find model "{arn(region, "model", variant["ModelName"])}".')
    serverless = variant.get("ServerlessConfig")
    if not variant.get("InstanceType") and not serverless:
        raise invalid(f"{subject} must have InstanceType or ServerlessConfig")
    if serverless and (variant.get("InstanceType") or variant.get("InitialInstanceCount")):
        raise invalid(
            f"{subject} is serverless: it can have neither InstanceType nor InitialInstanceCount"
        )


def found(platform: Platform, kind: str, name: str, region: str) -> Record:
    """A record. ApiError in the service's words when there is none."""
    record = platform.store.find(kind, name)
    if record is None:
        noun = {MODEL: "model", CONFIG: "endpoint configuration"}[kind]
        raise invalid(f'Could not find {noun} "{arn(region, kind, name)}".')
    return record


def _operations(kind: str, noun: str) -> Record:
    """Describe, list and delete of one kind; noun: Model, EndpointConfig."""
    field = f"{noun}Name"

    def describe(platform: Platform, request: Record, region: str) -> Record:
        return found(platform, kind, request[field], region)

    def list_all(platform: Platform, request: Record, region: str) -> Record:
        records, token = page(platform.store.all(kind), request, field, None)
        return {f"{noun}s": records, "NextToken": token}

    def delete(platform: Platform, request: Record, region: str) -> Record:
        record = found(platform, kind, request[field], region)
        platform.store.remove(kind, request[field])
        tags.forget(platform, record[f"{noun}Arn"])
        return {}

    return {f"Describe{noun}": describe, f"List{noun}s": list_all, f"Delete{noun}": delete}


OPERATIONS = {
    "CreateModel": create_model,
    "CreateEndpointConfig": create_config,
    **_operations(MODEL, "Model"),
    **_operations(CONFIG, "EndpointConfig"),
}
