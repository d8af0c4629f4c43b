"""The recipe's section `sagemaker:`: everything that SageMaker is told beside the hyperparameters. It asks AWS nothing."""

import re
import types
import typing
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path

import yaml

from launch.errors import LaunchError

REPOSITORY = Path(__file__).resolve().parent.parent
KINDS = ("real-time", "serverless", "async", "multi-model")
RULES = ("vanishing_gradient", "exploding_tensor", "loss_not_decreasing", "overfit")


@dataclass(frozen=True)
class Training:
    """Machines of a training. max_wait_s: of spot trainings, with the waiting for machines; 0: twice max_run_s.

    checkpoints: kept in S3, so that what is interrupted goes on; always with spot. attempts: after SageMaker's own failures.
    """

    image: str = "train"
    instance_type: str = "ml.g5.xlarge"
    instance_count: int = 1
    volume_gb: int = 50
    max_run_s: int = 86400
    spot: bool = False
    max_wait_s: int = 0
    checkpoints: bool = True
    attempts: int = 1
    keep_alive_s: int = 0
    input_mode: str = "File"
    expected_s: int = 0  # for the estimate of costs; 0: max_run_s
    environment: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Endpoint:
    """What answers. name: the recipe's where empty. cuda: the image's, which decides the driver of GPU hosts.

    memory_mb, max_concurrency, provisioned_concurrency: of serverless. max_instances: above instance_count switches autoscaling on;
    target: invocations a minute and instance that it holds (async: waiting requests). capture_percent: of requests kept in S3.
    alarms: CloudWatch alarms that roll an update back, beside our own on 5xx answers. bake_s: that an update is watched.
    """

    name: str = ""
    kind: str = "real-time"
    image: str = "serve"
    instance_type: str = "ml.c6i.xlarge"
    instance_count: int = 1
    cuda: int = 13
    memory_mb: int = 3072
    max_concurrency: int = 10
    provisioned_concurrency: int = 0
    max_instances: int = 0
    min_instances: int = 1
    target: float = 600
    capture_percent: int = 0
    concurrent_invocations: int = 0  # of async, an instance
    success_topic: str = ""
    error_topic: str = ""
    alarms: tuple[str, ...] = ()
    bake_s: int = 300
    download_timeout_s: int = 600
    startup_timeout_s: int = 600
    expected_invocations: int = 100000  # a month; for the estimate of serverless costs
    environment: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Batch:
    """A transform job's machines: processors, as SageMaker's GPU hosts for batch have drivers too old for CUDA 13."""

    image: str = "serve"
    instance_type: str = "ml.c6i.2xlarge"
    instance_count: int = 1
    concurrent: int = 8
    payload_mb: int = 6
    expected_s: int = 3600
    environment: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Debugger:
    """SageMaker Debugger, for accounts that still have it: rules' names as `python -m diagnose` has them.

    rule_parameters: {Rule.parameter: value}. profile_interval_ms: 100, 200, 500, 1000, 5000 or 60000.
    """

    rules: tuple[str, ...] = RULES
    rule_parameters: dict[str, str] = field(default_factory=dict)
    collections: tuple[str, ...] = ("losses", "gradients", "weights")
    train_interval: int = 10
    eval_interval: int = 1
    profile: bool = True
    profile_interval_ms: int = 500


@dataclass(frozen=True)
class Settings:
    """All of `sagemaker:`. region: else AWS_REGION or the profile's. role: a name or an ARN. bucket: SageMaker's default one where empty.

    prefix: of everything in the bucket; slipway/<recipe> where empty. images: the file that build_and_push.sh writes. channels: a folder,
    whose files `upload` brings to S3, or an s3:// prefix. budget_usd: more than that is not started; 0: no limit.
    """

    region: str = ""
    role: str = "SlipwayRole"
    bucket: str = ""
    prefix: str = ""
    images: str = "out/images.json"
    image_uris: dict[str, str] = field(default_factory=dict)  # by name, in place of the file's
    channels: dict[str, str] = field(default_factory=lambda: {name: f"out/prepared/{name}" for name in ("train", "validation", "test")})
    tags: dict[str, str] = field(default_factory=dict)
    subnets: tuple[str, ...] = ()
    security_groups: tuple[str, ...] = ()
    kms_key: str = ""
    network_isolation: bool = False
    encrypt_traffic: bool = False
    budget_usd: float = 0
    training: Training = field(default_factory=Training)
    endpoint: Endpoint = field(default_factory=Endpoint)
    batch: Batch = field(default_factory=Batch)
    debugger: Debugger = field(default_factory=Debugger)


@dataclass(frozen=True)
class Recipe:
    """A recipe: its name, hyperparameters as texts, `sagemaker:`, and the whole document for what others read of it."""

    name: str
    hyperparameters: dict[str, str]
    settings: Settings
    path: Path
    document: dict

    @property
    def slug(self) -> str:
        """The name in what AWS takes for names: letters, digits and single hyphens, 63 at most."""
        return slug(self.name)

    @property
    def endpoint_name(self) -> str:
        return slug(self.settings.endpoint.name or self.name)


def read_recipe(path: Path) -> Recipe:
    """A recipe from its YAML. LaunchError with one sentence for what is not one."""
    try:
        document = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise LaunchError(f"the recipe '{path}' cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise LaunchError(f"the recipe '{path}' is no YAML: {' '.join(str(error).split())}") from error
    if not isinstance(document, dict) or not document.get("name"):
        raise LaunchError(f"the recipe '{path}' has no name; it begins with `name: …`")
    settings = fill(Settings, document.get("sagemaker") or {}, "sagemaker")
    if settings.endpoint.kind not in KINDS:
        raise LaunchError(f"sagemaker.endpoint.kind is '{settings.endpoint.kind}'; expected {', '.join(KINDS)}")
    if bool(settings.subnets) != bool(settings.security_groups):
        raise LaunchError("sagemaker.subnets and sagemaker.security_groups go together; one of them is missing")
    values = document.get("hyperparameters") or {}
    return Recipe(str(document["name"]), {str(name): text(value) for name, value in values.items()}, settings, Path(path), document)


def slug(name: str, limit: int = 63) -> str:
    """A name of letters, digits and single hyphens, so long at most."""
    return (re.sub(r"[^a-zA-Z0-9]+", "-", name).strip("-") or "slipway")[:limit].strip("-")


def located(path: str) -> Path:
    """A path of a recipe: as it stands where that is there, else below the checkout, whose `out` the other programs write."""
    given = Path(path)
    return given if given.is_absolute() or given.exists() else REPOSITORY / given


def searches(recipe: Recipe) -> tuple:
    """The recipe's tuning jobs, as tune.recipe.Tuning; LaunchError for what it refuses."""
    from tune.recipe import read_recipe as read_searches
    from tune.space import SearchError

    try:
        return read_searches(recipe.document).tuning
    except SearchError as error:
        raise LaunchError(f"the recipe '{recipe.path}': {error}") from error


def fill(form: type, values: object, where: str):
    """A dataclass from a mapping, by its fields' types. LaunchError for an unknown name or a value of another type."""
    if not isinstance(values, dict):
        raise LaunchError(f"{where} is {values!r}; expected names with values")
    known = {entry.name: entry for entry in fields(form)}
    for name in values:
        if name not in known:
            raise LaunchError(f"unknown setting '{name}' in {where}; known: {', '.join(known)}")
    hints = typing.get_type_hints(form)
    return form(**{name: convert(hints[name], value, f"{where}.{name}") for name, value in values.items()})


def convert(kind: type, value: object, where: str):
    """A YAML value as a field's type. LaunchError where it is none."""
    if is_dataclass(kind):
        return fill(kind, value or {}, where)
    outer = typing.get_origin(kind)
    if outer is tuple:
        return tuple(text(one) for one in (value if isinstance(value, list) else [value]))
    if outer is dict:
        if not isinstance(value, dict):
            raise LaunchError(f"{where} is {value!r}; expected names with values")
        return {str(name): text(one) for name, one in value.items()}
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind is str and isinstance(value, (int, float, types.NoneType)):
        return "" if value is None else str(value)
    if not isinstance(value, kind) or isinstance(value, bool) and kind is not bool:
        raise LaunchError(f"{where} is {value!r}; expected {'true or false' if kind is bool else 'a text' if kind is str else 'a number'}")
    return value


def text(value: object) -> str:
    """A value as SageMaker's API has it: lists by commas, booleans in small letters."""
    if isinstance(value, (list, tuple)):
        return ",".join(text(one) for one in value)
    return str(value).lower() if isinstance(value, bool) else str(value)
