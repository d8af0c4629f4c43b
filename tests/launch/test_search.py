"""The command tune: a chain of searches."""

from dataclasses import replace
from typing import Any

import pytest

from launch.check_recipe import tuning as look_at_tuning
from launch.errors import LaunchError
from launch.requests_training import common
from launch.search import tune
from recipes.tuning import Tuning
from tests.support.launching import ARN, ScriptedAws
from tune.request import tuning_config


def tuning(status: str) -> dict:
    return {
        "HyperParameterTuningJobName": "x",
        "HyperParameterTuningJobArn": ARN,
        "HyperParameterTuningJobConfig": {
            "Strategy": "Bayesian",
            "ResourceLimits": {"MaxParallelTrainingJobs": 1},
        },
        "HyperParameterTuningJobStatus": status,
        "CreationTime": 0,
        "TrainingJobStatusCounters": {"Completed": 1},
        "ObjectiveStatusCounters": {},
    }


def described(one: ScriptedAws, search: Tuning, **definition: object) -> dict[str, Any]:
    """The answer about a completed search of the recipe; definition: fields that differ."""
    trainings = {
        "StaticHyperParameters": dict(search.static),
        **common(one.context.recipe, one.context.target, search.name),
        **definition,
    }
    config = tuning_config(search)
    return {
        **tuning("Completed"),
        "HyperParameterTuningJobConfig": config,
        "TrainingJobDefinition": trainings,
    }


def trial(name: str, value: float) -> dict:
    return {
        "TrainingJobName": name,
        "TrainingJobArn": ARN,
        "CreationTime": 0,
        "TrainingJobStatus": "Completed",
        "TunedHyperParameters": {"lr": "0.01"},
        "FinalHyperParameterTuningJobObjectiveMetric": {
            "MetricName": "validation_accuracy",
            "Value": value,
        },
    }


def parents_of(request: dict) -> list[str]:
    """Names of the searches from which a request starts warm."""
    config = request.get("WarmStartConfig", {})
    parents = config.get("ParentHyperParameterTuningJobs", [])
    return [parent["HyperParameterTuningJobName"] for parent in parents]


def test_a_chain_of_searches_starts_each_warm_from_its_parents(script):
    one = script("yoga_poses", over_budget=True)
    asked: list[dict] = []
    one.stub("sagemaker")
    one.record("CreateHyperParameterTuningJob", asked)
    for number in range(1, 5):
        one.answer(
            "sagemaker", "create_hyper_parameter_tuning_job", {"HyperParameterTuningJobArn": ARN}
        )
        one.answer("sagemaker", "describe_hyper_parameter_tuning_job", tuning("Completed"))
        one.answer(
            "sagemaker",
            "list_training_jobs_for_hyper_parameter_tuning_job",
            {"TrainingJobSummaries": [trial(f"trial-{number}", 0.5)]},
        )
    assert tune(one.context) == 0
    assert "trial trial-3: Completed; validation_accuracy=0.5000; lr=0.01" in one.finished()
    parents = [parents_of(request) for request in asked]
    names = [f"yoga-{number}-261121-1815-k3f9" for number in range(1, 5)]
    assert [request["HyperParameterTuningJobName"] for request in asked] == names
    assert parents == [[], names[:1], [], names[2:3]]
    again = script("yoga_poses", over_budget=True)
    for one_search in again.context.recipe.tuning:
        answer = described(again, one_search)
        again.answer("sagemaker", "describe_hyper_parameter_tuning_job", answer)
    for _ in names:
        again.answer("sagemaker", "describe_hyper_parameter_tuning_job", tuning("Completed"))
    assert tune(again.context) == 0
    assert again.finished().count("completed as yoga-") == 4


def test_a_search_that_fails_ends_the_chain(script):
    one = script("yoga_poses")
    one.answer(
        "sagemaker", "create_hyper_parameter_tuning_job", {"HyperParameterTuningJobArn": ARN}
    )
    one.answer(
        "sagemaker",
        "describe_hyper_parameter_tuning_job",
        {**tuning("Failed"), "FailureReason": "all trainings failed"},
    )
    one.answer(
        "sagemaker",
        "list_training_jobs_for_hyper_parameter_tuning_job",
        {"TrainingJobSummaries": []},
    )
    assert tune(one.context) == 1
    assert "Failed; Completed=1; all trainings failed" in one.finished()
    assert "the chain ends here" in one.finished()


def changed(one: ScriptedAws, number: int, **fields: Any) -> None:
    """Let the context's recipe have another search in that place."""
    searches = list(one.context.recipe.tuning)
    searches[number] = replace(searches[number], **fields)
    one.context.recipe = replace(one.context.recipe, tuning=tuple(searches))


def test_a_chain_that_would_break_later_starts_nothing(script):
    """A child's other names, and a parent that is gone, cost the parent's hours before."""
    one = script("yoga_poses", over_budget=True)
    third = one.context.recipe.tuning[2]
    changed(one, 2, static={**third.static, "momentum": "0.5"})
    for command in (tune, lambda context: list(look_at_tuning(context))):
        with pytest.raises(LaunchError, match="momentum is in one of the two only"):
            command(one.context)
    changed(one, 2, static=third.static, parents=("gone",))
    message = "could not find tuning job"
    one.refuse("sagemaker", "describe_hyper_parameter_tuning_job", "ResourceNotFound", message)
    with pytest.raises(LaunchError, match="the parent 'gone' does not exist"):
        tune(one.context)
    one.finished()
    assert one.context.state.entries == []


def test_what_really_ran_is_the_parent(script):
    """The recipe may have changed since; and identical data means the parent's own."""
    one = script("yoga_poses", over_budget=True, search="yoga-2")
    first = one.context.recipe.tuning[0]
    one.context.note("tuning", "yoga-1-old", search="yoga-1")
    answer = described(one, first, StaticHyperParameters={**first.static, "momentum": "0.5"})
    asked = {"HyperParameterTuningJobName": "yoga-1-old"}
    one.answer("sagemaker", "describe_hyper_parameter_tuning_job", answer, asked)
    with pytest.raises(LaunchError, match="momentum is in one of the two only"):
        tune(one.context)
    channel = {
        "ChannelName": "train",
        "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://other/"}},
    }
    one.answer(
        "sagemaker",
        "describe_hyper_parameter_tuning_job",
        described(one, first, InputDataConfig=[channel]),
    )
    changed(one, 1, warm_start="IdenticalDataAndAlgorithm")
    with pytest.raises(LaunchError, match="that of its parent 'yoga-1' train=s3://other;"):
        tune(one.context)
    one.finished()
