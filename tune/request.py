"""A tuning job as CreateHyperParameterTuningJob takes it, for `launch` to complete.

`launch` adds image, role, channels and machines.
"""

from typing import Any

from recipes.tuning import Tuning

Request = dict[str, Any]  # nested as the API nests it
KINDS = ("Continuous", "Integer", "Categorical")


def tuning_request(tuning: Tuning) -> Request:
    """The part of the request that the recipe decides.

    Name, configuration, static hyperparameters, metric, warm start. TrainingJobDefinition and its
    AlgorithmSpecification are to be completed.
    """
    objective = tuning.objective
    request: Request = {
        "HyperParameterTuningJobName": tuning.name,
        "HyperParameterTuningJobConfig": tuning_config(tuning),
        "TrainingJobDefinition": {
            "StaticHyperParameters": dict(tuning.static),
            "AlgorithmSpecification": {
                "TrainingInputMode": "File",
                "MetricDefinitions": [{"Name": objective.metric, "Regex": objective.regex}],
            },
        },
    }
    if tuning.parents:
        request["WarmStartConfig"] = warm_start_config(tuning)
    return request


def tuning_config(tuning: Tuning) -> Request:
    """HyperParameterTuningJobConfig."""
    config: Request = {"Strategy": tuning.strategy}
    if tuning.resource:
        low, high = tuning.resource
        config["StrategyConfig"] = {
            "HyperbandStrategyConfig": {"MinResource": low, "MaxResource": high}
        }
    config["HyperParameterTuningJobObjective"] = {
        "Type": tuning.objective.direction,
        "MetricName": tuning.objective.metric,
    }
    config["ResourceLimits"] = _limits(tuning)
    ranges: dict[str, list[object]] = {f"{kind}ParameterRanges": [] for kind in KINDS}
    for entry in tuning.ranges:
        ranges[f"{entry.kind}ParameterRanges"].append(entry.request())
    config["ParameterRanges"] = ranges
    config["TrainingJobEarlyStoppingType"] = tuning.early_stopping
    config["RandomSeed"] = tuning.seed
    criteria = _criteria(tuning)
    if criteria:
        config["TuningJobCompletionCriteria"] = criteria
    return config


def _limits(tuning: Tuning) -> Request:
    budgets = tuning.budgets
    limits = {"MaxNumberOfTrainingJobs": budgets.jobs, "MaxParallelTrainingJobs": budgets.parallel}
    if budgets.time_s is not None:
        limits["MaxRuntimeInSeconds"] = budgets.time_s
    return limits


def _criteria(tuning: Tuning) -> Request:
    budgets = tuning.budgets
    criteria: Request = {}
    if budgets.target is not None:
        criteria["TargetObjectiveMetricValue"] = budgets.target
    if budgets.not_improving is not None:
        criteria["BestObjectiveNotImproving"] = {
            "MaxNumberOfTrainingJobsNotImproving": budgets.not_improving
        }
    return criteria


def warm_start_config(tuning: Tuning) -> Request:
    """WarmStartConfig of a tuning job that has parents."""
    parents = [{"HyperParameterTuningJobName": parent} for parent in tuning.parents]
    return {"ParentHyperParameterTuningJobs": parents, "WarmStartType": tuning.warm_start}
