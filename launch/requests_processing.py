"""CreateProcessingJob as a pure function of the recipe: prepare's two steps.

Source of the paths: developer guide, "Build Your Own Processing Container".
"""

from dataclasses import dataclass

from launch.aws import Request
from launch.recipe import Recipe
from launch.requests_training import Target, kms, present, role, s3, tags, volume_kms, vpc

ROOT = "/opt/ml/processing"
RESOURCES = "/opt/ml/config/resourceconfig.json"  # names the hosts, and which of them this one is
PROGRAM = ("/opt/venv/bin/python", "-m", "prepare")
CHANNELS = ("train", "validation", "test")
FOR_SHARDS = ("groups", "on_bad", "workers")
FOR_JOIN = ("split", "seed", "groups", "on_bad")


@dataclass(frozen=True)
class Photos:
    """Where the photos are: an s3:// folder. labels: their list's path below it; "" without one.

    is_plain: a folder per class and nothing else, so that any part of it can be read by itself.
    """

    uri: str
    labels: str = ""
    is_plain: bool = False


def shard_job(recipe: Recipe, target: Target, name: str, photos: Photos) -> Request:
    """The first step: each machine decodes its part of the photos.

    Of plain ones each machine gets its part alone, else all.
    """
    words = [f"{ROOT}/photos", f"{ROOT}/shard", "--step=shard", *_words(recipe, FOR_SHARDS)]
    distribution = "ShardedByS3Key"
    if photos.labels:
        words.append(f"--labels={ROOT}/photos/{photos.labels}")
    if not photos.is_plain:
        distribution = "FullyReplicated"
        words += ["--part", RESOURCES]
    source = _input("photos", photos.uri, distribution)
    output = _output("shard", f"{shards_uri(recipe, target, name)}")
    count = recipe.sagemaker.preparation.instance_count
    return _job(recipe, target, name, words, [source], [output], count)


def join_job(recipe: Recipe, target: Target, name: str, shards: str) -> Request:
    """The second step: one machine groups near copies, splits, and writes lists and the report.

    shards: name of the first step's job.
    """
    words = [f"{ROOT}/shards", f"{ROOT}/prepared", "--step=join", *_words(recipe, FOR_JOIN)]
    prepared = prepared_uri(recipe, target, name)
    words.append(f"--s3-uri={prepared.rstrip('/')}")
    source = _input("shards", shards_uri(recipe, target, shards), "FullyReplicated")
    output = _output("prepared", prepared)
    return _job(recipe, target, name, words, [source], [output], 1)


def shards_uri(recipe: Recipe, target: Target, name: str) -> str:
    """Where a job's shards go."""
    return f"{s3(recipe, target.location, 'shards', name)}/"


def prepared_uri(recipe: Recipe, target: Target, name: str) -> str:
    """Where a job's prepared photos go: a folder per channel, the lists and the report."""
    return f"{s3(recipe, target.location, 'prepared', name)}/"


def _words(recipe: Recipe, names: tuple[str, ...]) -> list[str]:
    """The recipe's options of these names, as the command line has them."""
    words = []
    for word in recipe.prepare.options():
        option = word.partition("=")[0].removeprefix("--").replace("-", "_")
        if option in names:
            words.append(word)
    return words


def _input(name: str, uri: str, distribution: str) -> Request:
    source = {
        "S3Uri": uri,
        "LocalPath": f"{ROOT}/{name}",
        "S3DataType": "S3Prefix",
        "S3InputMode": "File",
        "S3DataDistributionType": distribution,
    }
    return {"InputName": name, "S3Input": source}


def _output(name: str, uri: str) -> Request:
    target = {"S3Uri": uri, "LocalPath": f"{ROOT}/{name}", "S3UploadMode": "EndOfJob"}
    return {"OutputName": name, "S3Output": target}


def _job(
    recipe: Recipe,
    target: Target,
    name: str,
    words: list[str],
    inputs: list[Request],
    outputs: list[Request],
    count: int,
) -> Request:
    settings = recipe.sagemaker
    machines = settings.preparation
    network = {
        **present(
            EnableNetworkIsolation=settings.network_isolation,
            EnableInterContainerTrafficEncryption=settings.encrypt_traffic,
        ),
        **vpc(recipe),
    }
    cluster = {
        "InstanceCount": count,
        "InstanceType": machines.instance_type,
        "VolumeSizeInGB": machines.volume_gb,
        **volume_kms(recipe, machines.instance_type),
    }
    return {
        "ProcessingJobName": name,
        "RoleArn": role(recipe, target.location),
        "AppSpecification": {
            "ImageUri": target.image(machines.image),
            "ContainerEntrypoint": list(PROGRAM),
            "ContainerArguments": words,
        },
        "ProcessingInputs": inputs,
        "ProcessingOutputConfig": {"Outputs": outputs, **kms(recipe)},
        "ProcessingResources": {"ClusterConfig": cluster},
        "StoppingCondition": {"MaxRuntimeInSeconds": machines.max_run_s},
        "Tags": tags(recipe),
        **present(NetworkConfig=network),
    }
