"""CreateHyperParameterTuningJob: the part that `tune` settles, with machines, image, channels."""

from launch.aws import Request
from launch.recipe import Recipe
from launch.requests_training import TUNING_NAME_LIMIT, Target, common, dated, tags


def tuning_name(search: str, stamp: str) -> str:
    """A search's name on SageMaker, at most 32 characters.

    It has a time, because SageMaker never frees the name of a job.
    """
    return dated(search, stamp, TUNING_NAME_LIMIT)


def tuning_job(
    recipe: Recipe, target: Target, part: Request, name: str, parents: dict[str, str]
) -> Request:
    """The request. part: the result of `tune.request.tuning_request`.

    parents: SageMaker's names of this recipe's searches that were started, by their own names.
    """
    definition = part["TrainingJobDefinition"]
    filled = common(recipe, target, name)
    algorithm = filled["AlgorithmSpecification"]
    own_metrics = definition["AlgorithmSpecification"]["MetricDefinitions"]
    own_names = {entry["Name"] for entry in own_metrics}
    others = [entry for entry in algorithm["MetricDefinitions"] if entry["Name"] not in own_names]
    algorithm["MetricDefinitions"] = [*own_metrics, *others]
    if not recipe.sagemaker.training.spot:
        # Only spot interrupts a trial. All trials of a job would share the checkpoints' folder.
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
        request["WarmStartConfig"] = warm_start(part["WarmStartConfig"], parents)
    return request


def warm_start(config: Request, parents: dict[str, str]) -> Request:
    """WarmStartConfig with SageMaker's names of the parents."""
    named = []
    for parent in config["ParentHyperParameterTuningJobs"]:
        search = parent["HyperParameterTuningJobName"]
        named.append({"HyperParameterTuningJobName": parents.get(search, search)})
    return {**config, "ParentHyperParameterTuningJobs": named}
