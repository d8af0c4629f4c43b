"""The command report on a training and on a search; trainings from the best trial."""

import io
import tarfile

import pytest

from launch.download import report
from launch.jobs import train
from launch.recipe import read_recipe
from tests.support.launching import (
    ARN,
    CREATED,
    ScriptedAws,
)
from tests.support.registries import aws
from tune.results import read_results


def packed(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return stream.getvalue()


@pytest.mark.slow
def test_a_trainings_reports_come_home(colours, tmp_path, monkeypatch):
    with aws(monkeypatch):
        from launch.aws import client

        s3 = client("s3", "eu-west-1")
        s3.create_bucket(
            Bucket="photos", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
        )
        below = "slipway/colours/output/job"
        s3.put_object(
            Bucket="photos",
            Key=f"{below}/output/model.tar.gz",
            Body=packed(
                {
                    "model.json": b'{"accuracy": {"test": 0.5}}',
                    "../outside": b"x",
                    "/absolute": b"x",
                }
            ),
        )
        s3.put_object(
            Bucket="photos",
            Key=f"{below}/output/output.tar.gz",
            Body=packed({"report.html": b"<html>", "metrics.json": b"{}"}),
        )
        one = ScriptedAws(read_recipe_with_bucket(tmp_path), tmp_path, job="job")
        assert report(one.context) == 0
        folder = tmp_path / "launch/colours/job"
        assert one.finished().splitlines() == [
            f"report: {folder / 'output/data/report.html'}",
            "report: measured through the artifact:",
            "  test         0.5000",
        ]
        assert not (tmp_path / "launch/colours/job/outside").exists()
        s3.put_object(
            Bucket="photos",
            Key=f"{below}/debug-output/collections/000000000/worker_0_collections.json",
            Body=b"{}",
        )
        two = ScriptedAws(read_recipe_with_bucket(tmp_path), tmp_path, job="job")
        report(two.context)
        assert (
            folder / "output/debug-output/collections/000000000/worker_0_collections.json"
        ).read_bytes() == b"{}"
        assert (
            f"`python -m diagnose {folder / 'output'}` ended with code 1" in two.finished()
        )  # so it was run


def read_recipe_with_bucket(tmp_path):
    (tmp_path / "recipe.yaml").write_text("name: colours\nsagemaker: {bucket: photos}\n")
    return read_recipe(tmp_path / "recipe.yaml")


def searched() -> tuple[dict, list[dict]]:
    config = {
        "Strategy": "Bayesian",
        "HyperParameterTuningJobObjective": {
            "Type": "Maximize",
            "MetricName": "validation_accuracy",
        },
        "ResourceLimits": {"MaxParallelTrainingJobs": 1},
        "ParameterRanges": {
            "ContinuousParameterRanges": [
                {"Name": "lr", "MinValue": "0.001", "MaxValue": "0.1", "ScalingType": "Logarithmic"}
            ],
            "CategoricalParameterRanges": [{"Name": "batch_size", "Values": ["16", "32"]}],
        },
    }
    definition = {
        "StaticHyperParameters": {"model": "resnet18", "lr": "7"},
        "AlgorithmSpecification": {"TrainingInputMode": "File"},
        "RoleArn": "arn:aws:iam::123456789012:role/Role",
        "OutputDataConfig": {"S3OutputPath": "s3://b/"},
        "StoppingCondition": {},
    }
    trials = [
        {
            "TrainingJobName": f"trial-{number}",
            "TrainingJobArn": ARN,
            "CreationTime": CREATED,
            "TrainingJobStatus": "Completed",
            "TunedHyperParameters": {"lr": f"0.0{number}", "batch_size": "16"},
            "FinalHyperParameterTuningJobObjectiveMetric": {
                "MetricName": "validation_accuracy",
                "Value": value,
            },
        }
        for number, value in ((1, 0.25), (2, 0.75))
    ]
    return {
        "HyperParameterTuningJobName": "search",
        "HyperParameterTuningJobArn": ARN,
        "HyperParameterTuningJobConfig": config,
        "TrainingJobDefinition": definition,
        "HyperParameterTuningJobStatus": "Completed",
        "CreationTime": CREATED,
        "TrainingJobStatusCounters": {},
        "ObjectiveStatusCounters": {},
        "BestTrainingJob": trials[1],
    }, trials


def test_a_searchs_table_is_tunes_own(colours, tmp_path):
    one = colours()
    one.context.note("tuning", "search", search="colours")
    described, trials = searched()
    one.answer("sagemaker", "describe_hyper_parameter_tuning_job", described)
    one.answer(
        "sagemaker",
        "list_training_jobs_for_hyper_parameter_tuning_job",
        {"TrainingJobSummaries": trials[:1], "NextToken": "more"},
    )
    one.answer(
        "sagemaker",
        "list_training_jobs_for_hyper_parameter_tuning_job",
        {"TrainingJobSummaries": trials[1:]},
    )
    assert report(one.context) == 0
    assert "trial-2" in one.finished()
    assert one.printed[-1] == f"report: {tmp_path / 'launch/colours/search/report.html'}"
    assert "trial-2" in (tmp_path / "launch/colours/search/report.html").read_text()
    job = read_results(tmp_path / "launch/colours/search/results.json")[0]
    best = job.best()
    assert best is not None
    assert best.hyperparameters == {"model": "resnet18", "lr": "0.02", "batch_size": "16"}
    assert job.ranges["lr"] == {
        "type": "Continuous",
        "min": 0.001,
        "max": 0.1,
        "scale": "Logarithmic",
    }


def test_the_best_trials_hyperparameters_are_trained_and_its_model_deployed(colours):
    one = colours(best=True, no_wait=True)
    one.context.note("tuning", "search", search="colours")
    one.answer("sagemaker", "describe_hyper_parameter_tuning_job", searched()[0])
    asked: list[dict] = []
    one.record("CreateTrainingJob", asked)
    one.answer("sagemaker", "create_training_job", {"TrainingJobArn": ARN})
    assert train(one.context) == 0
    assert "best of search: trial-2" in one.finished()
    assert asked[0]["HyperParameters"] == {"model": "resnet18", "lr": "0.02", "batch_size": "16"}
