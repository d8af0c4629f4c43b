"""Trainings on local SageMaker, through boto3: small ones as processes, moto for S3 and logs."""

import datetime
import io
import tarfile
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from local_sagemaker import folders, objects
from local_sagemaker.access.own_requests import signed
from local_sagemaker.jobs.checkpoints import Checkpoints
from tests.support.jobs import draw_channel
from tests.support.sagemakers import (
    BUCKET,
    ended,
    local_sagemaker,
    moto,
    put_folder,
    training_request,
    until,
)


@pytest.fixture(scope="module")
def cloud(tmp_path_factory):
    with moto() as url, local_sagemaker(tmp_path_factory.mktemp("state"), url) as cloud:
        put_folder(cloud.client("s3"), draw_channel(tmp_path_factory.mktemp("photos"), 6), "train")
        yield cloud


@pytest.fixture(scope="module")
def sagemaker(cloud):
    return cloud.client("sagemaker")


@pytest.fixture(scope="module")
def whole(sagemaker):
    """A training of two epochs that has ended, as SageMaker describes it."""
    tags = [{"Key": "kit", "Value": "slipway"}]
    sagemaker.create_training_job(**training_request("whole", epochs=2), Tags=tags)
    return ended(sagemaker, "whole")


@pytest.mark.training
def test_a_training_runs_whole(cloud, sagemaker, whole):
    assert whole["TrainingJobArn"] == "arn:aws:sagemaker:eu-west-1:123456789012:training-job/whole"
    assert whole["TrainingJobStatus"] == "Completed", whole.get("FailureReason")
    assert [step["Status"] for step in whole["SecondaryStatusTransitions"]] == [
        "Starting",
        "Downloading",
        "Training",
        "Uploading",
        "Completed",
    ]
    assert (
        whole["ModelArtifacts"]["S3ModelArtifacts"]
        == f"s3://{BUCKET}/out/whole/output/model.tar.gz"
    )
    assert whole["TrainingStartTime"] <= whole["TrainingEndTime"]
    [metric] = whole["FinalMetricDataList"]
    assert metric["MetricName"] == "validation:accuracy"
    assert 0 <= metric["Value"] <= 1
    made = cloud.client("s3").get_object(Bucket=BUCKET, Key="out/whole/output/model.tar.gz")
    archive = made["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(archive)) as file:
        assert {"model.json", "model.onnx"} <= set(file.getnames())
    assert sagemaker.list_tags(ResourceArn=whole["TrainingJobArn"])["Tags"] == [
        {"Key": "kit", "Value": "slipway"}
    ]


@pytest.mark.training
def test_logs_are_in_cloudwatch(cloud, whole):
    logs = cloud.client("logs")
    [stream] = logs.describe_log_streams(
        logGroupName="/aws/sagemaker/TrainingJobs", logStreamNamePrefix="whole/algo-1-"
    )["logStreams"]
    lines = [
        event["message"]
        for event in logs.get_log_events(
            logGroupName="/aws/sagemaker/TrainingJobs", logStreamName=stream["logStreamName"]
        )["events"]
    ]
    assert any("validation_accuracy=" in line for line in lines)


@pytest.mark.training
def test_metrics_are_in_cloudwatch_where_the_sdk_asks_for_them(cloud, whole):
    [final] = whole["FinalMetricDataList"]

    def sent() -> list[dict]:
        # As TrainingJobAnalytics of the SDK asks.
        answer = cloud.client("cloudwatch").get_metric_statistics(
            Namespace="/aws/sagemaker/TrainingJobs",
            MetricName="validation:accuracy",
            Dimensions=[{"Name": "TrainingJobName", "Value": "whole"}],
            StartTime=whole["TrainingStartTime"] - datetime.timedelta(minutes=1),
            EndTime=whole["TrainingEndTime"] + datetime.timedelta(minutes=1),
            Period=60,
            Statistics=["Minimum", "Maximum", "SampleCount"],
        )
        return answer["Datapoints"]

    points = until(sent)
    assert sum(point["SampleCount"] for point in points) >= 2  # epochs, and the artifact
    assert min(point["Minimum"] for point in points) <= final["Value"]
    assert max(point["Maximum"] for point in points) >= final["Value"]


@pytest.mark.training
def test_a_training_that_fails_says_why_in_the_region_it_was_made_in(cloud):
    sagemaker = cloud.client("sagemaker", "us-gov-west-1")
    made = sagemaker.create_training_job(**training_request("fails", epochs="many"))
    assert (
        made["TrainingJobArn"]
        == "arn:aws-us-gov:sagemaker:us-gov-west-1:123456789012:training-job/fails"
    )
    job = ended(sagemaker, "fails")
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("AlgorithmError: ")
    assert "many" in job["FailureReason"]
    assert ", exit code: " in job["FailureReason"]
    assert "many" in printed(cloud, "fails", "us-gov-west-1")


@pytest.mark.training
def test_a_channel_without_objects_fails_the_job(sagemaker):
    request = training_request("empty")
    request["InputDataConfig"][0]["DataSource"]["S3DataSource"]["S3Uri"] = f"s3://{BUCKET}/nothing/"
    sagemaker.create_training_job(**request)
    job = ended(sagemaker, "empty")
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith(
        'ClientError: Data download failed:No S3 objects found under S3 URL "s3://photos/nothing/"'
    )


@pytest.mark.verify
@pytest.mark.training
def test_a_spot_training_goes_on_from_its_checkpoint_and_stopped_keeps_its_model(cloud, sagemaker):
    request = training_request("spot", epochs=500)
    request |= {
        "EnableManagedSpotTraining": True,
        "CheckpointConfig": {"S3Uri": f"s3://{BUCKET}/checkpoints/spot"},
        "StoppingCondition": {"MaxRuntimeInSeconds": 600, "MaxWaitTimeInSeconds": 900},
    }
    sagemaker.create_training_job(**request)
    until(lambda: "epoch=2" in printed(cloud, "spot"))
    signed("POST", "/local/training-jobs/spot/interrupt", cloud.exports)
    until(lambda: "going on from the checkpoint of epoch" in printed(cloud, "spot"))
    sagemaker.stop_training_job(TrainingJobName="spot")
    job = ended(sagemaker, "spot")
    assert job["TrainingJobStatus"] == "Stopped", job.get("FailureReason")
    assert job["SecondaryStatus"] == "Stopped", job.get("FailureReason")
    states = [step["Status"] for step in job["SecondaryStatusTransitions"]]
    assert states == [
        "Starting",
        "Downloading",
        "Training",
        "Interrupted",
        "Starting",
        "Downloading",
        "Training",
        "Stopping",
        "Uploading",
        "Stopped",
    ]
    assert job["ModelArtifacts"]["S3ModelArtifacts"].endswith("/spot/output/model.tar.gz")
    with pytest.raises(ClientError, match="is in status Stopped"):
        sagemaker.stop_training_job(TrainingJobName="spot")


def printed(cloud, job: str, region: str = "eu-west-1") -> str:
    """All lines of a job, as CloudWatch has them."""
    logs, group = cloud.client("logs", region), "/aws/sagemaker/TrainingJobs"
    streams = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=f"{job}/")[
        "logStreams"
    ]
    pages = [
        logs.get_log_events(logGroupName=group, logStreamName=stream["logStreamName"])["events"]
        for stream in streams
    ]
    return "\n".join(event["message"] for events in pages for event in events)


@pytest.mark.training
def test_hosts_train_together_and_debug_rules_are_judged(sagemaker, cloud):
    request = training_request("together", epochs=2, seed=3)
    request["ResourceConfig"]["InstanceCount"] = 2
    request["DebugHookConfig"] = {
        "S3OutputPath": f"s3://{BUCKET}/debug",
        "CollectionConfigurations": [
            {"CollectionName": "losses", "CollectionParameters": {"save_interval": "1"}}
        ],
    }
    image = "929884845733.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-debugger-rules:latest"
    request["ProfilerConfig"] = {
        "S3OutputPath": f"s3://{BUCKET}/debug",
        "ProfilingIntervalInMilliseconds": 100,
        "ProfilingParameters": {"LocalPath": "/opt/ml/output/profiler"},
    }
    request["ProfilerRuleConfigurations"] = [
        {
            "RuleConfigurationName": "Profile",
            "RuleEvaluatorImage": image,
            "RuleParameters": {
                "rule_to_invoke": "ProfilerReport",
                "opt_out_telemetry": "True",
                "CPUBottleneck_cpu_threshold": "95",
            },
        }
    ]
    request["DebugRuleConfigurations"] = [
        {
            "RuleConfigurationName": "Loss",
            "RuleEvaluatorImage": image,
            "RuleParameters": {
                "rule_to_invoke": "LossNotDecreasing",
                "defaults": "sagemaker",
                "num_steps": "2",
            },
        },
        {
            "RuleConfigurationName": "Unseen",
            "RuleEvaluatorImage": image,
            "RuleParameters": {"rule_to_invoke": "VanishingGradient"},
        },
        {
            "RuleConfigurationName": "Own",
            "RuleEvaluatorImage": image,
            "RuleParameters": {"source_s3_uri": f"s3://{BUCKET}/rule.py", "rule_to_invoke": "Own"},
        },
    ]
    sagemaker.create_training_job(**request)
    job = ended(sagemaker, "together")
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    streams = cloud.client("logs").describe_log_streams(
        logGroupName="/aws/sagemaker/TrainingJobs", logStreamNamePrefix="together/"
    )["logStreams"]
    assert len(streams) == 2
    # Four processes of diagnose, one after the other: seconds, but minutes on a busy machine.
    statuses = until(lambda: judged(sagemaker, "together"), timeout_s=300)
    assert statuses["Loss"] in ("NoIssuesFound", "IssuesFound")
    assert statuses["Own"] == "Error"
    assert statuses["Unseen"] == "Error", "gradients were not saved: nothing could be judged"
    unseen = sagemaker.describe_training_job(TrainingJobName="together")
    details = unseen["DebugRuleEvaluationStatuses"][1]["StatusDetails"]
    assert "not judged: it needs" in details
    assert statuses["Profile"] in ("NoIssuesFound", "IssuesFound")
    written = keys(cloud, "debug/together/")
    assert any(key.startswith("debug-output/events/") for key in written)
    assert {"debug-output/training_job_end.ts", "profiler-output/training_job_end.ts"} <= written
    reported = keys(cloud, "out/together/rule-output/")
    assert {
        "Loss/findings.json",
        "Profile/profiler-output/profiler-report.html",
        "Profile/profiler-output/profiler-reports/CPUBottleneck.json",
    } <= reported


@pytest.mark.slow
def test_a_checkpoint_that_goes_as_it_is_sent_fails_nothing(tmp_path, monkeypatch):
    folder, kept = tmp_path / "checkpoints", tmp_path / "s3"
    folder.mkdir()
    monkeypatch.setattr(folders, "_roots", [tmp_path])
    synced = Checkpoints(tmp_path, Path("checkpoints"), f"file://{kept}")
    for name in ("checkpoint-1.pt", "checkpoint-2.pt"):
        (folder / name).write_text(name)
    put = objects.put

    def put_late(root, name, uri):
        (folder / "checkpoint-1.pt").unlink(
            missing_ok=True
        )  # as a training does that keeps the newest
        put(root, name, uri)

    monkeypatch.setattr(objects, "put", put_late)
    synced.send()
    assert [path.name for path in kept.iterdir()] == ["checkpoint-2.pt"]
    (folder / "checkpoint-2.pt").write_text("changed")
    monkeypatch.setattr(objects, "put", lambda root, name, uri: put(root, "nothing", uri))
    with pytest.raises(objects.ObjectError):
        synced.send()


def keys(cloud, prefix: str) -> set[str]:
    """Names of the objects below a prefix."""
    found = cloud.client("s3").list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])
    return {entry["Key"].removeprefix(prefix) for entry in found}


def judged(sagemaker, name: str) -> dict[str, str]:
    """The rules' statuses once all are judged."""
    job = sagemaker.describe_training_job(TrainingJobName=name)
    rules = job["DebugRuleEvaluationStatuses"] + job["ProfilerRuleEvaluationStatuses"]
    statuses = {rule["RuleConfigurationName"]: rule["RuleEvaluationStatus"] for rule in rules}
    return {} if "InProgress" in statuses.values() else statuses
