"""The rows of the console's lists: a name, a state, when, how long, and what came of it."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from artifact.text.numbers import counted, duration, number
from local_sagemaker.console.kinds import NO_STATE, RUNNING, Kind, newest_first, tone
from local_sagemaker.console.words import moment
from local_sagemaker.platform import Platform
from local_sagemaker.record import Record
from local_sagemaker.tuning import tunings

MOST_VALUES = 2  # metrics in a row


@dataclass(frozen=True)
class Row:
    """One line of a list. name: also the last part of its page's address."""

    name: str
    state: str
    tone: str
    created: str
    took: str
    result: str


def row(kind: Kind, platform: Platform, record: Record) -> Row:
    state = kind.state(record)
    return Row(
        name=kind.name(record),
        state=state_words(kind, record),
        tone=tone(state),
        created=moment(record["CreationTime"]),
        took=took(kind, record),
        result=result(kind, platform, record),
    )


def state_words(kind: Kind, record: Record) -> str:
    """InProgress says little of a training: its secondary status says more."""
    state = kind.state(record)
    if state == "InProgress":
        return str(record.get("SecondaryStatus", state))
    return state


def took(kind: Kind, record: Record) -> str:
    """How long it has run; empty for what does not end."""
    if not kind.times:
        return ""
    now = time.time()
    if not is_running(kind, record):
        now = record["LastModifiedTime"]
    return duration(record.get(f"{kind.times}EndTime", now) - record["CreationTime"])


def result(kind: Kind, platform: Platform, record: Record) -> str:
    """What came of it, or is coming, in a few words."""
    if record.get("FailureReason"):
        return str(record["FailureReason"])
    if kind.path not in RESULTS:
        return ""
    return RESULTS[kind.path](platform, record)


def last_metrics(platform: Platform, record: Record) -> list[Record]:
    """The last value of each metric of a training, also of one that runs."""
    final = record.get("FinalMetricDataList")
    if final is not None:
        return list(final)
    values = platform.metric_history.of_job(record["TrainingJobName"])
    return list({value["MetricName"]: value for value in values}.values())


def container_image(model: Record) -> str:
    """The image of a model's first container."""
    container = model.get("PrimaryContainer") or [*model.get("Containers", []), {}][0]
    return str(container.get("Image", ""))


def _metrics(platform: Platform, record: Record) -> str:
    values = last_metrics(platform, record)
    # What was measured on photos that are not trained on says more.
    first = sorted(values, key=lambda value: "validation" not in value["MetricName"])
    words = [f"{value['MetricName']} {number(value['Value'])}" for value in first[:MOST_VALUES]]
    return ", ".join(words)


def _trials(platform: Platform, record: Record) -> str:
    """How many trials there are, and the best of them."""
    found = tunings.describe(
        platform,
        {"HyperParameterTuningJobName": record["HyperParameterTuningJobName"]},
        record["Region"],
    )
    counters = found["TrainingJobStatusCounters"]
    limits = record["HyperParameterTuningJobConfig"]["ResourceLimits"]
    ended = counters["Completed"] + counters["Stopped"] + counters["NonRetryableError"]
    words = f"{ended} of {counted(limits['MaxNumberOfTrainingJobs'], 'trial')}"
    best = found.get("BestTrainingJob")
    if best:
        words += f", best {number(best[tunings.FINAL]['Value'])}"
    return words


def _steps(platform: Platform, record: Record) -> str:
    ended = [step for step in record["Steps"].values() if step["StepStatus"] == "Succeeded"]
    return f"pipeline {record['PipelineName']}, {counted(len(ended), 'step')} done"


def _variants(platform: Platform, record: Record) -> str:
    names = [entry["VariantName"] for entry in record.get("ProductionVariants") or []]
    if not names:
        return f"configuration {record['EndpointConfigName']}"
    variants = counted(len(names), "variant")
    return f"{variants} ({', '.join(names)}) of {record['EndpointConfigName']}"


def _program(platform: Platform, record: Record) -> str:
    specification = record["AppSpecification"]
    words = [
        *specification.get("ContainerEntrypoint", []),
        *specification.get("ContainerArguments", []),
    ]
    return " ".join(words) or str(specification["ImageUri"])


def _image(platform: Platform, record: Record) -> str:
    """The image of a model, or of a model package."""
    return container_image(record.get("InferenceSpecification", record))


# The words of a row, by the kind's path.
RESULTS: dict[str, Callable[[Platform, Record], str]] = {
    "training-jobs": _metrics,
    "tuning-jobs": _trials,
    "processing-jobs": _program,
    "transform-jobs": lambda platform, record: f"model {record['ModelName']}",
    "endpoints": _variants,
    "models": _image,
    "model-packages": _image,
    "pipelines": lambda platform, record: str(record.get("PipelineDescription", "")),
    "pipeline-executions": _steps,
}


@dataclass(frozen=True)
class Page:
    """A part of a list. count: of all that fit the filters; at: the number of this page, from 1."""

    rows: list[Row]
    count: int
    at: int
    pages: int


def page(
    kind: Kind, platform: Platform, size: int, at: int = 1, name: str = "", state: str = ""
) -> Page:
    """What runs first, then the newest. size: of a page.

    name: a part of the name; state: as SageMaker has it.
    """
    found = []
    for record in newest_first(kind, platform):
        fits_name = name.lower() in kind.name(record).lower()
        if fits_name and state in ("", kind.state(record)):
            found.append(record)
    found.sort(key=lambda record: not is_running(kind, record))  # the order stays among equals
    pages = max(1, -(-len(found) // size))
    at = min(max(at, 1), pages)
    shown = found[(at - 1) * size : at * size]
    return Page([row(kind, platform, record) for record in shown], len(found), at, pages)


def states(kind: Kind, platform: Platform) -> list[str]:
    """The states that there are at the moment."""
    found = {kind.state(record) for record in platform.store.all(kind.store)}
    return sorted(found - {NO_STATE})


def is_running(kind: Kind, record: Record) -> bool:
    """Whether it is at work on something: an endpoint that has just been made, for example."""
    state = kind.state(record)
    return state != NO_STATE and tone(state) == RUNNING


def running(kind: Kind, platform: Platform) -> int:
    """How many are at work."""
    return sum(is_running(kind, record) for record in platform.store.all(kind.store))
