"""SageMaker's answers about tuning jobs, for a client under botocore's Stubber.

The Stubber checks their shapes and the requests.
"""

from datetime import UTC, datetime

ARN = "arn:aws:sagemaker:eu-west-1:123456789012:"
# botocore's shape of the answer requires them.
COUNTERS: dict[str, dict[str, int]] = {
    "TrainingJobStatusCounters": {},
    "ObjectiveStatusCounters": {},
}
SPACES = {
    "ContinuousParameterRanges": [
        {"Name": "lr", "MinValue": "0.005", "MaxValue": "0.015", "ScalingType": "Logarithmic"}
    ],
    "IntegerParameterRanges": [{"Name": "epochs", "MinValue": "5", "MaxValue": "10"}],
    # SageMaker's SDK writes values as JSON, people write them bare.
    "CategoricalParameterRanges": [{"Name": "batch_size", "Values": ['"16"', "30"]}],
}


def moment(minute: int) -> datetime:
    return datetime(2026, 11, 21, 10, minute, tzinfo=UTC)


def definition(**changes) -> dict:
    return {
        "AlgorithmSpecification": {"TrainingInputMode": "File"},
        "RoleArn": "arn:aws:iam::123456789012:role/r",
        "OutputDataConfig": {"S3OutputPath": "s3://b"},
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
        # SageMaker adds the objective's name to what the user gave.
        "StaticHyperParameters": {"model": '"vgg16"', "_tuning_objective_metric": "accuracy"},
        **changes,
    }


def described(
    name: str, minute: int, parents: tuple[str, ...] = (), config: dict | None = None, **changes
) -> dict:
    objective = {
        "HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": "accuracy"},
        "ParameterRanges": SPACES,
    }
    warm = (
        {
            "WarmStartConfig": {
                "ParentHyperParameterTuningJobs": [
                    {"HyperParameterTuningJobName": parent} for parent in parents
                ],
                "WarmStartType": "IdenticalDataAndAlgorithm",
            }
        }
        if parents
        else {}
    )
    return {
        "HyperParameterTuningJobName": name,
        "HyperParameterTuningJobArn": f"{ARN}hyper-parameter-tuning-job/{name}",
        "HyperParameterTuningJobConfig": {
            "Strategy": "Bayesian",
            "ResourceLimits": {"MaxParallelTrainingJobs": 2},
            **(objective if config is None else config),
        },
        "TrainingJobDefinition": definition(),
        "HyperParameterTuningJobStatus": "Completed",
        "CreationTime": moment(minute),
        **COUNTERS,
        **warm,
        **changes,
    }


def summary(name: str, value: float | None = None, status: str = "Completed", **changes) -> dict:
    final_metric = {
        "FinalHyperParameterTuningJobObjectiveMetric": {"MetricName": "accuracy", "Value": value},
        "ObjectiveStatus": "Succeeded",
    }
    metric = {} if value is None else final_metric
    return {
        "TrainingJobName": name,
        "TrainingJobArn": f"{ARN}training-job/{name}",
        "CreationTime": moment(1),
        "TrainingStartTime": moment(2),
        "TrainingEndTime": moment(4),
        "TrainingJobStatus": status,
        "TunedHyperParameters": {"lr": "0.01", "epochs": "5", "batch_size": '"16"'},
        **metric,
        **changes,
    }


def describe(stubber, name: str, answer: dict) -> None:
    stubber.add_response(
        "describe_hyper_parameter_tuning_job", answer, {"HyperParameterTuningJobName": name}
    )


def listed(stubber, name: str, *pages: list[dict]) -> None:
    asked = {
        "HyperParameterTuningJobName": name,
        "SortBy": "CreationTime",
        "SortOrder": "Ascending",
    }
    for number, page in enumerate(pages):
        more = {"NextToken": f"page{number + 1}"} if number + 1 < len(pages) else {}
        stubber.add_response(
            # The request for a page holds the token that came with the page before.
            "list_training_jobs_for_hyper_parameter_tuning_job",
            {"TrainingJobSummaries": page, **more},
            {**asked, **({"NextToken": f"page{number}"} if number else {})},
        )


def training_job(stubber, name: str, **changes) -> None:
    answer = {
        "TrainingJobName": name,
        "TrainingJobArn": f"{ARN}training-job/{name}",
        "ModelArtifacts": {"S3ModelArtifacts": ""},
        "TrainingJobStatus": "Stopped",
        "SecondaryStatus": "Stopped",
        "StoppingCondition": {},
        "CreationTime": moment(1),
        **changes,
    }
    stubber.add_response("describe_training_job", answer, {"TrainingJobName": name})
