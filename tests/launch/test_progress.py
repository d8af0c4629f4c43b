"""What status says of a running job: its newest checkpoint, its time and its cost."""

from datetime import UTC, datetime, timedelta

import pytest

from launch.cost import machines_cost, prices_of
from launch.monitoring import state_of
from launch.progress import progress_words
from launch.state import Entry
from tests.support.launching import ARN, JOB, training

CHECKPOINTS = {"S3Uri": "s3://b/checkpoints/first"}
MACHINES = {"InstanceType": "ml.m5.xlarge", "InstanceCount": 2, "VolumeSizeInGB": 10}


def listed(one, *objects: tuple[str, timedelta]) -> None:
    now = datetime.now(UTC)
    contents = [
        {"Key": f"checkpoints/first/{name}", "LastModified": now - age, "Size": 1, "ETag": "e"}
        for name, age in objects
    ]
    wanted = {"Bucket": "b", "Prefix": "checkpoints/first/"}
    one.answer("s3", "list_objects_v2", {"Contents": contents}, wanted)


def test_the_newest_checkpoint_has_its_epoch_and_age(script):
    one = script()
    listed(
        one,
        ("checkpoint-9.pt", timedelta(hours=3)),
        ("checkpoint-10.pt", timedelta(minutes=12)),
    )
    answer = training("InProgress", "Training", CheckpointConfig=CHECKPOINTS)
    one.answer("sagemaker", "describe_training_job", answer)
    state = state_of(one.context, Entry("training", JOB, "now"))
    assert state == "InProgress, Training; newest checkpoint in S3: epoch 10, 12 min old"


def test_a_stopped_training_says_how_it_goes_on(script):
    one = script()
    listed(one)
    words = progress_words(
        one.context, "training", training("Stopped", CheckpointConfig=CHECKPOINTS)
    )
    command = f"launch train {one.context.recipe.path} --checkpoints first"
    assert words == ["no checkpoint in S3 yet", "", f"`{command}` goes on from its checkpoints"]


def test_checkpoints_that_may_not_be_seen_hide_nothing_else(script):
    one = script()
    one.refuse("s3", "list_objects_v2", "AccessDenied", "no")
    answer = training("InProgress", CheckpointConfig=CHECKPOINTS)
    assert progress_words(one.context, "training", answer)[0].startswith(
        "its checkpoints cannot be seen (you may not ListObjectsV2: no"
    )


@pytest.mark.parametrize(
    "more, seconds, spot, words",
    [
        ({"TrainingStartTime": timedelta(hours=2)}, 7200, True, "2 h 0 min, about {} USD so far"),
        # Billed seconds are without what spot saves.
        ({"BillableTimeInSeconds": 600}, 600, False, "10 min, about {} USD so far"),
    ],
)
def test_the_time_and_cost_so_far(script, more, seconds, spot, words):
    one = script()
    if "TrainingStartTime" in more:
        more = {"TrainingStartTime": datetime.now(UTC) - more["TrainingStartTime"]}
    answer = training("InProgress", ResourceConfig=MACHINES, EnableManagedSpotTraining=True, **more)
    dollars = machines_cost(
        prices_of(one.context.recipe), "ml.m5.xlarge", 2, 10, spot=spot, seconds=seconds
    )
    found = progress_words(one.context, "training", answer)
    assert found == ["", words.format(f"{dollars:.2f}"), ""]


def test_a_machine_without_a_price_has_its_time(script):
    machines = {**MACHINES, "InstanceType": "ml.new.xlarge"}
    answer = training("Completed", ResourceConfig=machines, BillableTimeInSeconds=40)
    assert progress_words(script().context, "training", answer)[1] == "40 s in all"


@pytest.mark.parametrize(
    "kind, resources",
    [
        ("Transform", {"TransformResources": MACHINES}),
        ("Processing", {"ProcessingResources": {"ClusterConfig": MACHINES}}),
    ],
)
def test_other_jobs_have_their_time_and_cost_too(script, kind, resources):
    started = datetime.now(UTC) - timedelta(hours=1)
    ended = started + timedelta(minutes=30)
    times = {f"{kind}StartTime": started, f"{kind}EndTime": ended}
    answer = {f"{kind}JobStatus": "Completed", **resources, **times}
    (words,) = progress_words(script().context, kind.lower(), answer)
    assert words.startswith("30 min, about 0.")
    assert words.endswith(" USD in all")


def test_a_search_has_its_trainings_time_and_cost(script):
    answer = {
        "HyperParameterTuningJobName": "s",
        "HyperParameterTuningJobStatus": "Completed",
        # On the clock: two trainings ran at once.
        "ConsumedResources": {"RuntimeInSeconds": 1800},
        "TrainingJobDefinition": {"ResourceConfig": MACHINES},
    }
    start = datetime(2026, 11, 21, tzinfo=UTC)
    trial = {
        "TrainingJobName": "s-1",
        "TrainingJobArn": ARN,
        "CreationTime": start,
        "TrainingStartTime": start,
        "TrainingEndTime": start + timedelta(minutes=30),
        "TrainingJobStatus": "Completed",
        "TunedHyperParameters": {},
    }
    one = script()
    operation = "list_training_jobs_for_hyper_parameter_tuning_job"
    one.answer("sagemaker", operation, {"TrainingJobSummaries": [trial, trial]})
    (words,) = progress_words(one.context, "tuning", answer)
    assert words.startswith("60 min, about 0.")
    assert words.endswith(" USD in all")
