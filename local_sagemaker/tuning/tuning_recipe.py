"""A request for a tuning job, written as a recipe of `tune`."""

from local_sagemaker.record import Record
from local_sagemaker.tuning.trials import OBJECTIVE

# By SageMaker's field: tune's.
HYPERBAND = {"MinResource": "min_resource", "MaxResource": "max_resource"}


def recipe(request: Record) -> Record:
    """The tuning job as the only one of a recipe."""
    config = request["HyperParameterTuningJobConfig"]
    objective = config["HyperParameterTuningJobObjective"]
    job = {
        "name": request["HyperParameterTuningJobName"],
        "strategy": config["Strategy"],
        "early_stopping": config.get("TrainingJobEarlyStoppingType", "Off"),
        "objective": {
            "metric": objective["MetricName"],
            "direction": objective["Type"],
            "regex": metric_of(request)["Regex"],
        },
        "budgets": _budgets(config),
        "ranges": _ranges(config["ParameterRanges"]),
        "seed": config.get("RandomSeed", 0),
    }
    names = parents(request)
    if names:
        job["parents"] = names
        job["warm_start"] = request["WarmStartConfig"]["WarmStartType"]
    hyperband = config.get("StrategyConfig", {}).get("HyperbandStrategyConfig", {})
    if hyperband:
        job["hyperband"] = {HYPERBAND[key]: value for key, value in hyperband.items()}
    static = request["TrainingJobDefinition"].get("StaticHyperParameters", {})
    return {
        "name": job["name"],
        "hyperparameters": {name: text for name, text in static.items() if name != OBJECTIVE},
        "tuning": [job],
    }


def parents(request: Record) -> list[str]:
    """Names of the tuning jobs that the job starts from."""
    entries = request.get("WarmStartConfig", {}).get("ParentHyperParameterTuningJobs", [])
    return [entry.get("HyperParameterTuningJobName", "") for entry in entries]


def metric_of(request: Record) -> Record:
    """The metric definition of the objective. StopIteration when the request lacks it."""
    objective = request["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"]
    algorithm = request["TrainingJobDefinition"]["AlgorithmSpecification"]
    found: Record = next(
        entry
        for entry in algorithm.get("MetricDefinitions", [])
        if entry["Name"] == objective["MetricName"]
    )
    return found


def _ranges(given: Record) -> dict[str, Record]:
    ranges = {}
    for kind in ("Continuous", "Integer"):
        for entry in given.get(f"{kind}ParameterRanges", []):
            # SageMaker's API has all numbers of ranges as strings.
            ranges[entry["Name"]] = {
                "type": kind,
                "min": float(entry["MinValue"]),
                "max": float(entry["MaxValue"]),
                "scale": entry.get("ScalingType", "Auto"),
            }
    for entry in given.get("CategoricalParameterRanges", []):
        ranges[entry["Name"]] = {"values": entry["Values"]}
    return ranges


def _budgets(config: Record) -> Record:
    limits = config["ResourceLimits"]
    criteria = config.get("TuningJobCompletionCriteria", {})
    no_improvement = criteria.get("BestObjectiveNotImproving", {})
    budgets = {
        "jobs": limits.get("MaxNumberOfTrainingJobs"),
        "parallel": limits["MaxParallelTrainingJobs"],
        "time_s": limits.get("MaxRuntimeInSeconds"),
        "target": criteria.get("TargetObjectiveMetricValue"),
        "not_improving": no_improvement.get("MaxNumberOfTrainingJobsNotImproving"),
    }
    # tune takes a budget that is left out as "no limit".
    return {name: value for name, value in budgets.items() if value is not None}
