"""SageMaker's answers about a tuning job in the form of results. It asks SageMaker nothing."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from artifact.text.json_text import read_json
from tune.results import Trial, TuningJob, best_value

Answer = dict[str, Any]  # as boto3 gives it
Summaries = list[Answer]  # of training jobs
# SageMaker's statuses, as far as they differ from tune.results.STATUSES
STATUS = {"Stopping": "InProgress", "Deleting": "Stopped", "DeleteFailed": "Stopped"}
OWN = ("_tuning_objective_metric",)  # hyperparameters that SageMaker adds to those of a job
NUMBER: dict[str, Callable[[float], float]] = {"Continuous": float, "Integer": int}


class ManagedError(ValueError):
    """SageMaker has no such tuning job, refuses to show it, or is out of reach."""


def tuning_job(
    job: Answer,
    summaries: Summaries,
    curves: Mapping[str, tuple[float, ...]],
    reason_of: Callable[[str], str],
) -> TuningJob:
    """A description and its training jobs as results.

    A job of several algorithms has the ranges and the static hyperparameters of all. curves: by the
    training job's name. reason_of: a training job's own reason, asked for where the list has none.
    """
    config = job["HyperParameterTuningJobConfig"]
    metric, direction = objective_of(job)
    own: dict[str, dict[str, str]] = {}
    static: dict[str, str] = {}
    for each in _definitions(job):
        values = _texts(each.get("StaticHyperParameters", {}))
        own[each.get("DefinitionName", "")] = values
        static |= values
    trials = []
    for summary in summaries:
        given = own.get(summary.get("TrainingJobDefinitionName", ""), static)
        curve = curves.get(summary["TrainingJobName"], ())
        trial = _trial(summary, given, curve, reason_of)
        trials.append(_judged_by_curve(trial, direction))
    return TuningJob(
        name=job["HyperParameterTuningJobName"],
        objective=metric,
        direction=direction,
        strategy=config["Strategy"],
        status=_status(job["HyperParameterTuningJobStatus"]),
        ranges=_all_ranges(job),
        static=static,
        trials=tuple(trials),
        parents=tuple(names_of_parents(job)),
        warm_start=job.get("WarmStartConfig", {}).get("WarmStartType", ""),
    )


def _judged_by_curve(trial: Trial, direction: str) -> Trial:
    """The trial with the best value of its curve, where there is one, in place of its last value.

    Its artifact is that of the best epoch.
    """
    best = best_value(trial.curve, direction)
    if trial.objective is None or best is None:
        return trial
    return replace(trial, objective=best)


def names_of_parents(job: Answer) -> list[str]:
    """The names of the tuning jobs that a job starts from."""
    parents = job.get("WarmStartConfig", {}).get("ParentHyperParameterTuningJobs", [])
    return [parent["HyperParameterTuningJobName"] for parent in parents]


def regexes(job: Answer, summaries: Summaries) -> dict[str, str]:
    """The regex of the objective by the name of each training job that has started.

    SageMaker's own algorithms have none.
    """
    metric, _ = objective_of(job)
    known = {}
    for each in _definitions(job):
        for entry in each["AlgorithmSpecification"].get("MetricDefinitions", []):
            if entry["Name"] == metric:
                known[each.get("DefinitionName", "")] = entry["Regex"]
    found = {}
    for summary in summaries:
        regex = known.get(summary.get("TrainingJobDefinitionName", ""))
        if regex and "TrainingStartTime" in summary:
            found[summary["TrainingJobName"]] = regex
    return found


def _definitions(job: Answer) -> list[Answer]:
    """The definitions of the trainings: one, or one for each algorithm."""
    if "TrainingJobDefinition" in job:
        return [job["TrainingJobDefinition"]]
    return list(job.get("TrainingJobDefinitions", []))


def objective_of(job: Answer) -> tuple[str, str]:
    """Metric and direction. ManagedError where there is none, or more than one."""
    name = job["HyperParameterTuningJobName"]
    objectives = [job["HyperParameterTuningJobConfig"].get("HyperParameterTuningJobObjective")]
    objectives += [each.get("TuningObjective") for each in _definitions(job)]
    pairs = [(each["MetricName"], each["Type"]) for each in objectives if each]
    if not pairs:
        raise ManagedError(f"tuning job '{name}' names no objective metric")
    if len(set(pairs)) > 1:
        metrics = ", ".join(sorted(metric for metric, _ in set(pairs)))
        raise ManagedError(
            f"tuning job '{name}' has several objectives ({metrics}), "
            "which cannot be ranked together"
        )
    return pairs[0]


def _all_ranges(job: Answer) -> dict[str, dict[str, Any]]:
    """The ranges of the job and of its algorithms; the first one of a name counts."""
    found = [job["HyperParameterTuningJobConfig"].get("ParameterRanges")]
    found += [each.get("HyperParameterRanges") for each in _definitions(job)]
    ranges: dict[str, dict[str, Any]] = {}
    for each in found:
        ranges = _ranges(each or {}) | ranges
    return ranges


def _ranges(found: Answer) -> dict[str, dict[str, Any]]:
    ranges: dict[str, dict[str, Any]] = {}
    for kind, number in NUMBER.items():
        for entry in found.get(f"{kind}ParameterRanges", []):
            ranges[entry["Name"]] = {
                "type": kind,
                "min": number(float(entry["MinValue"])),
                "max": number(float(entry["MaxValue"])),
                "scale": entry.get("ScalingType", "Auto"),
            }
    for entry in found.get("CategoricalParameterRanges", []):
        values = [_plain(value) for value in entry["Values"]]
        ranges[entry["Name"]] = {"type": "Categorical", "values": values}
    return ranges


def _trial(
    summary: Answer,
    static: dict[str, str],
    curve: tuple[float, ...],
    reason_of: Callable[[str], str],
) -> Trial:
    """One of the listed training jobs."""
    status = _status(summary["TrainingJobStatus"])
    tuned = _texts(summary["TunedHyperParameters"])
    # SageMaker sets it at the end of a training: the last value that its regex found.
    value = summary.get("FinalHyperParameterTuningJobObjectiveMetric", {}).get("Value")
    if value is None and status == "InProgress" and curve:
        value = curve[-1]
    reason = summary.get("FailureReason", "")
    if not reason and status in ("Failed", "Stopped"):
        reason = reason_of(summary["TrainingJobName"])
    if not reason and status == "Completed" and value is None:
        reason = "SageMaker found no objective in its output"
        if summary.get("ObjectiveStatus") == "Failed":
            reason += ": its regex matched nothing"
    return Trial(
        name=summary["TrainingJobName"],
        status=status,
        hyperparameters={**static, **tuned},
        tuned=tuple(tuned),
        objective=value,
        curve=curve,
        reason=reason,
        started=_moment(summary.get("TrainingStartTime") or summary["CreationTime"]),
        ended=_moment(summary.get("TrainingEndTime")),
    )


def _status(theirs: str) -> str:
    return STATUS.get(theirs, theirs)


def _texts(values: dict[str, str]) -> dict[str, str]:
    plain = {name: _plain(value) for name, value in values.items()}
    for name in OWN:
        plain.pop(name, None)
    return plain


def _plain(text: str) -> str:
    """SageMaker's SDK writes texts as JSON, in quotes of their own."""
    if not text.startswith('"'):
        return text
    try:
        return str(read_json(text))
    except ValueError:
        return text


def _moment(when: datetime | None) -> str | None:
    if when is None:
        return None
    return when.isoformat(timespec="seconds")
