"""A tuning job on local SageMaker: `python -m tune` searches, boto3 sees SageMaker's own shapes."""

import pytest
from botocore.exceptions import ClientError

from local_sagemaker.access import Access
from local_sagemaker.platform import Platform
from local_sagemaker.tuning_run import TuningRun
from runtime.container_engine import choose_container_engine
from tests.support.jobs import SMALL, draw_channel
from tests.support.sagemakers import (
    BUCKET,
    local_sagemaker,
    moto,
    put_folder,
    training_request,
    until,
)
from tune.managed import read_managed

pytestmark = pytest.mark.training


def tuning_request(name: str) -> dict:
    training = training_request(name)
    # lr is searched, so it has no fixed value.
    static = {key: value for key, value in SMALL.items() if key != "lr"} | {"epochs": "1"}
    ranges = {
        "ContinuousParameterRanges": [
            {"Name": "lr", "MinValue": "0.001", "MaxValue": "0.01", "ScalingType": "Logarithmic"}
        ]
    }
    config = {
        "Strategy": "Random",
        "HyperParameterTuningJobObjective": {
            "Type": "Maximize",
            "MetricName": "validation:accuracy",
        },
        "ParameterRanges": ranges,
        "ResourceLimits": {"MaxNumberOfTrainingJobs": 2, "MaxParallelTrainingJobs": 2},
        "RandomSeed": 7,
    }
    kept = (
        "AlgorithmSpecification",
        "RoleArn",
        "InputDataConfig",
        "OutputDataConfig",
        "ResourceConfig",
        "StoppingCondition",
    )
    return {
        "HyperParameterTuningJobName": name,
        "HyperParameterTuningJobConfig": config,
        "TrainingJobDefinition": {
            "StaticHyperParameters": static,
            **{key: training[key] for key in kept},
        },
    }


def test_a_tuning_job_searches(tmp_path):
    with moto() as url, local_sagemaker(tmp_path / "state", url) as cloud:
        put_folder(cloud.client("s3"), draw_channel(tmp_path / "photos", 6), "train")
        sagemaker = cloud.client("sagemaker")
        request = tuning_request("search")
        wrong = tuning_request("wrong")
        # No metric definition has this name.
        wrong["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"]["MetricName"] = (
            "other"
        )
        with pytest.raises(
            ClientError, match="A metric is required for this hyperparameter tuning job objective"
        ):
            sagemaker.create_hyper_parameter_tuning_job(**wrong)
        sagemaker.create_hyper_parameter_tuning_job(**request)
        until(
            lambda: (
                sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName="search")[
                    "HyperParameterTuningJobStatus"
                ]
                != "InProgress"
            ),
            120,
        )
        job = sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName="search")
        assert job["HyperParameterTuningJobStatus"] == "Completed", job.get("FailureReason")
        assert job["TrainingJobStatusCounters"]["Completed"] == 2
        assert job["ObjectiveStatusCounters"]["Succeeded"] == 2
        children = sagemaker.list_training_jobs_for_hyper_parameter_tuning_job(
            HyperParameterTuningJobName="search",
            SortBy="FinalObjectiveMetricValue",
            SortOrder="Descending",
        )["TrainingJobSummaries"]
        values = [
            child["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] for child in children
        ]
        assert len(values) == 2
        assert values == sorted(values, reverse=True)
        assert all(set(child["TunedHyperParameters"]) == {"lr"} for child in children)
        best = sagemaker.describe_training_job(
            TrainingJobName=job["BestTrainingJob"]["TrainingJobName"]
        )
        assert best["TuningJobArn"] == job["HyperParameterTuningJobArn"]
        # The platform adds it to each trial.
        assert best["HyperParameters"]["_tuning_objective_metric"] == "validation:accuracy"
        assert [step["Status"] for step in best["SecondaryStatusTransitions"]] == [
            "Starting",
            "Training",
            "Uploading",
            "Completed",
        ]
        logs = cloud.client("logs")
        group = "/aws/sagemaker/TrainingJobs"
        streams = until(
            lambda: logs.describe_log_streams(
                logGroupName=group, logStreamNamePrefix=f"{best['TrainingJobName']}/algo-1-"
            )["logStreams"]
        )
        events = logs.get_log_events(logGroupName=group, logStreamName=streams[0]["logStreamName"])[
            "events"
        ]
        assert any("validation_accuracy=" in event["message"] for event in events)
        key = best["ModelArtifacts"]["S3ModelArtifacts"].removeprefix(f"s3://{BUCKET}/")
        assert cloud.client("s3").head_object(Bucket=BUCKET, Key=key)["ContentLength"] > 100_000

        def whole_curves() -> list[tuple[float, ...]] | None:
            [study, *_] = read_managed("search", sagemaker, logs=logs)
            found = [trial.curve for trial in study.trials]
            return found if all(found) else None

        # Lines of the log may come after the trial has ended.
        curves = until(whole_curves)
        assert sorted(curve[-1] for curve in curves) == sorted(values)


@pytest.mark.verify
def test_a_search_goes_on_when_the_server_comes_again(tmp_path):
    request = tuning_request("long")
    request["HyperParameterTuningJobConfig"]["ResourceLimits"] = {
        "MaxNumberOfTrainingJobs": 3,
        "MaxParallelTrainingJobs": 1,
    }
    trials = {"HyperParameterTuningJobName": "long", "SortBy": "CreationTime"}
    with moto() as url:
        with local_sagemaker(tmp_path / "state", url) as cloud:
            put_folder(cloud.client("s3"), draw_channel(tmp_path / "photos", 6), "train")
            sagemaker = cloud.client("sagemaker")
            sagemaker.create_hyper_parameter_tuning_job(**request)
            until(
                lambda: (
                    len(
                        sagemaker.list_training_jobs_for_hyper_parameter_tuning_job(**trials)[
                            "TrainingJobSummaries"
                        ]
                    )
                    == 2
                ),
                90,
            )
            [first, _] = sagemaker.list_training_jobs_for_hyper_parameter_tuning_job(**trials)[
                "TrainingJobSummaries"
            ]
            assert first["TrainingJobStatus"] == "Completed"
        with local_sagemaker(tmp_path / "state", url) as cloud:
            sagemaker = cloud.client("sagemaker")
            until(
                lambda: (
                    sagemaker.describe_hyper_parameter_tuning_job(
                        HyperParameterTuningJobName="long"
                    )["HyperParameterTuningJobStatus"]
                    != "InProgress"
                ),
                120,
            )
            job = sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName="long")
            assert job["HyperParameterTuningJobStatus"] == "Completed", job.get("FailureReason")
            done = sagemaker.list_training_jobs_for_hyper_parameter_tuning_job(**trials)[
                "TrainingJobSummaries"
            ]
    assert [trial["TrainingJobStatus"] for trial in done] == ["Completed"] * 3
    assert done[0] == first
    # What the search needed while it ran is gone.
    assert not any((tmp_path / "state" / "work").rglob("*.*"))


def test_a_searchs_trainings_get_the_containers_key_and_the_requests_variables(tmp_path):
    platform = Platform(tmp_path, choose_container_engine("process"))
    given = Access().container_environment("http://127.0.0.1:8090")
    platform.container_environment = given
    definition = {"Environment": {"MINE": "1", "AWS_REGION": "eu-west-3"}}
    for isolated in (False, True):
        record = {
            "HyperParameterTuningJobName": "search",
            "HyperParameterTuningJobArn": "arn:aws:sagemaker:eu-west-1:000000000000:search",
            "Region": "eu-west-1",
            "TrainingJobDefinition": {**definition, "EnableNetworkIsolation": isolated},
        }
        variables = TuningRun(platform, record)._environment()
        assert variables["MINE"] == "1"
        assert variables["AWS_REGION"] == "eu-west-3"
        assert ("AWS_SECRET_ACCESS_KEY" in variables) == (not isolated)
