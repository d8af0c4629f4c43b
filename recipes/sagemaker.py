"""A recipe's section `sagemaker`: each setting once, with its default and what it sets."""

import re
from dataclasses import dataclass, field
from typing import Any

from recipes.aws_names import check_places, check_tags
from recipes.errors import RecipeError
from recipes.suggestion import hint

TRAFFIC = ("", "canary", "linear")  # of an update
KINDS = ("real-time", "serverless", "async", "multi-model")  # of an endpoint
# As prepare leaves them in its default folder
CHANNELS = {name: f"out/prepared/{name}" for name in ("train", "validation", "test")}


def _option(default: object, sets: str, choices: tuple[str, ...] = ()) -> Any:
    # Any, as dataclasses.field has it: the field gets its own type in the class.
    metadata = {"sets": sets, "choices": choices}
    if isinstance(default, dict):
        return field(default_factory=default.copy, metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class Training:
    """Machines of a training."""

    image: str = _option("train", "name of the image in images.json")
    instance_type: str = _option("ml.g5.xlarge", "type of the machines")
    instance_count: int = _option(1, "number of machines")
    volume_gb: int = _option(50, "disk of each machine, in GB")
    # The default is SageMaker's own, a day: StoppingCondition.MaxRuntimeInSeconds.
    max_run_s: int = _option(
        86400,
        "seconds after which SageMaker stops the training; the estimate of its cost uses them",
    )
    spot: bool = _option(False, "take spot machines, and keep checkpoints")
    max_wait_s: int = _option(
        0, "spot only: seconds of waiting and running together; 0: twice max_run_s"
    )
    checkpoints: bool = _option(
        True,
        "keep checkpoints in S3, so that an interrupted training goes on; spot always keeps them",
    )
    # RetryStrategy.MaximumRetryAttempts, 1 to 30
    attempts: int = _option(1, "new tries after a failure of SageMaker itself")
    # A warm pool's ResourceConfig.KeepAlivePeriodInSeconds: an hour at most, and it is paid for.
    keep_alive_s: int = _option(
        0, "seconds for which the machines stay warm for the next training; not with spot"
    )
    input_mode: str = _option(
        "File",
        "`File` copies the photos to the machine first, "
        "`FastFile` reads them from S3 as they are needed",
    )
    expected_s: int = _option(0, "seconds that it is likely to take, for `cost`")
    environment: dict[str, str] = _option({}, "environment variables")


@dataclass(frozen=True)
class Endpoint:
    """The endpoint: how it is hosted, scaled and updated."""

    name: str = _option("", "name of the endpoint; the recipe's name where empty")
    kind: str = _option(
        "real-time",
        "how it is hosted: `real-time`, `serverless`, `async`, `multi-model`",
        choices=KINDS,
    )
    image: str = _option("serve", "`serve`, `serve-gpu`, `serve-mms` or `serve-mms-torch`")
    instance_type: str = _option("ml.c6i.xlarge", "type of the machines; serverless has none")
    instance_count: int = _option(1, "number of machines")
    cuda: int = _option(
        12,
        "CUDA version of the image, which decides the driver of GPU machines (InferenceAmiVersion)",
    )
    # ServerlessConfig.MemorySizeInMB; processors come in proportion.
    memory_mb: int = _option(3072, "serverless only: memory, 1024 to 6144 MB in steps of 1024")
    max_concurrency: int = _option(10, "serverless only: requests at the same time")
    provisioned_concurrency: int = _option(0, "serverless only: instances that are kept warm")
    max_instances: int = _option(0, "most machines that scaling starts; 0: no scaling")
    min_instances: int = _option(
        1, "least machines that scaling leaves; an async endpoint may have 0"
    )
    # Target tracking of SageMakerVariantInvocationsPerInstance; async: ApproximateBacklogSize
    target: float = _option(
        0,
        "scaling keeps to this number of requests per minute and machine, 0: 600; "
        "async: of waiting requests per machine, 0: 5",
    )
    capture_percent: int = _option(0, "percentage of requests and answers that are kept in S3")
    concurrent_invocations: int = _option(
        0, "async only: requests at the same time on a machine; 0: SageMaker decides"
    )
    success_topic: str = _option("", "async only: SNS topic that gets a message per answer")
    error_topic: str = _option("", "async only: SNS topic that gets a message per failure")
    alarms: tuple[str, ...] = _option(
        (), "further CloudWatch alarms that roll an update back; one on 5xx answers is always made"
    )
    traffic: str = _option(
        "",
        "how an update moves requests to new machines, of which there must be two or more. "
        "`canary`: a part first, then the rest; `linear`: part by part. A part is a quarter, or "
        "half of fewer than four machines. Empty: machines are replaced in batches, and a single "
        "one at once",
        choices=TRAFFIC,
    )
    bake_s: int = _option(300, "seconds for which each step of an update is watched")
    # ModelDataDownloadTimeoutInSeconds and ContainerStartupHealthCheckTimeoutInSeconds, 60 to 3600
    download_timeout_s: int = _option(600, "seconds for the download of the model")
    startup_timeout_s: int = _option(600, "seconds until /ping must answer 200")
    expected_invocations: int = _option(100000, "serverless only: requests per month, for `cost`")
    hooks: bool = _option(
        False,
        "whether the functions of code/hooks.py, which lies beside the recipe, run in the server",
    )
    environment: dict[str, str] = _option({}, "environment variables, such as SLIPWAY_PRECISION")


@dataclass(frozen=True)
class Api:
    """The page and API in front of the endpoint."""

    name: str = _option("", "name of the CloudFormation stack; `slipway-<endpoint>` where empty")
    access: str = _option(
        "key",
        "who may ask. `key`: callers that send the key as X-Api-Key; it is SLIPWAY_API_KEY at "
        "deployment, or else one that `launch api` makes and keeps. `jwt`: callers with a token. "
        "`open`: everyone",
    )
    jwt_issuer: str = _option("", "jwt only: address of the issuer, https://…")
    jwt_audience: tuple[str, ...] = _option(
        (), "jwt only: audiences; a token must be for one of them"
    )
    origins: tuple[str, ...] = _option(
        (), "web origins, such as https://example.org, whose pages may call the API (CORS)"
    )
    requests_per_second: int = _option(
        10, "requests per second, on average; callers get 429 above it"
    )
    request_burst: int = _option(20, "requests at the same moment; callers get 429 above it")
    samples: str = _option(
        "",
        "photos to try, which all who may ask can see: an s3:// prefix with a folder per label, or "
        "`validation` for the uploaded channel; none where empty or `none`",
    )
    code_bucket: str = _option("", "bucket of the function's code; the recipe's bucket where empty")
    target_model: str = _option(
        "", "multi-model endpoints only: the model that answers; the newest where empty"
    )
    sure_from: float = _option(0.5, "lowest probability that the page calls sure")
    log_days: int = _option(30, "days for which the function's log and the access log are kept")


@dataclass(frozen=True)
class Batch:
    """A transform job's machines."""

    image: str = _option("serve", "`serve`, `serve-gpu`, `serve-mms` or `serve-mms-torch`")
    instance_type: str = _option("ml.c6i.2xlarge", "type of the machines")
    cuda: int = _option(
        12, "CUDA version of the image; GPU machines for batch have no driver for CUDA 13"
    )
    instance_count: int = _option(1, "number of machines")
    concurrent: int = _option(8, "photos at the same time on a machine")
    # SageMaker's rule: MaxPayloadInMB times MaxConcurrentTransforms is at most 100.
    payload_mb: int = _option(6, "largest photo, in MB; payload_mb times concurrent is at most 100")
    expected_s: int = _option(3600, "seconds that it is likely to take, for `cost`")
    environment: dict[str, str] = _option({}, "environment variables")


@dataclass(frozen=True)
class Processing:
    """Machines of `launch prepare`."""

    image: str = _option("train", "name of the image in images.json; it holds prepare")
    instance_type: str = _option("ml.m5.xlarge", "type of the machines")
    instance_count: int = _option(1, "number of machines that decode; one of them splits")
    volume_gb: int = _option(50, "disk of each machine, in GB")
    max_run_s: int = _option(21600, "seconds after which SageMaker stops each of the two jobs")


@dataclass(frozen=True)
class Debugger:
    """What `launch debug` watches, with SageMaker Debugger or without."""

    rules: tuple[str, ...] = _option(
        ("vanishing_gradient", "exploding_tensor", "loss_not_decreasing", "overfit"),
        "Debugger's rules, in any spelling",
    )
    rule_parameters: dict[str, str] = _option(
        {}, "parameters of rules, such as `Overfit.ratio_threshold: 0.2`"
    )
    collections: tuple[str, ...] = _option(
        ("losses", "gradients", "weights"), "the tensors that are saved"
    )
    train_interval: int = _option(10, "every n-th training step is saved")
    eval_interval: int = _option(1, "every n-th validation step is saved")
    profile: bool = _option(True, "measure the machine, too")
    profile_interval_ms: int = _option(
        500, "milliseconds between two measurements: 100, 200, 500, 1000, 5000 or 60000"
    )


@dataclass(frozen=True)
class SageMakerSettings:
    """All of `sagemaker:`."""

    region: str = _option(
        "", "region, of any partition; where empty AWS_REGION, AWS_DEFAULT_REGION or the profile's"
    )
    role: str = _option("SlipwayRole", "name or ARN of the role that SageMaker assumes")
    bucket: str = _option(
        "", "bucket; SageMaker's default one where empty, `sagemaker-<region>-<account>`"
    )
    bucket_accounts: dict[str, str] = _option(
        {},
        "accounts of buckets that are not the role's, by bucket; the buckets of any other are "
        "refused",
    )
    prefix: str = _option("", "prefix of all objects in the bucket; `slipway/<recipe>` where empty")
    images: str = _option("out/images.json", "file of digest URIs, which build_and_push.sh writes")
    image_uris: dict[str, str] = _option(
        {}, "URIs of images by name, in place of those of the file"
    )
    channels: dict[str, str] = _option(
        CHANNELS, "each channel's photos: a folder, which `upload` brings to S3, or an s3:// prefix"
    )
    tags: dict[str, str] = _option({}, "tags of all that is made, beside `slipway:recipe`")
    subnets: tuple[str, ...] = _option((), "subnets of a VPC, for trainings and models")
    security_groups: tuple[str, ...] = _option((), "security groups of that VPC")
    kms_key: str = _option("", "KMS key for volumes and all objects in S3")
    network_isolation: bool = _option(False, "`true`: containers reach no network")
    encrypt_traffic: bool = _option(
        False, "`true`: encrypt the traffic between the machines of a training"
    )
    budget_usd: float = _option(0, "a job that could cost more is not started; 0: no limit")
    preparation: Processing = field(default_factory=Processing)
    training: Training = field(default_factory=Training)
    endpoint: Endpoint = field(default_factory=Endpoint)
    api: Api = field(default_factory=Api)
    batch: Batch = field(default_factory=Batch)
    debugger: Debugger = field(default_factory=Debugger)


def check_settings(settings: SageMakerSettings) -> None:
    """RecipeError for an unknown kind of endpoint, and for settings that contradict each other."""
    kind = settings.endpoint.kind
    if kind not in KINDS:
        raise RecipeError(
            f"sagemaker.endpoint.kind must be one of {', '.join(KINDS)}; "
            f"found '{kind}'{hint(kind, KINDS)}"
        )
    _check_scaling(settings.endpoint)
    check_tags(settings.tags)
    check_places(settings.bucket, settings.prefix, settings.channels)
    for bucket, account in settings.bucket_accounts.items():
        if not re.fullmatch(r"\d{12}", account):
            raise RecipeError(
                f"sagemaker.bucket_accounts: the account of '{bucket}' must have 12 digits, "
                f"in quotes; found '{account}'"
            )
    # A VpcConfig needs both.
    if bool(settings.subnets) != bool(settings.security_groups):
        raise RecipeError(
            "sagemaker.subnets and sagemaker.security_groups go together; one of them is missing"
        )


def _check_scaling(endpoint: Endpoint) -> None:
    """RecipeError for numbers of instances that would be ignored, or that SageMaker refuses."""
    where = "sagemaker.endpoint"
    fewest = endpoint.min_instances
    most = endpoint.max_instances
    if endpoint.kind == "serverless":
        return  # it has no instances
    if fewest < 1 and endpoint.kind != "async":
        raise RecipeError(
            f"{where}.min_instances is {fewest}; only an endpoint of kind async scales in to 0"
        )
    if fewest != 1 and not most:
        raise RecipeError(
            f"{where}.min_instances is {fewest}, and without max_instances nothing scales; set it"
        )
    if most and not max(fewest, 0) <= endpoint.instance_count <= most:
        raise RecipeError(
            f"{where}: instance_count is {endpoint.instance_count}; it must lie between "
            f"min_instances, {fewest}, and max_instances, {most}"
        )
