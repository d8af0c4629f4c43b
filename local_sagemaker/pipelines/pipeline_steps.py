"""One step of a pipeline as it runs: the job that it starts, how that ended, what it tells."""

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from local_sagemaker import contract
from local_sagemaker.contract import ApiError
from local_sagemaker.jobs import processing, training, transforms
from local_sagemaker.pipelines.pipeline_definition import OPERATIONS, Step
from local_sagemaker.platform import Platform
from local_sagemaker.record import Record
from local_sagemaker.registry import model_groups, model_packages, models
from local_sagemaker.tuning import tunings

Operation = Callable[[Platform, Record, str], Record]
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
WORDS = ("Create", "Describe", "Stop")
RANDOM = 10  # letters at the end of a job's name
LONGEST = {"Tuning": 32}  # characters of a name; of the others 63
MOST_TRAININGS = 100  # of a tuning job that other steps may get
ENDED = {"Completed": "Succeeded", "Failed": "Failed", "Stopped": "Stopped"}


@dataclass(frozen=True)
class Kind:
    """Of a type of steps: its operations, its fields of name, ARN and status, and its metadata."""

    create: Operation
    describe: Operation
    stop: Operation | None
    name: str
    arn: str
    status: str
    metadata: str


def _job(operations: Mapping[str, Operation], part: str, metadata: str) -> Kind:
    """The kind of a job; part: of its name in its operations and fields, such as Training."""
    name = f"{part}JobName"
    create, describe, stop = (operations[f"{word}{part}Job"] for word in WORDS)
    return Kind(create, describe, stop, name, f"{part}JobArn", f"{part}JobStatus", metadata)


KINDS = {
    "Processing": _job(processing.OPERATIONS, "Processing", "ProcessingJob"),
    "Training": _job(training.OPERATIONS, "Training", "TrainingJob"),
    "Tuning": _job(tunings.OPERATIONS, "HyperParameterTuning", "TuningJob"),
    "Transform": _job(transforms.OPERATIONS, "Transform", "TransformJob"),
    "Model": Kind(
        models.create_model,
        models.OPERATIONS["DescribeModel"],
        None,
        *("ModelName", "ModelArn", "", "Model"),
    ),
    "RegisterModel": Kind(
        model_packages.create,
        model_packages.describe,
        None,
        *("ModelPackageName", "ModelPackageArn", "", "RegisterModel"),
    ),
}


def name_of_job(execution: str, step: Step, wanted: str = "") -> str:
    """A name for the step's job. wanted: the beginning that the definition asks for."""
    ending = "".join(secrets.choice(LETTERS) for _ in range(RANDOM))
    room = LONGEST.get(step.type, 63)
    start = wanted or f"pipelines-{execution}-{step.name}"
    if room < len(start) + RANDOM + 1 and not wanted:
        start = f"{execution}-{step.name}"
    return f"{start[: room - RANDOM - 1].rstrip('-')}-{ending}".replace("_", "-")


def start(platform: Platform, step: Step, arguments: Record, name: str, region: str) -> Record:
    """Start a step's job: what its record keeps. ApiError for a request that is refused.

    arguments: with all their values.
    """
    kind = KINDS[step.type]
    given = {**arguments, kind.name: name}
    if step.type == "RegisterModel":
        given = _of_group(platform, arguments, region)
    request = contract.check(OPERATIONS[step.type], given)
    made = kind.create(platform, request, region)
    found = made[kind.arn] if step.type == "RegisterModel" else name
    return {"Job": found, "Metadata": {kind.metadata: {"Arn": made[kind.arn]}}}


def _of_group(platform: Platform, arguments: Record, region: str) -> Record:
    """The request of a new version, whose group is made where it is not there."""
    group = arguments.get(model_groups.NAME)
    if not group or not isinstance(group, str):
        return arguments  # the operation's own check says what is wrong with it
    try:
        model_groups.found(platform, group, region)
    except ApiError:
        wanted = {model_groups.NAME: group.rpartition("/")[2], "Tags": arguments.get("Tags", [])}
        asked = contract.check("CreateModelPackageGroup", wanted)
        model_groups.create(platform, asked, region)
    return {key: part for key, part in arguments.items() if key != "Tags"}


def ended(platform: Platform, step: Step, job: str, region: str) -> Record | None:
    """What a step's record gets when its job has ended; None while that runs."""
    kind = KINDS[step.type]
    if not kind.status:  # made at once
        return {"StepStatus": "Succeeded", "EndTime": time.time()}
    found = kind.describe(platform, {kind.name: job}, region)
    status = ENDED.get(found[kind.status])
    if status is None:
        return None
    record = {"StepStatus": status, "EndTime": time.time()}
    if status == "Failed":
        record["FailureReason"] = found.get("FailureReason", f"the job {job} has failed")
    return record


def stop(platform: Platform, step: Step, job: str, region: str) -> None:
    """Stop a step's job, if it still runs."""
    kind = KINDS[step.type]
    if kind.stop is None:
        return
    try:
        kind.stop(platform, {kind.name: job}, region)
    except ApiError:
        return  # it has ended meanwhile


def properties(platform: Platform, step: Step, job: str, region: str) -> Record:
    """What other steps may get of a step: its job's description.

    Of a tuning job also its trainings, the best first.
    """
    kind = KINDS[step.type]
    found = kind.describe(platform, {kind.name: job}, region)
    if step.type == "Tuning":
        objective = found["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"]
        order = "Ascending" if objective["Type"] == "Minimize" else "Descending"
        request: Record = {
            kind.name: job,
            "SortBy": "FinalObjectiveMetricValue",
            "SortOrder": order,
        }
        request["MaxResults"] = MOST_TRAININGS
        found |= tunings.list_children(platform, request, region)
    return found
