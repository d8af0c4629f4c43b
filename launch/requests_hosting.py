"""Models, endpoint configurations and endpoints: requests as pure functions of the recipe."""

from launch.aws import AwsLocation, Request
from launch.errors import LaunchError
from launch.gpu_hosts import endpoint_image, is_gpu
from launch.image_facts import image_kind
from launch.recipe import Recipe
from launch.requests_training import Target, kms, present, role, s3, tags, vpc
from recipes.sagemaker import Endpoint

# Our endpoints have one variant, which gets all requests.
VARIANT = "all"
# SageMaker offers serverless memory in steps of 1 GB, from 1 to 6 GB.
SERVERLESS_MB = range(1024, 6145, 1024)
# Source: SageMaker's page on asynchronous inference: payloads up to 1 GB, 15 minutes at most.
ASYNC_LIMITS = {"SAGEMAKER_MODEL_SERVER_TIMEOUT": "900", "SAGEMAKER_MAX_PAYLOAD_IN_MB": "1024"}


def serving_environment(endpoint: Endpoint) -> dict[str, str]:
    """The container's variables: the recipe's, and of an asynchronous endpoint SageMaker's limits.

    Without them the server keeps to those of real-time requests.
    """
    limits = ASYNC_LIMITS if endpoint.kind == "async" else {}
    return {**limits, **_hooks(endpoint), **endpoint.environment}


def batch_environment(recipe: Recipe) -> dict[str, str]:
    """The variables of a transform job's container: a model answers there as its endpoint does."""
    return {**_hooks(recipe.sagemaker.endpoint), **recipe.sagemaker.batch.environment}


def _hooks(endpoint: Endpoint) -> dict[str, str]:
    return {"SLIPWAY_HOOKS": "1"} if endpoint.hooks else {}


def model(
    recipe: Recipe, target: Target, name: str, data: str, image: str, environment: dict[str, str]
) -> Request:
    """CreateModel. data: s3:// of a model.tar.gz.

    For a multi-model endpoint, data is the s3:// prefix of its models, with a slash at its end.
    Of a registered version it is the ARN, which stands for its image and its model.
    """
    if data.startswith("arn:"):
        container: Request = {"ModelPackageName": data}
    else:
        container = {"Image": target.image(image), "ModelDataUrl": data}
    container |= present(Environment=environment)
    if data.endswith("/"):
        container["Mode"] = "MultiModel"
    return {
        "ModelName": name,
        "PrimaryContainer": container,
        "ExecutionRoleArn": role(recipe, target.location),
        "Tags": tags(recipe),
        "EnableNetworkIsolation": recipe.sagemaker.network_isolation,
        **vpc(recipe),
    }


def endpoint_config(recipe: Recipe, location: AwsLocation, name: str, model_name: str) -> Request:
    """CreateEndpointConfig of the recipe's kind. LaunchError for what that kind cannot have."""
    endpoint = recipe.sagemaker.endpoint
    request: Request = {"EndpointConfigName": name, "Tags": tags(recipe)}
    if endpoint.kind == "serverless":
        _check_serverless(recipe)
        request["ProductionVariants"] = [_serverless_variant(recipe, model_name)]
        return request
    request["ProductionVariants"] = [_instance_variant(recipe, model_name)]
    # A serverless endpoint has no volume, so it takes no key.
    request |= kms(recipe)
    if endpoint.capture_percent:
        request["DataCaptureConfig"] = _capture(recipe, location)
    if endpoint.kind == "async":
        request["AsyncInferenceConfig"] = _async(recipe, location)
    return request


def _instance_variant(recipe: Recipe, model_name: str) -> Request:
    """ProductionVariant on instances: real-time, asynchronous or multi-model."""
    endpoint = recipe.sagemaker.endpoint
    variant = {
        "VariantName": VARIANT,
        "ModelName": model_name,
        "InitialInstanceCount": endpoint.instance_count,
        "InstanceType": endpoint.instance_type,
        "InitialVariantWeight": 1.0,
        "ModelDataDownloadTimeoutInSeconds": endpoint.download_timeout_s,
        "ContainerStartupHealthCheckTimeoutInSeconds": endpoint.startup_timeout_s,
    }
    if is_gpu(endpoint.instance_type):
        variant["InferenceAmiVersion"] = endpoint_image(endpoint.cuda, endpoint.instance_type)
    return variant


def _serverless_variant(recipe: Recipe, model_name: str) -> Request:
    endpoint = recipe.sagemaker.endpoint
    return {
        "VariantName": VARIANT,
        "ModelName": model_name,
        "ServerlessConfig": {
            "MemorySizeInMB": endpoint.memory_mb,
            "MaxConcurrency": endpoint.max_concurrency,
            **present(ProvisionedConcurrency=endpoint.provisioned_concurrency),
        },
    }


def _check_serverless(recipe: Recipe) -> None:
    """LaunchError for settings that SageMaker refuses for a serverless endpoint."""
    settings = recipe.sagemaker
    endpoint = settings.endpoint
    # Source: SageMaker's page on serverless inference, "Feature exclusions".
    refused = {
        "a VPC (subnets)": settings.subnets,
        "network_isolation": settings.network_isolation,
        "capture_percent": endpoint.capture_percent,
        "the image serve-gpu": image_kind(endpoint.image) == "serve-gpu",
    }
    for name, given in refused.items():
        if given:
            raise LaunchError(
                f"a serverless endpoint cannot have {name}; "
                "change sagemaker.endpoint.kind, or leave it out"
            )
    if endpoint.memory_mb not in SERVERLESS_MB:
        raise LaunchError(
            f"sagemaker.endpoint.memory_mb is {endpoint.memory_mb}; "
            "serverless has 1024, 2048, 3072, 4096, 5120 or 6144"
        )


def _capture(recipe: Recipe, location: AwsLocation) -> Request:
    """DataCaptureConfig: whole requests and answers; photos as base64, answers as JSON."""
    return {
        "EnableCapture": True,
        "InitialSamplingPercentage": recipe.sagemaker.endpoint.capture_percent,
        "DestinationS3Uri": s3(recipe, location, "captured"),
        "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
        "CaptureContentTypeHeader": {"JsonContentTypes": ["application/json"]},
        **kms(recipe),
    }


def _async(recipe: Recipe, location: AwsLocation) -> Request:
    """AsyncInferenceConfig: where answers and failures go, and the SNS topics for each."""
    endpoint = recipe.sagemaker.endpoint
    topics = present(SuccessTopic=endpoint.success_topic, ErrorTopic=endpoint.error_topic)
    # 0 leaves the choice to SageMaker.
    clients = present(MaxConcurrentInvocationsPerInstance=endpoint.concurrent_invocations)
    output = {
        "S3OutputPath": s3(recipe, location, "async", "output"),
        "S3FailurePath": s3(recipe, location, "async", "failed"),
        **kms(recipe),
        **present(NotificationConfig=topics),
    }
    return {"OutputConfig": output, **present(ClientConfig=clients)}


def endpoint(recipe: Recipe, config: str) -> Request:
    """CreateEndpoint."""
    return {
        "EndpointName": recipe.endpoint_name,
        "EndpointConfigName": config,
        "Tags": tags(recipe),
    }
