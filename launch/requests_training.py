"""CreateTrainingJob as a pure function of the recipe, and what other requests share with it."""

import hashlib
import re
from dataclasses import dataclass

from launch.aws import AwsLocation
from launch.errors import LaunchError
from launch.recipe import Recipe, slug

NAME_LIMIT, TUNING_NAME_LIMIT = 63, 32
MEASURED = (
    "train_loss",
    "train_accuracy",
    "validation_loss",
    "validation_accuracy",
    "test_loss",
    "test_accuracy",
)
NUMBER = r"([0-9.]+(?:e[-+]?[0-9]+)?)"


@dataclass(frozen=True)
class Target:
    """Where requests go: region and account, and the images' URIs by name."""

    location: AwsLocation
    images: dict[str, str]

    def image(self, name: str) -> str:
        """An image's URI. LaunchError for one that was never pushed."""
        if name not in self.images:
            raise LaunchError(
                f"the image '{name}' has not been pushed; run ./build_and_push.sh {name}, or set sagemaker.image_uris"
            )
        return self.images[name]


@dataclass(frozen=True)
class Call:
    """One request: a service of boto3, an operation of its API, the parameters."""

    service: str
    operation: str
    request: dict


def dated(name: str, stamp: str, limit: int = NAME_LIMIT) -> str:
    """A name with a time that fits a limit; of a name that has to be cut, a few letters of its checksum tell it from another with the same start."""
    room = limit - len(stamp) - 1
    if len(slug(name, len(name) + 1)) <= room:
        return f"{slug(name)}-{stamp}"
    return f"{slug(name, room - 5)}-{hashlib.sha256(name.encode()).hexdigest()[:4]}-{stamp}"


def tags(recipe: Recipe) -> list[dict]:
    """The recipe's tags and its name, on everything that is made."""
    return [
        {"Key": key, "Value": value}
        for key, value in {"slipway:recipe": recipe.name, **recipe.settings.tags}.items()
    ]


def bucket(recipe: Recipe, location: AwsLocation) -> str:
    return recipe.settings.bucket or f"sagemaker-{location.region}-{location.account}"


def prefix(recipe: Recipe) -> str:
    return recipe.settings.prefix.strip("/") or f"slipway/{recipe.slug}"


def s3(recipe: Recipe, location: AwsLocation, *parts: str) -> str:
    """s3://bucket/prefix/parts."""
    return "/".join([f"s3://{bucket(recipe, location)}", prefix(recipe), *parts])


def role(recipe: Recipe, location: AwsLocation) -> str:
    given = recipe.settings.role
    return given if given.startswith("arn:") else location.arn("iam", f"role/{given}", region=False)


def vpc(recipe: Recipe) -> dict:
    settings = recipe.settings
    return (
        {
            "VpcConfig": {
                "Subnets": list(settings.subnets),
                "SecurityGroupIds": list(settings.security_groups),
            }
        }
        if settings.subnets
        else {}
    )


def kms(recipe: Recipe, name: str = "KmsKeyId") -> dict:
    return {name: recipe.settings.kms_key} if recipe.settings.kms_key else {}


def volume_kms(recipe: Recipe, instance_type: str) -> dict:
    """The key of a machine's volume; none where disks of its own, always encrypted, stand for it, as SageMaker refuses one there."""
    own_disks = re.match(
        r"ml\.(g4dn|g5|g6e?|gr6|p3dn|p4de?|p5e?n?|p6\S*|trn1n?|[cmr]\d[a-z]*d)\.", instance_type
    )
    return {} if own_disks else kms(recipe, "VolumeKmsKeyId")


def channels(recipe: Recipe, location: AwsLocation) -> list[dict]:
    """InputDataConfig: an s3:// channel as it is, a folder's as `upload` puts it."""
    return [
        {
            "ChannelName": name,
            "InputMode": recipe.settings.training.input_mode,
            "DataSource": {
                "S3DataSource": {
                    "S3DataType": "S3Prefix",
                    "S3DataDistributionType": "FullyReplicated",
                    "S3Uri": given
                    if given.startswith("s3://")
                    else f"{s3(recipe, location, 'data', name)}/",
                }
            },
        }
        for name, given in recipe.settings.channels.items()
    ]


def metrics() -> list[dict]:
    """What SageMaker reads from each epoch's line, and from the last ones."""
    return [{"Name": name, "Regex": f"{name}={NUMBER}"} for name in MEASURED]


def resources(recipe: Recipe) -> dict:
    training = recipe.settings.training
    keep = {"KeepAlivePeriodInSeconds": training.keep_alive_s} if training.keep_alive_s else {}
    return {
        "InstanceType": training.instance_type,
        "InstanceCount": training.instance_count,
        "VolumeSizeInGB": training.volume_gb,
        **volume_kms(recipe, training.instance_type),
        **keep,
    }


def stopping(recipe: Recipe) -> dict:
    training = recipe.settings.training
    wait = training.max_wait_s or 2 * training.max_run_s
    if training.spot and wait < training.max_run_s:
        raise LaunchError(
            f"sagemaker.training.max_wait_s is {wait}; it counts the running too, so at least max_run_s, {training.max_run_s}"
        )
    return {
        "MaxRuntimeInSeconds": training.max_run_s,
        **({"MaxWaitTimeInSeconds": wait} if training.spot else {}),
    }


def common(recipe: Recipe, target: Target, checkpoints: str) -> dict:
    """What a training job and the definition of a tuning job's trainings have in common. checkpoints: name of their folder in S3."""
    settings, training = recipe.settings, recipe.settings.training
    if training.keep_alive_s and training.spot:
        raise LaunchError(
            "sagemaker.training.keep_alive_s does not go with spot: SageMaker keeps no spot machines warm"
        )
    kept = (
        {"CheckpointConfig": {"S3Uri": s3(recipe, target.location, "checkpoints", checkpoints)}}
        if training.checkpoints or training.spot
        else {}
    )
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
        "RetryStrategy": {"MaximumRetryAttempts": training.attempts},
        **({"Environment": training.environment} if training.environment else {}),
        **kept,
        **vpc(recipe),
    }


def training_job(recipe: Recipe, target: Target, name: str, checkpoints: str = "") -> dict:
    """CreateTrainingJob. checkpoints: name of an earlier job, from whose checkpoints this one goes on."""
    return {
        "TrainingJobName": name,
        "HyperParameters": recipe.hyperparameters,
        **common(recipe, target, checkpoints or name),
        "ProfilerConfig": {"DisableProfiler": True},
        "Tags": tags(recipe),
    }


def model_data(recipe: Recipe, location: AwsLocation, job: str) -> str:
    """Where SageMaker puts a training job's model."""
    return s3(recipe, location, "output", job, "output", "model.tar.gz")


def is_gpu(instance_type: str) -> bool:
    """Whether an instance type has NVIDIA GPUs."""
    return bool(re.match(r"ml\.[pg]\d", instance_type))
