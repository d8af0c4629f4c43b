"""A tuning job on local SageMaker: `python -m tune` searches, boto3 sees SageMaker's own shapes."""

import copy

import psutil
import pytest
from botocore.exceptions import ClientError

from local_sagemaker import contract
from local_sagemaker.tuning.trials import training_request as training_request_of
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
        request["Tags"] = [{"Key": "slipway:recipe", "Value": "demo"}]
        [channel] = request["TrainingJobDefinition"]["InputDataConfig"]
        channel["ChannelName"] = "training"
        algorithm = request["TrainingJobDefinition"]["AlgorithmSpecification"]
        algorithm["MetricDefinitions"].insert(0, {"Name": "epochs", "Regex": "epoch=([0-9]+)"})
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
        static = job["TrainingJobDefinition"]["StaticHyperParameters"]
        assert static["_tuning_objective_metric"] == "validation:accuracy"
        assert sagemaker.list_tags(ResourceArn=best["TrainingJobArn"])["Tags"] == request["Tags"]
        # The objective is picked by its name, not by its place.
        found = {entry["MetricName"]: entry["Value"] for entry in best["FinalMetricDataList"]}
        assert set(found) == {"epochs", "validation:accuracy"}
        assert found["validation:accuracy"] == values[0]
        assert best["ResourceConfig"] == request["TrainingJobDefinition"]["ResourceConfig"]
        assert best["SecondaryStatusTransitions"][-1]["StatusMessage"] == "Training job completed"
        assert [step["Status"] for step in best["SecondaryStatusTransitions"]] == [
            "Starting",
            "Downloading",
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


@pytest.mark.verify
def test_a_stop_and_the_longest_runtime_reach_the_trainings(tmp_path):
    long = tuning_request("stopped")
    long["TrainingJobDefinition"]["StaticHyperParameters"]["epochs"] = "10000"
    short = copy.deepcopy(long) | {"HyperParameterTuningJobName": "short"}
    short["TrainingJobDefinition"]["StoppingCondition"]["MaxRuntimeInSeconds"] = 15
    limits = {"MaxNumberOfTrainingJobs": 1, "MaxParallelTrainingJobs": 1}
    short["HyperParameterTuningJobConfig"]["ResourceLimits"] = limits
    with moto() as url, local_sagemaker(tmp_path / "state", url) as cloud:
        put_folder(cloud.client("s3"), draw_channel(tmp_path / "photos", 6), "train")
        sagemaker = cloud.client("sagemaker")

        def trainings(name: str) -> list[dict]:
            return [
                sagemaker.describe_training_job(TrainingJobName=member["TrainingJobName"])
                for member in sagemaker.list_training_jobs_for_hyper_parameter_tuning_job(
                    HyperParameterTuningJobName=name
                )["TrainingJobSummaries"]
            ]

        def until_status(name: str, status: str) -> dict:
            asked = {"HyperParameterTuningJobName": name}
            ask = sagemaker.describe_hyper_parameter_tuning_job
            until(lambda: ask(**asked)["HyperParameterTuningJobStatus"] == status, 180)
            return ask(**asked)

        sagemaker.create_hyper_parameter_tuning_job(**long)
        training = ["Training", "Training"]
        until(lambda: [job["SecondaryStatus"] for job in trainings("stopped")] == training, 120)
        # As early stopping does: tune ends one trial's program.
        [program] = [
            process
            for process in psutil.Process(cloud.process.pid).children(recursive=True)
            if process.cmdline()[-1].endswith("stopped-001")
        ]
        program.terminate()
        one = {"TrainingJobName": "stopped-001"}
        ask = sagemaker.describe_training_job
        until(lambda: ask(**one)["TrainingJobStatus"] == "Stopped", 120)
        sagemaker.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName="stopped")
        job = until_status("stopped", "Stopped")
        assert job["TrainingJobStatusCounters"]["Stopped"] == 2
        assert [job["TrainingJobStatus"] for job in trainings("stopped")] == ["Stopped"] * 2
        sagemaker.create_hyper_parameter_tuning_job(**short)
        # On a slow machine it may have printed no objective by then, and the search then fails.
        over = ["MaxRuntimeExceeded"]
        until(lambda: [job["SecondaryStatus"] for job in trainings("short")] == over, 180)
        assert trainings("short")[0]["TrainingJobStatus"] == "Stopped"


def test_a_trial_asks_for_all_that_the_definition_has():
    job = tuning_request("search")
    definition = job["TrainingJobDefinition"]
    definition |= {
        "Environment": {"MINE": "1", "AWS_REGION": "eu-west-3"},
        "EnableNetworkIsolation": True,
        "EnableManagedSpotTraining": True,
        "CheckpointConfig": {"S3Uri": "s3://photos/checkpoints"},
        "VpcConfig": {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]},
        "RetryStrategy": {"MaximumRetryAttempts": 2},
        "DefinitionName": "one",
    }
    job["Tags"] = [{"Key": "slipway:recipe", "Value": "demo"}]
    request = training_request_of(job, "search-001", {"lr": "0.5"})
    of_searches = ("StaticHyperParameters", "DefinitionName")
    kept = {key: value for key, value in definition.items() if key not in of_searches}
    assert request == {
        **kept,
        "TrainingJobName": "search-001",
        "HyperParameters": {"lr": "0.5", "_tuning_objective_metric": "validation:accuracy"},
        "Tags": job["Tags"],
    }
    contract.check("CreateTrainingJob", request)


def test_a_trial_takes_the_first_of_several_kinds_of_instances():
    job = tuning_request("search")
    definition = job["TrainingJobDefinition"]
    del definition["ResourceConfig"]
    wanted = {"InstanceType": "ml.m5.xlarge", "InstanceCount": 2, "VolumeSizeInGB": 30}
    other = {**wanted, "InstanceType": "ml.c5.xlarge"}
    definition["HyperParameterTuningResourceConfig"] = {"InstanceConfigs": [wanted, other]}
    assert training_request_of(job, "search-001", {})["ResourceConfig"] == wanted
