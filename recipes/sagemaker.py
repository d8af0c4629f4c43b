"""A recipe's section `sagemaker`: each setting once, with its default and what it sets."""

from dataclasses import dataclass, field
from typing import Any

from recipes.errors import RecipeError
from recipes.suggestion import hint

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

    image: str = _option("train", "the image, by its name in images.json")
    instance_type: str = _option("ml.g5.xlarge", "the machine")
    instance_count: int = _option(1, "how many machines")
    volume_gb: int = _option(50, "disk of each")
    # The default is SageMaker's own, a day: StoppingCondition.MaxRuntimeInSeconds.
    max_run_s: int = _option(
        86400, "seconds after which SageMaker stops it; the estimate's upper bound"
    )
    spot: bool = _option(False, "spot machines, with checkpoints")
    max_wait_s: int = _option(
        0, "of spot: seconds of waiting and running together; 0: twice max_run_s"
    )
    checkpoints: bool = _option(
        True, "keep checkpoints in S3, so that what is interrupted goes on; always with spot"
    )
    # RetryStrategy.MaximumRetryAttempts, 1 to 30
    attempts: int = _option(1, "tries again after SageMaker's own failures")
    # A warm pool's ResourceConfig.KeepAlivePeriodInSeconds: an hour at most, and it is paid for.
    keep_alive_s: int = _option(
        0, "seconds that machines stay warm for the next training; not with spot"
    )
    input_mode: str = _option(
        "File",
        "`File` copies the photos to the machine first, "
        "`FastFile` reads them from S3 as they are needed",
    )
    expected_s: int = _option(0, "seconds it is likely to take, for `cost`")
    environment: dict[str, str] = _option({}, "environment variables")


@dataclass(frozen=True)
class Endpoint:
    """The endpoint: how it is hosted, scaled and updated."""

    name: str = _option("", "the recipe's name where empty")
    kind: str = _option(
        "real-time", "`real-time`, `serverless`, `async`, `multi-model`", choices=KINDS
    )
    image: str = _option("serve", "`serve`, `serve-gpu`, `serve-mms`")
    instance_type: str = _option("ml.c6i.xlarge", "the machine; not of serverless")
    instance_count: int = _option(1, "how many machines")
    cuda: int = _option(
        13, "CUDA of the image, which decides the driver of GPU machines (InferenceAmiVersion)"
    )
    # ServerlessConfig.MemorySizeInMB; processors come in proportion.
    memory_mb: int = _option(3072, "of serverless: 1024 to 6144 in steps of 1024")
    max_concurrency: int = _option(10, "of serverless: requests at once")
    provisioned_concurrency: int = _option(0, "of serverless: kept warm")
    max_instances: int = _option(0, "it scales out to this number; 0: no scaling")
    min_instances: int = _option(1, "it scales in to this number; an async endpoint to 0")
    # Target tracking of SageMakerVariantInvocationsPerInstance; async: ApproximateBacklogSize
    target: float = _option(
        600,
        "requests per minute and machine that scaling holds; "
        "of async, waiting requests per machine",
    )
    capture_percent: int = _option(0, "share of requests and answers kept in S3")
    concurrent_invocations: int = _option(
        0, "of async: at once on a machine; 0: SageMaker's choice"
    )
    success_topic: str = _option("", "of async: SNS topic that gets a message per answer")
    error_topic: str = _option("", "of async: SNS topic that gets a message per failure")
    alarms: tuple[str, ...] = _option(
        (), "CloudWatch alarms that roll an update back, beside our own on 5xx answers"
    )
    bake_s: int = _option(300, "seconds that each step of an update is watched")
    # ModelDataDownloadTimeoutInSeconds and ContainerStartupHealthCheckTimeoutInSeconds, 60 to 3600
    download_timeout_s: int = _option(600, "for the model's download")
    startup_timeout_s: int = _option(600, "for /ping")
    expected_invocations: int = _option(100000, "of serverless: a month, for `cost`")
    environment: dict[str, str] = _option({}, "environment variables, such as SLIPWAY_PRECISION")


@dataclass(frozen=True)
class Api:
    """The page and API in front of the endpoint."""

    name: str = _option("", "of the CloudFormation stack; `slipway-<endpoint>` where empty")
    access: str = _option(
        "key",
        "`key`: callers send, as X-Api-Key, what SLIPWAY_API_KEY held at deployment, else a key "
        "that `launch api` makes and keeps; `jwt`: a token; `open`: everyone may ask",
    )
    jwt_issuer: str = _option("", "of jwt: the issuer's https:// address")
    jwt_audience: tuple[str, ...] = _option(
        (), "of jwt: audiences, one of which a token must be for"
    )
    origins: tuple[str, ...] = _option(
        (), "web origins, such as https://example.org, whose pages may call the API (CORS)"
    )
    requests_per_second: int = _option(10, "above which callers get 429, on average")
    request_burst: int = _option(20, "above which callers get 429, at once")
    samples: str = _option(
        "",
        "photos to try, shown to all who may ask: an s3:// prefix, one folder per label, or "
        "`validation` for the uploaded channel; none where empty or `none`",
    )
    code_bucket: str = _option("", "of the function's code; the recipe's bucket where empty")
    target_model: str = _option(
        "", "of a multi-model endpoint: which model answers; `<recipe>.tar.gz` where empty"
    )
    sure_from: float = _option(0.5, "least probability that the page calls sure")
    log_days: int = _option(30, "for which the function's log and the access log are kept")


@dataclass(frozen=True)
class Batch:
    """A transform job's machines.

    They have no GPU: the drivers of SageMaker's GPU hosts for batch are too old for CUDA 13.
    """

    image: str = _option("serve", "`serve`, `serve-mms`")
    instance_type: str = _option("ml.c6i.2xlarge", "the machine, without a GPU")
    instance_count: int = _option(1, "how many machines")
    concurrent: int = _option(8, "photos at once on a machine")
    # SageMaker's rule: MaxPayloadInMB times MaxConcurrentTransforms is at most 100.
    payload_mb: int = _option(6, "largest photo; times concurrent at most 100")
    expected_s: int = _option(3600, "seconds it is likely to take, for `cost`")
    environment: dict[str, str] = _option({}, "environment variables")


@dataclass(frozen=True)
class Debugger:
    """What `launch debug` watches, with SageMaker Debugger or without."""

    rules: tuple[str, ...] = _option(
        ("vanishing_gradient", "exploding_tensor", "loss_not_decreasing", "overfit"),
        "Debugger's rules, in any spelling",
    )
    rule_parameters: dict[str, str] = _option({}, "`Overfit.ratio_threshold: 0.2`")
    collections: tuple[str, ...] = _option(("losses", "gradients", "weights"), "what is saved")
    train_interval: int = _option(10, "training steps from one that is saved to the next")
    eval_interval: int = _option(1, "the same of validation's steps")
    profile: bool = _option(True, "also measure the machine")
    profile_interval_ms: int = _option(500, "100, 200, 500, 1000, 5000 or 60000")


@dataclass(frozen=True)
class SageMakerSettings:
    """All of `sagemaker:`."""

    region: str = _option("", "else AWS_REGION, AWS_DEFAULT_REGION, the profile's; any partition's")
    role: str = _option("SlipwayRole", "name or ARN of the role that SageMaker takes")
    bucket: str = _option(
        "", "SageMaker's default one, `sagemaker-<region>-<account>`, where empty"
    )
    prefix: str = _option("", "of everything in the bucket; `slipway/<recipe>` where empty")
    images: str = _option(
        "out/images.json", "the file of digest URIs that build_and_push.sh writes"
    )
    image_uris: dict[str, str] = _option({}, "URIs by name, in place of the file's")
    channels: dict[str, str] = _option(
        CHANNELS, "a folder, which `upload` brings to S3, or an s3:// prefix"
    )
    tags: dict[str, str] = _option({}, "on everything that is made, beside `slipway:recipe`")
    subnets: tuple[str, ...] = _option((), "of a VPC, for trainings and models")
    security_groups: tuple[str, ...] = _option((), "of that VPC")
    kms_key: str = _option("", "for volumes and everything in S3")
    network_isolation: bool = _option(False, "containers reach no network")
    encrypt_traffic: bool = _option(False, "between the machines of one training")
    budget_usd: float = _option(0, "what could cost more is not started; 0: no limit")
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
    # A VpcConfig needs both.
    if bool(settings.subnets) != bool(settings.security_groups):
        raise RecipeError(
            "sagemaker.subnets and sagemaker.security_groups go together; one of them is missing"
        )
