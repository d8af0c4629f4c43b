"""Operations on models and endpoint configurations: create, describe, list, delete."""

from local_sagemaker import tags
from local_sagemaker.contract import invalid
from local_sagemaker.platform import Platform
from local_sagemaker.record import Record
from local_sagemaker.registry import model_packages
from local_sagemaker.registry.model_data import check_container
from local_sagemaker.store import arn, page

MODEL = "model"
CONFIG = "endpoint-config"
PACKAGED = "PackagedContainer"


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
    packaged = container.get(model_packages.NAME)
    if packaged:
        container = model_packages.container(platform, container, region)
    if not container.get("Image"):
        raise invalid("You must specify Image or ModelPackageName for the container")
    check_container(platform, container)
    record = {**request, "ModelArn": arn(region, "model", name), "Region": region}
    if packaged:
        record[PACKAGED] = container  # as it was: a package may change, or go
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
    """A model's one container; of one made from a package, with what it took of that."""
    container: Record = (
        model.get(PACKAGED) or model.get("PrimaryContainer") or model["Containers"][0]
    )
    return container


def create_config(platform: Platform, request: Record, region: str) -> Record:
    name = request["EndpointConfigName"]
    shadows = request.get("ShadowProductionVariants", [])
    if shadows:
        _check_shadow(request)
    variants = [*request["ProductionVariants"], *shadows]
    names = [variant["VariantName"] for variant in variants]
    if len(set(names)) < len(names):
        raise invalid(f"Duplicate variant names are not allowed: {', '.join(names)}")
    for variant in variants:
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


def _check_shadow(request: Record) -> None:
    """ApiError where SageMaker has no shadow. Source: CreateEndpointConfig, API reference."""
    shadows = request["ShadowProductionVariants"]
    if len(shadows) > 1 or len(request["ProductionVariants"]) > 1:
        raise invalid(
            "With ShadowProductionVariants there is one production variant and one shadow variant; "
            f"found {len(request['ProductionVariants'])} and {len(shadows)}"
        )
    if request.get("AsyncInferenceConfig"):
        raise invalid("ShadowProductionVariants are not for asynchronous endpoints")
    for variant in [*request["ProductionVariants"], *shadows]:
        if variant.get("ServerlessConfig"):
            raise invalid("ShadowProductionVariants are not for serverless variants")


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
