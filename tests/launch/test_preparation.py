"""launch prepare: its two requests, which photos it takes, and where it goes on."""

from dataclasses import replace

import pytest

from launch.errors import LaunchError
from launch.preparation import bring, prepare, step_in, unfinished_shards
from launch.requests_processing import Photos, join_job, shard_job
from recipes.preparation import Preparation
from tests.support.launching import CREATED, recipe, target

ROOT = "/opt/ml/processing"


def test_machines_decode_their_parts():
    given = recipe(preparation={"instance_count": 3, "volume_gb": 20}, network_isolation=True)
    request = shard_job(given, target(), "job", Photos("s3://b/photos/", is_plain=True))
    cluster = request["ProcessingResources"]["ClusterConfig"]
    assert (cluster["InstanceCount"], cluster["VolumeSizeInGB"]) == (3, 20)
    assert request["AppSpecification"]["ContainerArguments"] == [
        f"{ROOT}/photos",
        f"{ROOT}/shard",
        "--step=shard",
    ]
    (source,) = request["ProcessingInputs"]
    assert source["S3Input"]["S3DataDistributionType"] == "ShardedByS3Key"
    assert request["NetworkConfig"] == {"EnableNetworkIsolation": True}


def test_with_a_list_of_labels_each_machine_sees_all():
    request = shard_job(recipe(), target(), "job", Photos("s3://b/photos/", "labels.csv"))
    words = request["AppSpecification"]["ContainerArguments"]
    assert f"--labels={ROOT}/photos/labels.csv" in words
    assert words[-2:] == ["--part", "/opt/ml/config/resourceconfig.json"]
    (source,) = request["ProcessingInputs"]
    assert source["S3Input"]["S3DataDistributionType"] == "FullyReplicated"


def test_one_machine_splits_what_all_decoded():
    options = Preparation(split=("0.8", "0.1", "0.1"), seed=3, workers=2)
    given = replace(recipe(preparation={"instance_count": 3}), prepare=options)
    request = join_job(given, target(), "job", "first")
    assert request["ProcessingResources"]["ClusterConfig"]["InstanceCount"] == 1
    words = request["AppSpecification"]["ContainerArguments"]
    assert words[2:5] == ["--step=join", "--split=0.8,0.1,0.1", "--seed=3"]
    (source,) = request["ProcessingInputs"]
    assert source["S3Input"]["S3Uri"].endswith("/shards/first/")
    (output,) = request["ProcessingOutputConfig"]["Outputs"]
    assert f"--s3-uri={output['S3Output']['S3Uri'].rstrip('/')}" in words


@pytest.mark.parametrize(
    "options, words",
    [
        ({}, "names no photos; set `prepare: photos:`, or give --photos"),
        ({"photos": "a.zip"}, "is not a folder; unpack an archive first"),
        ({"photos": "s3://b/p", "keep_split": "m.csv"}, "does not do prepare.keep_split"),
        ({"photos": ".", "labels": "/elsewhere.csv"}, "must lie in the photos' folder"),
    ],
)
def test_photos_that_cannot_be_brought(colours, options, words):
    one = colours()
    one.context.recipe = replace(one.context.recipe, prepare=Preparation(**options))
    with pytest.raises(LaunchError, match=words):
        bring(one.context)


def test_photos_in_s3_stay_there(colours):
    one = colours()
    options = Preparation(photos="s3://b/p", labels="labels.csv")
    one.context.recipe = replace(one.context.recipe, prepare=options)
    assert bring(one.context) == Photos("s3://b/p/", "labels.csv")


@pytest.mark.parametrize(
    "status, goes_on", [("InProgress", True), ("Completed", True), ("Failed", False)]
)
def test_a_first_step_without_a_second_is_gone_on_with(colours, status, goes_on):
    one = colours()
    assert unfinished_shards(one.context) is None
    one.context.note("processing", "first", step="shards")
    one.answer("sagemaker", "describe_processing_job", described("first", status))
    assert unfinished_shards(one.context) == ("first" if goes_on else None)
    one.context.note("processing", "second", step="join")
    assert unfinished_shards(one.context) is None


def described(name: str, status: str) -> dict[str, object]:
    return {
        "ProcessingJobName": name,
        "ProcessingJobArn": f"arn:aws:sagemaker:eu-west-1:123456789012:processing-job/{name}",
        "ProcessingJobStatus": status,
        "ProcessingResources": {
            "ClusterConfig": {
                "InstanceCount": 1,
                "InstanceType": "ml.m5.large",
                "VolumeSizeInGB": 5,
            }
        },
        "AppSpecification": {"ImageUri": "x"},
        "CreationTime": CREATED,
    }


def test_a_second_step_that_runs_is_followed(colours):
    """After Ctrl-C the same command pays for no step again."""
    one = colours()
    one.context.note("processing", "second", step="join")
    for status in ("InProgress", "Completed"):
        one.answer("sagemaker", "describe_processing_job", described("second", status))
    one.logged("a line")
    one.refuse("s3", "get_object", "NoSuchKey")
    assert prepare(one.context) == 0
    assert "prepare: second still runs; following it" in one.finished()


@pytest.mark.parametrize("output, step", [("shard", "shards"), ("prepared", "join"), ("x", "")])
def test_a_lost_step_is_known_by_what_it_makes(output, step):
    assert step_in({"ProcessingOutputConfig": {"Outputs": [{"OutputName": output}]}}) == step
