"""CreateHyperParameterTuningJob: what the recipe's `tuning` settles, with machines, image and channels added. Pure."""

from launch.recipe import Recipe
from launch.requests_training import TUNING_NAME_LIMIT, Target, common, dated, tags


def tuning_name(search: str, stamp: str) -> str:
    """A search's name on SageMaker, where names are never free again: with a time, in 32 characters."""
    return dated(search, stamp, TUNING_NAME_LIMIT)


def tuning_job(
    recipe: Recipe, target: Target, part: dict, name: str, parents: dict[str, str]
) -> dict:
    """The request. part: what `tune.request.tuning_request` gives; parents: SageMaker's name of each search of this recipe that was started."""
    definition = part["TrainingJobDefinition"]
    filled = common(recipe, target, name)
    own, algorithm = (
        definition["AlgorithmSpecification"]["MetricDefinitions"],
        filled["AlgorithmSpecification"],
    )
    named = {entry["Name"] for entry in own}
    algorithm["MetricDefinitions"] = [
        *own,
        *(entry for entry in algorithm["MetricDefinitions"] if entry["Name"] not in named),
    ]
    if (
        not recipe.settings.training.spot
    ):  # nothing else interrupts a trial, and trials must not meet in one folder
        filled.pop("CheckpointConfig", None)
    request = {
        **part,
        "HyperParameterTuningJobName": name,
        "TrainingJobDefinition": {
            "StaticHyperParameters": definition["StaticHyperParameters"],
            **filled,
        },
        "Tags": tags(recipe),
    }
    if "WarmStartConfig" in part:
        named_parents = [
            parent["HyperParameterTuningJobName"]
            for parent in part["WarmStartConfig"]["ParentHyperParameterTuningJobs"]
        ]
        request["WarmStartConfig"] = {
            **part["WarmStartConfig"],
            "ParentHyperParameterTuningJobs": [
                {"HyperParameterTuningJobName": parents.get(parent, parent)}
                for parent in named_parents
            ],
        }
    return request
