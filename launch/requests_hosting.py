"""Models, endpoints, their scaling and alarms, and transform jobs: requests as pure functions of the recipe."""

from artifact.nvidia import HOST_IMAGE
from launch.aws import AwsLocation
from launch.errors import LaunchError
from launch.recipe import Recipe
from launch.requests_training import Call, Target, is_gpu, kms, role, s3, tags, volume_kms, vpc

VARIANT = "all"
BEFORE_TURING = (
    "ml.p2.",
    "ml.p3.",
    "ml.p3dn.",
)  # compute capability below 7.5, which CUDA 13 no longer knows


def model(
    recipe: Recipe, target: Target, name: str, data: str, image: str, environment: dict[str, str]
) -> dict:
    """CreateModel. data: s3:// of a model.tar.gz; of a multi-model endpoint the prefix under which models lie."""
    several = data.endswith("/")
    container = {
        "Image": target.image(image),
        "ModelDataUrl": data,
        **({"Mode": "MultiModel"} if several else {}),
        **({"Environment": environment} if environment else {}),
    }
    return {
        "ModelName": name,
        "PrimaryContainer": container,
        "ExecutionRoleArn": role(recipe, target.location),
        "Tags": tags(recipe),
        "EnableNetworkIsolation": recipe.settings.network_isolation,
        **vpc(recipe),
    }


def endpoint_config(recipe: Recipe, location: AwsLocation, name: str, model_name: str) -> dict:
    """CreateEndpointConfig of the recipe's kind. LaunchError for what that kind cannot have."""
    endpoint = recipe.settings.endpoint
    serverless = endpoint.kind == "serverless"
    if serverless:
        _serverless_fits(recipe)
    return {
        "EndpointConfigName": name,
        "ProductionVariants": [
            _serverless(recipe, model_name) if serverless else _hosted(recipe, model_name)
        ],
        "Tags": tags(recipe),
        **({} if serverless else kms(recipe)),
        **({"DataCaptureConfig": _capture(recipe, location)} if endpoint.capture_percent else {}),
        **({"AsyncInferenceConfig": _async(recipe, location)} if endpoint.kind == "async" else {}),
    }


def _hosted(recipe: Recipe, model_name: str) -> dict:
    endpoint = recipe.settings.endpoint
    return {
        "VariantName": VARIANT,
        "ModelName": model_name,
        "InitialInstanceCount": endpoint.instance_count,
        "InstanceType": endpoint.instance_type,
        "InitialVariantWeight": 1.0,
        "ModelDataDownloadTimeoutInSeconds": endpoint.download_timeout_s,
        "ContainerStartupHealthCheckTimeoutInSeconds": endpoint.startup_timeout_s,
        **(
            {"InferenceAmiVersion": host_image(endpoint.cuda, endpoint.instance_type)}
            if is_gpu(endpoint.instance_type)
            else {}
        ),
    }


def host_image(cuda: int, instance_type: str) -> str:
    """InferenceAmiVersion whose driver runs an image's CUDA. LaunchError where none does."""
    if cuda not in HOST_IMAGE:
        raise LaunchError(
            f"sagemaker.endpoint.cuda is {cuda}; SageMaker has hosts for {', '.join(map(str, HOST_IMAGE))}"
        )
    if cuda >= 13 and instance_type.startswith(BEFORE_TURING):
        raise LaunchError(
            f"{instance_type} has a GPU that CUDA 13 no longer knows; take ml.g4dn, ml.g5, ml.g6, ml.p4d or later"
        )
    return HOST_IMAGE[cuda]


def _serverless(recipe: Recipe, model_name: str) -> dict:
    endpoint = recipe.settings.endpoint
    provisioned = (
        {"ProvisionedConcurrency": endpoint.provisioned_concurrency}
        if endpoint.provisioned_concurrency
        else {}
    )
    return {
        "VariantName": VARIANT,
        "ModelName": model_name,
        "ServerlessConfig": {
            "MemorySizeInMB": endpoint.memory_mb,
            "MaxConcurrency": endpoint.max_concurrency,
            **provisioned,
        },
    }


def _serverless_fits(recipe: Recipe) -> None:
    settings, endpoint = recipe.settings, recipe.settings.endpoint
    for given, what in (
        (settings.subnets, "a VPC (subnets)"),
        (settings.network_isolation, "network_isolation"),
        (endpoint.capture_percent, "capture_percent"),
        (endpoint.image == "serve-gpu", "the image serve-gpu"),
    ):
        if given:
            raise LaunchError(
                f"a serverless endpoint cannot have {what}; change sagemaker.endpoint.kind, or leave it out"
            )
    if endpoint.memory_mb not in range(1024, 6145, 1024):
        raise LaunchError(
            f"sagemaker.endpoint.memory_mb is {endpoint.memory_mb}; serverless has 1024, 2048, 3072, 4096, 5120 or 6144"
        )


def _capture(recipe: Recipe, location: AwsLocation) -> dict:
    """Whole requests and answers; photos as base64, answers as JSON."""
    return {
        "EnableCapture": True,
        "InitialSamplingPercentage": recipe.settings.endpoint.capture_percent,
        "DestinationS3Uri": s3(recipe, location, "captured"),
        "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
        "CaptureContentTypeHeader": {"JsonContentTypes": ["application/json"]},
        **kms(recipe),
    }


def _async(recipe: Recipe, location: AwsLocation) -> dict:
    endpoint = recipe.settings.endpoint
    topics = {
        name: topic
        for name, topic in (
            ("SuccessTopic", endpoint.success_topic),
            ("ErrorTopic", endpoint.error_topic),
        )
        if topic
    }
    output = {
        "S3OutputPath": s3(recipe, location, "async", "output"),
        "S3FailurePath": s3(recipe, location, "async", "failed"),
        **kms(recipe),
        **({"NotificationConfig": topics} if topics else {}),
    }
    limit = (
        {"ClientConfig": {"MaxConcurrentInvocationsPerInstance": endpoint.concurrent_invocations}}
        if endpoint.concurrent_invocations
        else {}
    )
    return {"OutputConfig": output, **limit}


def endpoint(recipe: Recipe, config: str) -> dict:
    """CreateEndpoint."""
    return {
        "EndpointName": recipe.endpoint_name,
        "EndpointConfigName": config,
        "Tags": tags(recipe),
    }


def update(recipe: Recipe, config: str) -> dict:
    """UpdateEndpoint, which goes back by itself when an alarm rings: rolling over several instances, at once beside a single one.

    A serverless endpoint has no such policy; SageMaker keeps the old variant until the new one is up.
    """
    settings = recipe.settings.endpoint
    request = {"EndpointName": recipe.endpoint_name, "EndpointConfigName": config}
    if settings.kind == "serverless":
        return request
    rollback = {
        "AutoRollbackConfiguration": {
            "Alarms": [{"AlarmName": name} for name in (alarm_name(recipe), *settings.alarms)]
        }
    }
    if settings.instance_count > 1:
        policy = {
            "RollingUpdatePolicy": {
                "MaximumBatchSize": {
                    "Type": "CAPACITY_PERCENT",
                    "Value": 50 if settings.instance_count < 4 else 25,
                },
                "WaitIntervalInSeconds": settings.bake_s,
                "RollbackMaximumBatchSize": {"Type": "CAPACITY_PERCENT", "Value": 100},
            }
        }
    else:
        policy = {
            "BlueGreenUpdatePolicy": {
                "TrafficRoutingConfiguration": {
                    "Type": "ALL_AT_ONCE",
                    "WaitIntervalInSeconds": settings.bake_s,
                },
                "TerminationWaitInSeconds": 0,
                "MaximumExecutionTimeoutInSeconds": max(3600, 2 * settings.bake_s + 1800),
            }
        }
    # what autoscaling has grown to stays
    return {
        **request,
        "DeploymentConfig": {**policy, **rollback},
        **({"RetainAllVariantProperties": True} if scaling(recipe) else {}),
    }


def alarm_name(recipe: Recipe) -> str:
    return f"slipway-{recipe.endpoint_name}-5xx"


def alarm(recipe: Recipe) -> dict:
    """PutMetricAlarm: rings when the endpoint's containers answer 5xx in two minutes of three."""
    return {
        "AlarmName": alarm_name(recipe),
        "AlarmDescription": "Rolls back an update of the endpoint",
        "Namespace": "AWS/SageMaker",
        "MetricName": "Invocation5XXErrors",
        "Statistic": "Sum",
        "Period": 60,
        "EvaluationPeriods": 3,
        "DatapointsToAlarm": 2,
        "Threshold": 1.0,
        "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        "TreatMissingData": "notBreaching",
        "Tags": tags(recipe),
        "Dimensions": [
            {"Name": "EndpointName", "Value": recipe.endpoint_name},
            {"Name": "VariantName", "Value": VARIANT},
        ],
    }


def scaling(recipe: Recipe) -> list[Call]:
    """RegisterScalableTarget and PutScalingPolicy where the recipe asks for more instances than it starts with; else nothing."""
    settings = recipe.settings.endpoint
    if settings.kind == "serverless" or settings.max_instances <= settings.instance_count:
        return []
    which = scaled(recipe)
    if settings.kind == "async":
        metric = {
            "CustomizedMetricSpecification": {
                "MetricName": "ApproximateBacklogSizePerInstance",
                "Namespace": "AWS/SageMaker",
                "Statistic": "Average",
                "Dimensions": [{"Name": "EndpointName", "Value": recipe.endpoint_name}],
            }
        }
    else:
        metric = {
            "PredefinedMetricSpecification": {
                "PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"
            }
        }
    policy = {
        "TargetValue": settings.target,
        "ScaleInCooldown": 600,
        "ScaleOutCooldown": 120,
        **metric,
    }
    return [
        Call(
            "application-autoscaling",
            "RegisterScalableTarget",
            {**which, "MinCapacity": settings.min_instances, "MaxCapacity": settings.max_instances},
        ),
        Call(
            "application-autoscaling",
            "PutScalingPolicy",
            {
                **which,
                "PolicyName": f"slipway-{recipe.endpoint_name}",
                "PolicyType": "TargetTrackingScaling",
                "TargetTrackingScalingPolicyConfiguration": policy,
            },
        ),
    ]


def scaled(recipe: Recipe) -> dict:
    """Which capacity application autoscaling is spoken to about."""
    return {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"endpoint/{recipe.endpoint_name}/variant/{VARIANT}",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    }


def transform_job(
    recipe: Recipe, location: AwsLocation, name: str, model_name: str, source: str
) -> dict:
    """CreateTransformJob over whole photos under an s3:// prefix. LaunchError for GPU machines, whose drivers are too old."""
    batch = recipe.settings.batch
    if is_gpu(batch.instance_type):
        raise LaunchError(
            f"sagemaker.batch.instance_type is {batch.instance_type}: SageMaker's GPU hosts for batch have driver 535 at most, and CUDA 13 "
            "needs 580; take a type with processors, such as ml.c6i.2xlarge"
        )
    if batch.concurrent * batch.payload_mb > 100:
        raise LaunchError(
            f"sagemaker.batch.concurrent times payload_mb is {batch.concurrent * batch.payload_mb} MB; SageMaker allows 100"
        )
    return {
        "TransformJobName": name,
        "ModelName": model_name,
        "MaxConcurrentTransforms": batch.concurrent,
        "MaxPayloadInMB": batch.payload_mb,
        "BatchStrategy": "SingleRecord",
        "ModelClientConfig": {"InvocationsTimeoutInSeconds": 60, "InvocationsMaxRetries": 3},
        "TransformInput": {
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": source}},
            "ContentType": "application/x-image",
            "SplitType": "None",
            "CompressionType": "None",
        },
        "TransformOutput": {
            "S3OutputPath": s3(recipe, location, "batch", name),
            "Accept": "application/json",
            "AssembleWith": "None",
            **kms(recipe),
        },
        "TransformResources": {
            "InstanceType": batch.instance_type,
            "InstanceCount": batch.instance_count,
            **volume_kms(recipe, batch.instance_type),
        },
        "Tags": tags(recipe),
    }
