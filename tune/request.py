"""A tuning job as CreateHyperParameterTuningJob takes it, but for image, role, channels and machines, which `launch` adds. Pure."""

from recipes.tuning import Tuning


def tuning_request(tuning: Tuning) -> dict:
    """The request's part that the recipe settles: name, configuration, static hyperparameters, metric, warm start.

    Nested as the API nests it; TrainingJobDefinition and its AlgorithmSpecification are to be completed.
    """
    request = {
        "HyperParameterTuningJobName": tuning.name,
        "HyperParameterTuningJobConfig": tuning_config(tuning),
        "TrainingJobDefinition": {
            "StaticHyperParameters": dict(tuning.static),
            "AlgorithmSpecification": {
                "TrainingInputMode": "File",
                "MetricDefinitions": [
                    {"Name": tuning.objective.metric, "Regex": tuning.objective.regex}
                ],
            },
        },
    }
    return request | ({"WarmStartConfig": warm_start_config(tuning)} if tuning.parents else {})


def tuning_config(tuning: Tuning) -> dict:
    """HyperParameterTuningJobConfig."""
    budgets, strategy = tuning.budgets, {"Strategy": tuning.strategy}
    if tuning.resource:
        low, high = tuning.resource
        strategy["StrategyConfig"] = {
            "HyperbandStrategyConfig": {"MinResource": low, "MaxResource": high}
        }
    limits = {"MaxNumberOfTrainingJobs": budgets.jobs, "MaxParallelTrainingJobs": budgets.parallel}
    if budgets.time_s is not None:
        limits["MaxRuntimeInSeconds"] = budgets.time_s
    criteria = {}
    if budgets.target is not None:
        criteria["TargetObjectiveMetricValue"] = budgets.target
    if budgets.not_improving is not None:
        criteria["BestObjectiveNotImproving"] = {
            "MaxNumberOfTrainingJobsNotImproving": budgets.not_improving
        }
    ranges = {
        f"{kind}ParameterRanges": [entry.request() for entry in tuning.ranges if entry.kind == kind]
        for kind in ("Continuous", "Integer", "Categorical")
    }
    return {
        **strategy,
        "HyperParameterTuningJobObjective": {
            "Type": tuning.objective.direction,
            "MetricName": tuning.objective.metric,
        },
        "ResourceLimits": limits,
        "ParameterRanges": ranges,
        "TrainingJobEarlyStoppingType": tuning.early_stopping,
        "RandomSeed": tuning.seed,
    } | ({"TuningJobCompletionCriteria": criteria} if criteria else {})


def warm_start_config(tuning: Tuning) -> dict:
    """WarmStartConfig of a tuning job that has parents."""
    return {
        "ParentHyperParameterTuningJobs": [
            {"HyperParameterTuningJobName": parent} for parent in tuning.parents
        ],
        "WarmStartType": tuning.warm_start,
    }
