"""A request for a tuning job, checked at its creation, as SageMaker does: nothing fails later."""

import importlib.util
import math
from collections.abc import Callable
from typing import Any

from local_sagemaker.contract import NOT_FOUND, ApiError, invalid
from local_sagemaker.jobs import training
from local_sagemaker.platform import Platform
from local_sagemaker.record import Record
from local_sagemaker.tuning.trials import NAME, training_request
from local_sagemaker.tuning.tuning_recipe import metric_of, parents, recipe
from local_sagemaker.tuning.tuning_run import KIND, results_file
from recipes.errors import RecipeError
from recipes.tuning import Tuning
from recipes.tuning_section import read_tuning
from recipes.warm_start import check_change, check_same_sources, planned

STATUS = "HyperParameterTuningJobStatus"
ENDED = ("Completed", "Failed", "Stopped")


def check(platform: Platform, request: Record) -> None:
    """ApiError where SageMaker would refuse the request, or this server cannot do it."""
    definition = request.get("TrainingJobDefinition")
    config = request.get("HyperParameterTuningJobConfig", {})
    if importlib.util.find_spec("tune") is None:
        raise invalid(
            "local SageMaker: tuning jobs run on the package tune, which is not in this checkout",
        )
    if definition is None:
        raise invalid("local SageMaker: a tuning job has one TrainingJobDefinition here")
    _check_config(config)
    try:
        metric_of(request)
    except StopIteration as error:
        raise invalid(
            "A metric is required for this hyperparameter tuning job objective. "
            "Provide a metric in the metric definitions.",
        ) from error
    static = definition.get("StaticHyperParameters", {})
    training.check(platform, training_request(request, request[NAME], static))
    _check_parents(platform, request)


def _check_parents(platform: Platform, request: Record) -> None:
    """ApiError for a request that no search can be, or whose parents it cannot start from."""
    searched = _checked(request)
    for parent in parents(request):
        record = record_of(platform, parent)
        if record[STATUS] not in ENDED or not results_file(platform, parent).is_file():
            raise invalid(
                f"The parent tuning job {parent} is {record[STATUS]}; "
                "a parent must have ended, with training jobs of its own"
            )
        theirs = _checked(record)
        _sentence(check_change, searched, planned(theirs))
        own = request["TrainingJobDefinition"]
        _sentence(check_same_sources, searched, parent, own, record["TrainingJobDefinition"])


def _checked(request: Record) -> Tuning:
    """The request as a search, by the rules of recipes. ApiError for the first broken one."""
    document = recipe(request)
    static = document["hyperparameters"]
    (tuning,) = _sentence(read_tuning, document["tuning"], static, {})
    found: Tuning = tuning
    return found


def _sentence(check: Callable[..., Any], *given: object) -> Any:
    """What a check of recipes returns; its refusal as SageMaker's."""
    try:
        return check(*given)
    except RecipeError as error:
        raise invalid(str(error)) from error


def _check_config(config: Record) -> None:
    """ApiError for a HyperParameterTuningJobConfig that this server cannot do."""
    for part in ("ParameterRanges", "HyperParameterTuningJobObjective"):
        if not config.get(part):
            raise invalid(f"local SageMaker: HyperParameterTuningJobConfig.{part} is needed here")
    _check_ranges(config["ParameterRanges"])


def _check_ranges(ranges: Record) -> None:
    """ApiError for a bound that is no number: SageMaker's API has them as texts."""
    for kind in ("Continuous", "Integer"):
        for entry in ranges.get(f"{kind}ParameterRanges", []):
            for bound in ("MinValue", "MaxValue"):
                if not _is_number(entry[bound]):
                    raise invalid(
                        f"The {bound} of '{entry['Name']}' must be a number; found '{entry[bound]}'"
                    )


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def record_of(platform: Platform, name: str) -> Record:
    """A tuning job's record. ApiError where there is none."""
    record = platform.store.find(KIND, name)
    if record is None:
        raise ApiError(NOT_FOUND, f"Amazon SageMaker can't find a tuning job with the name {name}.")
    return record
