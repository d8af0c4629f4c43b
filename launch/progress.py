"""How a job stands: its newest checkpoint in S3, how long it has run, and what it has cost so far.

A spot training whose checkpoints no longer reach S3 looks like one that is well, but for their age.
"""

import re
from datetime import UTC, datetime

from artifact.text.numbers import about
from launch.aws import Request, Response
from launch.context import LaunchContext
from launch.cost import machines_cost, prices_of
from launch.errors import LaunchError, sentence
from launch.follow import ENDED, status_of
from launch.requests_training import split_s3
from launch.search import trials

# As train/learning/checkpoint.py names them.
EPOCH = re.compile(r"checkpoint-(\d{1,9})\.pt$")


def progress_words(context: LaunchContext, kind: str, answer: Response) -> list[str]:
    """What `status` says of a job beside its state; some words may be empty."""
    if kind == "training":
        return [
            checkpoint_words(context, answer),
            spent_words(context, kind, answer, machines_of(answer), running_s(answer, "Training")),
            advice(context, answer),
        ]
    if kind == "tuning":
        machines = machines_of(answer.get("TrainingJobDefinition", {}))
        seconds = searched_s(context, answer) if "InstanceType" in machines else 0
    elif kind == "transform":
        seconds = running_s(answer, "Transform")
        # A transform job's disks are part of its machines' price.
        machines = {**answer.get("TransformResources", {}), "VolumeSizeInGB": 0}
    else:
        seconds = running_s(answer, "Processing")
        machines = answer.get("ProcessingResources", {}).get("ClusterConfig", {})
    return [spent_words(context, kind, answer, machines, seconds)]


def machines_of(definition: Response) -> Request:
    """A training's machines, and whether they have spot's price.

    Billed seconds are already without what spot saves; SageMaker says them at the end.
    """
    spot = definition.get("EnableManagedSpotTraining", False)
    is_cheaper = spot and "BillableTimeInSeconds" not in definition
    return {**definition.get("ResourceConfig", {}), "spot": is_cheaper}


def checkpoint_words(context: LaunchContext, answer: Response) -> str:
    """The newest checkpoint in S3: its epoch and its age. Empty for a training that keeps none."""
    uri = answer.get("CheckpointConfig", {}).get("S3Uri", "")
    if not uri or answer.get("TrainingJobStatus") == "Completed":
        return ""
    try:
        newest = newest_checkpoint(context, uri)
    except Exception as error:
        # A look that fails must not hide what SageMaker says of the job.
        return f"its checkpoints cannot be seen ({sentence(error)})"
    if newest is None:
        return "no checkpoint in S3 yet"
    key, when = newest
    epoch = EPOCH.search(key)
    name = f"epoch {epoch[1]}" if epoch else f"'{key.rpartition('/')[2]}'"
    age_s = (datetime.now(UTC) - when).total_seconds()
    return f"newest checkpoint in S3: {name}, {about(age_s)} old"


def newest_checkpoint(context: LaunchContext, uri: str) -> tuple[str, datetime] | None:
    """Key and time of the youngest object among a training's checkpoints."""
    bucket, key = split_s3(uri)
    newest = None
    pages = context.client("s3").get_paginator("list_objects_v2")
    # With a slash, so that another training's folder that begins alike is not read.
    for page in pages.paginate(Bucket=bucket, Prefix=f"{key.rstrip('/')}/"):
        for entry in page.get("Contents", []):
            if newest is None or entry["LastModified"] > newest[1]:
                newest = (entry["Key"], entry["LastModified"])
    return newest


def running_s(answer: Response, job: str) -> float:
    """Seconds that are paid for so far; 0 before the machines start. job: Training, Transform…"""
    if "BillableTimeInSeconds" in answer:
        return float(answer["BillableTimeInSeconds"])
    started = answer.get(f"{job}StartTime")
    if started is None:
        return 0
    ended = answer.get(f"{job}EndTime") or datetime.now(UTC)
    return float((ended - started).total_seconds())


def searched_s(context: LaunchContext, answer: Response) -> float:
    """Seconds of all trainings of a search together.

    SageMaker's own ConsumedResources is the search's time on the clock, where several run at once.
    """
    found = trials(context, str(answer["HyperParameterTuningJobName"]))
    return sum(running_s(trial, "Training") for trial in found)


def spent_words(
    context: LaunchContext, kind: str, answer: Response, machines: Request, seconds: float
) -> str:
    """How long a job has run, and what that costs; empty before its machines start."""
    if seconds <= 0 or "InstanceType" not in machines:
        return ""
    words = "in all" if status_of(kind, answer) in ENDED else "so far"
    try:
        dollars = machines_cost(
            prices_of(context.recipe),
            machines["InstanceType"],
            machines["InstanceCount"],
            machines["VolumeSizeInGB"],
            machines.get("spot", False),
            seconds,
        )
    except LaunchError:
        return f"{about(seconds)} {words}"  # the table lacks the machine
    return f"{about(seconds)}, about {dollars:.2f} USD {words}"


def advice(context: LaunchContext, answer: Response) -> str:
    """What to do about a training that ended early and kept checkpoints."""
    early = answer.get("TrainingJobStatus") in ("Stopped", "Failed")
    if not early or "CheckpointConfig" not in answer:
        return ""
    # A training that went on from another's checkpoints keeps its own in that one's folder.
    folder = answer["CheckpointConfig"]["S3Uri"].rstrip("/").rpartition("/")[2]
    command = f"launch train {context.recipe.path} --checkpoints {folder}"
    return f"`{command}` goes on from its checkpoints"
