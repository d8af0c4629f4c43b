"""CreateTrainingJob as a pure function of the recipe, and the parts that other requests share."""

import hashlib
import re
from dataclasses import dataclass

from launch.aws import NO_ACCOUNT, AwsLocation, Request
from launch.errors import LaunchError
from launch.image_facts import push_command
from launch.recipe import Recipe, slug

# The tag that everything has which a recipe made: its value is the recipe's name.
RECIPE_TAG = "slipway:recipe"
# SageMaker's limits, in characters.
NAME_LIMIT = 63
TUNING_NAME_LIMIT = 32
MEASURED = (
    "train_loss",
    "train_accuracy",
    "validation_loss",
    "validation_accuracy",
    "test_loss",
    "test_accuracy",
)
# A decimal number, with an exponent or without.
NUMBER = r"([0-9.]+(?:e[-+]?[0-9]+)?)"
# Types with local NVMe disks. These are always encrypted, and SageMaker refuses a key for them.
LOCAL_DISKS = re.compile(r"ml\.(g4dn|g5|g6e?|gr6|p3dn|p4de?|p5e?n?|p6\S*|trn1n?|[cmr]\d[a-z]*d)\.")


@dataclass(frozen=True)
class Target:
    """Where requests go: region and account, and the images' URIs by name."""

    location: AwsLocation
    images: dict[str, str]

    def image(self, name: str) -> str:
        """An image's URI. LaunchError for one that was never pushed."""
        if name not in self.images:
            raise LaunchError(
                f"the image '{name}' has not been pushed; run {push_command(name)}, "
                "or set sagemaker.image_uris"
            )
        return self.images[name]


@dataclass(frozen=True)
class Call:
    """One request: a service of boto3, an operation of its API, the parameters."""

    service: str
    operation: str
    request: Request


def present(**fields: object) -> Request:
    """The fields that have a value: AWS refuses many fields that are empty."""
    return {name: value for name, value in fields.items() if value}


def dated(name: str, stamp: str, limit: int = NAME_LIMIT) -> str:
    """A name with a time, at most `limit` characters long.

    A name that must be cut gets four digits of its checksum: other names may start alike.
    """
    room = limit - len(stamp) - 1
    if len(slug(name, len(name) + 1)) <= room:
        return f"{slug(name)}-{stamp}"
    checksum = hashlib.sha256(name.encode()).hexdigest()[:4]
    return f"{slug(name, room - 5)}-{checksum}-{stamp}"


def tags(recipe: Recipe) -> list[dict[str, str]]:
    """The recipe's tags and its name, for everything that is made."""
    named = {RECIPE_TAG: recipe.name, **recipe.sagemaker.tags}
    return [{"Key": key, "Value": value} for key, value in named.items()]


def bucket(recipe: Recipe, location: AwsLocation) -> str:
    """The recipe's bucket, else the one that SageMaker's SDK makes for an account."""
    return recipe.sagemaker.bucket or f"sagemaker-{location.region}-{location.account}"


def prefix(recipe: Recipe) -> str:
    return recipe.sagemaker.prefix.strip("/") or f"slipway/{recipe.slug}"


def s3(recipe: Recipe, location: AwsLocation, *parts: str) -> str:
    """s3://bucket/prefix/parts."""
    return "/".join([f"s3://{bucket(recipe, location)}", prefix(recipe), *parts])


def split_s3(uri: str) -> tuple[str, str]:
    """Bucket and key (or prefix) of an s3:// URI."""
    bucket_name, _, key = uri.removeprefix("s3://").partition("/")
    return bucket_name, key


def folder_uri(uri: str) -> str:
    """An s3:// prefix that stands for a folder: `…/train` would also match `…/train_old/`."""
    return f"{uri.rstrip('/')}/"


def owner(recipe: Recipe, location: AwsLocation, bucket_name: str) -> str:
    """The account that a bucket must belong to: anyone may have made one of a known name."""
    return recipe.sagemaker.bucket_accounts.get(bucket_name, location.account)


def with_owners(recipe: Recipe, location: AwsLocation, request: Request) -> Request:
    """A request of S3 with the accounts that its buckets must belong to."""
    owned = dict(request)
    if location.account == NO_ACCOUNT:
        return owned
    if "Bucket" in request:
        owned["ExpectedBucketOwner"] = owner(recipe, location, request["Bucket"])
    source = request.get("CopySource")
    if isinstance(source, dict):
        owned["ExpectedSourceBucketOwner"] = owner(recipe, location, source["Bucket"])
    return owned


def role(recipe: Recipe, location: AwsLocation) -> str:
    """ARN of the role that SageMaker takes: as given, else of that name in this account."""
    given = recipe.sagemaker.role
    if given.startswith("arn:"):
        return given
    return location.global_arn("iam", f"role/{given}")


def vpc(recipe: Recipe) -> Request:
    settings = recipe.sagemaker
    if not settings.subnets:
        return {}
    return {
        "VpcConfig": {
            "Subnets": list(settings.subnets),
            "SecurityGroupIds": list(settings.security_groups),
        }
    }


def kms(recipe: Recipe, name: str = "KmsKeyId") -> Request:
    """The recipe's key under a field's name; nothing where no key is set."""
    return present(**{name: recipe.sagemaker.kms_key})


def s3_encryption(kms_key: str) -> Request:
    """Fields of PutObject and CopyObject for a key; nothing for none: S3 then takes its own."""
    if not kms_key:
        return {}
    return {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": kms_key}


def volume_kms(recipe: Recipe, instance_type: str) -> Request:
    """The key of an instance's EBS volume; nothing for types that use local disks instead."""
    if LOCAL_DISKS.match(instance_type):
        return {}
    return kms(recipe, "VolumeKmsKeyId")


def channels(recipe: Recipe, location: AwsLocation) -> list[Request]:
    """InputDataConfig: of s3:// channels that folder, of a folder here where `upload` puts it."""
    found = []
    for name, given in recipe.sagemaker.channels.items():
        uri = folder_uri(given)
        if not given.startswith("s3://"):
            uri = f"{s3(recipe, location, 'data', name)}/"
        source = {
            "S3DataType": "S3Prefix",
            "S3DataDistributionType": "FullyReplicated",
            "S3Uri": uri,
        }
        found.append(
            {
                "ChannelName": name,
                "InputMode": recipe.sagemaker.training.input_mode,
                "DataSource": {"S3DataSource": source},
            }
        )
    return found


def metrics() -> list[dict[str, str]]:
    """MetricDefinitions: SageMaker reads them from the line of each epoch, and the last lines."""
    return [{"Name": name, "Regex": f"{name}={NUMBER}"} for name in MEASURED]


def resources(recipe: Recipe) -> Request:
    training = recipe.sagemaker.training
    return {
        "InstanceType": training.instance_type,
        "InstanceCount": training.instance_count,
        "VolumeSizeInGB": training.volume_gb,
        **volume_kms(recipe, training.instance_type),
        **present(KeepAlivePeriodInSeconds=training.keep_alive_s),
    }


def stopping(recipe: Recipe) -> Request:
    """StoppingCondition. LaunchError where a spot job could not run for max_run_s."""
    training = recipe.sagemaker.training
    if not training.spot:
        return {"MaxRuntimeInSeconds": training.max_run_s}
    # max_wait_s includes the time of waiting for a spot machine.
    wait_s = training.max_wait_s or 2 * training.max_run_s
    if wait_s < training.max_run_s:
        raise LaunchError(
            f"sagemaker.training.max_wait_s is {wait_s}; it includes the running time, "
            f"so it must be at least max_run_s, {training.max_run_s}"
        )
    return {"MaxRuntimeInSeconds": training.max_run_s, "MaxWaitTimeInSeconds": wait_s}


def common(recipe: Recipe, target: Target, checkpoints: str) -> Request:
    """Fields of CreateTrainingJob that the trainings of a tuning job have, too.

    checkpoints: name of their folder in S3.
    """
    settings = recipe.sagemaker
    training = settings.training
    if training.keep_alive_s and training.spot:
        raise LaunchError(
            "sagemaker.training.keep_alive_s does not go with spot: "
            "SageMaker keeps no spot machines warm"
        )
    kept = {}
    # A spot machine can be taken away at any time; the next one continues from here.
    if training.checkpoints or training.spot:
        kept = {
            "CheckpointConfig": {"S3Uri": s3(recipe, target.location, "checkpoints", checkpoints)}
        }
    return {
        "AlgorithmSpecification": {
            "TrainingImage": target.image(training.image),
            "TrainingInputMode": training.input_mode,
            "MetricDefinitions": metrics(),
        },
        "RoleArn": role(recipe, target.location),
        "InputDataConfig": channels(recipe, target.location),
        "OutputDataConfig": {"S3OutputPath": s3(recipe, target.location, "output"), **kms(recipe)},
        "ResourceConfig": resources(recipe),
        "StoppingCondition": stopping(recipe),
        "EnableNetworkIsolation": settings.network_isolation,
        "EnableInterContainerTrafficEncryption": settings.encrypt_traffic,
        "EnableManagedSpotTraining": training.spot,
        # Attempts after a fault of SageMaker's own, such as a broken machine.
        "RetryStrategy": {"MaximumRetryAttempts": training.attempts},
        **present(Environment=training.environment),
        **kept,
        **vpc(recipe),
    }


def training_job(recipe: Recipe, target: Target, name: str, checkpoints: str = "") -> Request:
    """CreateTrainingJob. checkpoints: an earlier job's name, to continue from its checkpoints."""
    return {
        "TrainingJobName": name,
        "HyperParameters": recipe.hyperparameters,
        **common(recipe, target, checkpoints or name),
        # SageMaker's own profiler would run by default; ours runs inside the training.
        "ProfilerConfig": {"DisableProfiler": True},
        "Tags": tags(recipe),
    }


def model_data(recipe: Recipe, location: AwsLocation, job: str) -> str:
    """Where SageMaker puts a training job's model."""
    return s3(recipe, location, "output", job, "output", "model.tar.gz")
