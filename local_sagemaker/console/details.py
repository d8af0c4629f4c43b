"""The page of one job, endpoint or model: its facts, what may be done with it, and its settings."""

import json
import time
from dataclasses import dataclass

from artifact.text.numbers import duration
from local_sagemaker import contract
from local_sagemaker.console.kinds import KINDS, RUNNING, Kind, tone
from local_sagemaker.console.rows import took
from local_sagemaker.console.words import moment, moment_of_today
from local_sagemaker.platform import Platform
from local_sagemaker.record import Record

Cell = str | tuple[str, str]  # words, or words and the address of a page
# Fields of a record that no table of places has: others show them, or they say the same again.
UNSHOWN = (
    *("HyperParameters", "Environment", "Tags"),
    *("Steps", "Parameters", "PipelineDefinition", "ResolvedImage"),
)
STOPPING = ("Stopping", "Deleting")


@dataclass(frozen=True)
class Table:
    """A table below a heading."""

    title: str
    head: list[str]
    rows: list[list[Cell]]


def address(kind: str, name: str) -> str:
    """The page of a thing."""
    return f"/console/{kind}/{name}"


def facts(kind: Kind, record: Record) -> dict[str, str]:
    """What everyone wants to know first, by label."""
    found = {"Created": moment_of_today(record["CreationTime"])}
    if kind.times:
        found["Took"] = took(kind, record)
    if kind.path == "endpoints":
        found["Configuration"] = str(record["EndpointConfigName"])
    if kind.path == "training-jobs":
        found["Instances"] = _instances(record.get("ResourceConfig", {}))
        if record.get("EnableManagedSpotTraining"):
            found["Capacity"] = "spot"
    if kind.path == "processing-jobs":
        found["Instances"] = _instances(record["ProcessingResources"]["ClusterConfig"])
    if kind.path == "transform-jobs":
        resources = record["TransformResources"]
        found["Instances"] = f"{resources['InstanceCount']} × {resources['InstanceType']}"
    if kind.path == "tuning-jobs":
        limits = record["HyperParameterTuningJobConfig"]["ResourceLimits"]
        found["Trials at most"] = str(limits["MaxNumberOfTrainingJobs"])
        found["At the same time"] = str(limits["MaxParallelTrainingJobs"])
    return found


def _instances(resources: Record) -> str:
    groups = resources.get("InstanceGroups") or [resources]
    words = [f"{group.get('InstanceCount', 1)} × {group.get('InstanceType')}" for group in groups]
    return ", ".join(words)


def can_stop(kind: Kind, record: Record) -> bool:
    state = kind.state(record)
    return kind.stop is not None and tone(state) == RUNNING and state not in STOPPING


def can_interrupt(kind: Kind, record: Record) -> bool:
    """Whether it is a spot training that has instances to lose."""
    is_spot = bool(record.get("EnableManagedSpotTraining"))
    return kind.path == "training-jobs" and is_spot and record["SecondaryStatus"] == "Training"


def settings(kind: Kind, record: Record) -> list[Table]:
    """Tables of what it was asked for."""
    found = []
    if kind.path == "training-jobs":
        found.append(_named("Hyperparameters", record.get("HyperParameters", {})))
    if kind.path == "tuning-jobs":
        config = record["HyperParameterTuningJobConfig"]
        found.append(_named("Ranges", _ranges(config.get("ParameterRanges", {}))))
        definition = record.get("TrainingJobDefinition") or {}
        found.append(_named("Fixed", definition.get("StaticHyperParameters", {})))
    if kind.path == "pipeline-executions":
        found.append(_named("Parameters", record["Parameters"]))
    places = dict(_places(record, ""))
    found.append(_named("Places and images", places))
    found.append(_named("Environment", record.get("Environment", {})))
    transitions = record.get("SecondaryStatusTransitions", [])
    rows = [_transition(entry) for entry in transitions]
    found.append(Table("States", ["State", "Since", "For", "Words"], rows))
    return [table for table in found if table.rows]


def links(kind: Kind, record: Record) -> dict[str, Cell]:
    """Other pages that belong to this one, by label."""
    found: dict[str, Cell] = {}
    if record.get("TuningJobArn"):
        search = record["TuningJobArn"].rpartition("/")[2]
        found["Trial of"] = (search, address("tuning-jobs", search))
    if kind.path == "pipeline-executions":
        found["Pipeline"] = (record["PipelineName"], address("pipelines", record["PipelineName"]))
    if kind.path == "transform-jobs":
        found["Model"] = (record["ModelName"], address("models", record["ModelName"]))
    return found


def whole(kind: Kind, record: Record) -> str:
    """The answer of its operation Describe..., as JSON."""
    answer = contract.answer(f"Describe{kind.noun}", record)
    return json.dumps(answer, indent=2, ensure_ascii=False)


def _named(title: str, values: Record) -> Table:
    rows: list[list[Cell]] = [[name, str(value)] for name, value in sorted(values.items())]
    return Table(title, ["Name", "Value"], rows)


def _places(part: object, where: str) -> list[tuple[str, str]]:
    """Every value of a record that is a place in S3, a folder or an image, by its field."""
    found: list[tuple[str, str]] = []
    if isinstance(part, dict):
        label = part.get("ChannelName") or part.get("InputName") or part.get("OutputName") or ""
        for name, value in part.items():
            below = " ".join(word for word in (where, label) if word)
            if isinstance(value, str):
                is_place = name.endswith(("Uri", "Url", "Image", "Path")) or "://" in value
                if is_place and name not in UNSHOWN:
                    found.append((f"{below} {name}".strip(), value))
            elif name not in UNSHOWN:
                found += _places(value, below)
    elif isinstance(part, list):
        for value in part:
            found += _places(value, where)
    return found


def _transition(entry: Record) -> list[Cell]:
    length = entry.get("EndTime", time.time()) - entry["StartTime"]
    return [
        entry["Status"],
        moment(entry["StartTime"]),
        duration(length),
        entry.get("StatusMessage", ""),
    ]


def _ranges(ranges: Record) -> dict[str, str]:
    found = {}
    for entries in ranges.values():
        for entry in entries:
            words = ", ".join(entry.get("Values", []))
            if "MinValue" in entry:
                words = f"{entry['MinValue']} to {entry['MaxValue']}"
                scaling = entry.get("ScalingType", "Auto")
                if scaling != "Auto":
                    words += f" ({scaling})"
            found[entry["Name"]] = words
    return found


def is_multi_model(platform: Platform, record: Record) -> bool:
    """Whether an endpoint has models to choose from."""
    fleet = platform.runner(KINDS["endpoints"].store, record["EndpointName"])
    if fleet is None:
        return False
    return any(variant.multi_model for variant in fleet.variants.values())
