"""The command tune: a chain of searches."""

from launch.search import tune
from tests.support.launching import ARN


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
    assert parents == [[], names[:1], names[:2], names[:3]]
    again = script("yoga_poses", over_budget=True)
    for _ in names:
        again.answer("sagemaker", "describe_hyper_parameter_tuning_job", tuning("Completed"))
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
