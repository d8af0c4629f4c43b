"""status --all: what AWS has of a recipe, found by its tag once the notes are lost."""

from typing import Any

import pytest

from launch.monitoring import status
from launch.removal import delete
from launch.tagged import kind_and_name, recall_lost
from tests.support.launching import CREATED, JOB, ScriptedAws, recipe, training

ARN = "arn:aws:sagemaker:eu-west-1:123456789012:"
SEARCH = "demo-search-261121-1815-k3f9"
REQUEST = {
    "TagFilters": [{"Key": "slipway:recipe", "Values": ["three colours"]}],
    "ResourceTypeFilters": ["sagemaker", "cloudwatch:alarm", "cloudformation:stack"],
}
ENDPOINT = {
    "EndpointName": "Three-Colours",
    "EndpointArn": f"{ARN}endpoint/three-colours",
    "EndpointConfigName": "three-colours-1",
    "EndpointStatus": "InService",
    "CreationTime": CREATED,
    "LastModifiedTime": CREATED,
}
TUNING = {
    "HyperParameterTuningJobName": SEARCH,
    "HyperParameterTuningJobArn": f"{ARN}hyper-parameter-tuning-job/{SEARCH}",
    "HyperParameterTuningJobConfig": {
        "Strategy": "Bayesian",
        "ResourceLimits": {"MaxParallelTrainingJobs": 1},
    },
    "HyperParameterTuningJobStatus": "InProgress",
    "CreationTime": CREATED,
    "TrainingJobStatusCounters": {},
    "ObjectiveStatusCounters": {},
}
STACK = {"StackName": "slipway-three-colours", "CreationTime": CREATED}


def tagged(one: ScriptedAws, *arns: str, more: str = "", token: str = "") -> None:
    """A page of the tagging service. more: the token of the next one, token: of this one."""
    mappings: list[dict[str, Any]] = [{"ResourceARN": arn} for arn in arns]
    answer: dict[str, Any] = {"ResourceTagMappingList": mappings, "PaginationToken": more}
    wanted: dict[str, Any] = dict(REQUEST)
    if token:
        wanted["PaginationToken"] = token
    one.answer("resourcegroupstaggingapi", "get_resources", answer, wanted)


def test_lost_notes_are_found_again_and_kept(tmp_path):
    one = ScriptedAws(recipe(endpoint={"max_instances": 3}), tmp_path, all=True)
    stack = "arn:aws:cloudformation:eu-west-1:123456789012:stack/slipway-three-colours/9d-5"
    tagged(
        one,
        f"{ARN}training-job/{JOB}",
        f"{ARN}training-job/{SEARCH}-001-abcd",
        f"{ARN}hyper-parameter-tuning-job/{SEARCH}",
        f"{ARN}project/another",
        more="next",
    )
    tagged(
        one,
        f"{ARN}endpoint/three-colours",
        f"{ARN}model/three-colours-1",
        "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:slipway-three-colours-5xx",
        stack,
        token="next",
    )
    one.answer("sagemaker", "describe_training_job", training("InProgress"))
    trial = {**training("InProgress"), "TrainingJobName": f"{SEARCH}-001-abcd"}
    one.answer("sagemaker", "describe_training_job", trial)
    one.answer("sagemaker", "describe_hyper_parameter_tuning_job", TUNING)
    one.answer("sagemaker", "describe_endpoint", ENDPOINT)
    one.answer("cloudformation", "describe_stacks", {"Stacks": [{**STACK, "StackStatus": "A"}]})
    # Now the lines of status.
    one.answer("cloudformation", "describe_stacks", {"Stacks": [{**STACK, "StackStatus": "A"}]})
    one.answer("sagemaker", "describe_training_job", training("InProgress"))
    one.answer("sagemaker", "describe_hyper_parameter_tuning_job", TUNING)
    one.answer("sagemaker", "describe_endpoint", ENDPOINT)
    assert status(one.context) == 0
    printed = one.finished()
    assert f"status: found on AWS, and noted again: training {JOB}" in printed
    assert f"training {JOB}: InProgress" in printed
    assert "endpoint Three-Colours: InService" in printed
    assert "api slipway-three-colours: A" in printed
    assert "001-abcd" not in printed
    noted = {(entry.kind, entry.name) for entry in one.context.state.entries}
    assert noted == {
        ("training", JOB),
        ("tuning", SEARCH),
        ("endpoint", "Three-Colours"),
        ("scaling", "three-colours"),
        ("model", "three-colours-1"),
        ("alarm", "slipway-three-colours-5xx"),
        ("api", "slipway-three-colours"),
    }
    facts = {entry.kind: entry.facts for entry in one.context.state.entries}
    assert facts["endpoint"] == {"config": "three-colours-1"}
    assert facts["tuning"] == {"search": ""}


def test_what_is_noted_or_gone_is_not_found_again(tmp_path):
    one = ScriptedAws(recipe(), tmp_path, all=True)
    one.context.state.add("training", JOB, "2026-11-21")
    tagged(one, f"{ARN}training-job/{JOB}", f"{ARN}transform-job/gone", f"{ARN}endpoint/gone")
    one.refuse("sagemaker", "describe_transform_job", "ValidationException", "not found")
    for _ in range(2):  # by its tag, then by its name
        one.no_endpoint()
    one.answer("sagemaker", "describe_training_job", training("Completed"))
    assert status(one.context) == 0
    assert one.finished() == f"training {JOB}: Completed (started 2026-11-21)"


def test_found_jobs_stand_before_younger_ones(tmp_path):
    """`deploy` takes the latest training: that must not be an old one that was found again."""
    one = ScriptedAws(recipe(), tmp_path, all=True)
    one.context.state.add("training", "younger", "2027-01-01T00:00:00+00:00")
    tagged(one, f"{ARN}training-job/{JOB}")
    one.answer("sagemaker", "describe_training_job", training("Completed"))
    one.no_endpoint()
    for _ in range(2):
        one.answer("sagemaker", "describe_training_job", training("Completed"))
    assert status(one.context) == 0
    latest = one.context.state.latest("training")
    assert latest is not None
    assert latest.name == "younger"


def test_a_dry_run_shows_the_request(tmp_path):
    one = ScriptedAws(recipe(), tmp_path, all=True)
    one.context.dry = True
    assert status(one.context) == 0
    assert [call.request for call in one.context.calls] == [REQUEST]


@pytest.mark.parametrize(
    "arn, found",
    [
        (f"{ARN}transform-job/a", ("transform", "a")),
        (f"{ARN}endpoint-config/a", ("config", "a")),
        ("arn:aws-cn:cloudwatch:cn-north-1:1:alarm:a:b", ("alarm", "a:b")),
        ("arn:aws:cloudformation:eu-west-1:1:stack/a/1-2", ("api", "a")),
        ("arn:aws:s3:::bucket", ("", "")),
        ("arn:aws:sagemaker:eu-west-1:1:app/a/b", ("", "a/b")),
    ],
)
def test_the_kinds_of_arns(arn, found):
    assert kind_and_name(arn) == found


def test_where_tags_may_not_be_looked_up_names_are(tmp_path):
    one = ScriptedAws(recipe(), tmp_path, yes=True)
    one.refuse("resourcegroupstaggingapi", "get_resources", "AccessDeniedException", "no")
    listed = ("list_training_jobs", "list_hyper_parameter_tuning_jobs", "list_transform_jobs")
    for method in listed:
        key = "HyperParameterTuningJobSummaries" if "hyper" in method else "TrainingJobSummaries"
        key = "TransformJobSummaries" if "transform" in method else key
        one.answer("sagemaker", method, {key: []})
    models = [
        {"ModelName": name, "ModelArn": f"{ARN}model/{name}", "CreationTime": CREATED}
        for name in ("three-colours-1", "three-others-1")
    ]
    one.answer("sagemaker", "list_processing_jobs", {"ProcessingJobSummaries": []})
    one.answer("sagemaker", "list_models", {"Models": models}, {"NameContains": "three-co"})
    own = {"Key": "slipway:recipe", "Value": "three colours"}
    one.answer(
        "sagemaker",
        "list_tags",
        {"Tags": [own]},
        {"ResourceArn": f"{ARN}model/{'three-colours-1'}"},
    )
    one.answer("sagemaker", "list_tags", {"Tags": []})
    one.answer("sagemaker", "list_endpoint_configs", {"EndpointConfigs": []})
    one.answer("sagemaker", "list_endpoints", {"Endpoints": []})
    name = "slipway-three-colours"
    stack = {**STACK, "StackStatus": "A", "Tags": [own]}
    one.answer("cloudformation", "describe_stacks", {"Stacks": [stack]}, {"StackName": name})
    one.answer("cloudwatch", "describe_alarms", {"MetricAlarms": [{"AlarmName": f"{name}-5xx"}]})
    one.answer("cloudformation", "describe_stacks", {"Stacks": [stack]})
    one.no_endpoint()
    one.answer("cloudformation", "delete_stack", {}, {"StackName": name})
    one.answer("sagemaker", "delete_model", {}, {"ModelName": "three-colours-1"})
    one.answer("cloudwatch", "delete_alarms", {}, {"AlarmNames": [f"{name}-5xx"]})
    one.refuse("cloudformation", "describe_stacks", "ValidationError", "it does not exist")
    one.answer("s3", "list_objects_v2", {})
    assert delete(one.context) == 0
    assert one.finished().splitlines() == [
        "you may not GetResources: no; ask for that permission, or set AWS_PROFILE to a user that "
        "has it; looking for the recipe's names instead",
        "delete: found on AWS, and noted again: model three-colours-1",
        f"delete: found on AWS, and noted again: api {name}",
        f"delete: found on AWS, and noted again: alarm {name}-5xx",
        f"delete: Stack {name}",
        "delete: Model three-colours-1",
        f"delete: Alarms ['{name}-5xx']",
    ]
    assert one.context.state.entries == []


@pytest.mark.parametrize("owner, kept", [("three colours", 0), ("another", 1)])
def test_an_endpoint_is_found_by_its_name_and_removed_only_with_the_recipes_tag(
    tmp_path, owner, kept
):
    one = ScriptedAws(recipe(), tmp_path, yes=True)
    found = {**ENDPOINT, "EndpointName": "three-colours"}
    one.answer("sagemaker", "describe_endpoint", found, {"EndpointName": "three-colours"})
    tags = [{"Key": "slipway:recipe", "Value": owner}]
    one.answer("sagemaker", "list_tags", {"Tags": tags}, {"ResourceArn": ENDPOINT["EndpointArn"]})
    if not kept:
        one.answer("sagemaker", "describe_endpoint", found)
        one.answer("sagemaker", "delete_endpoint", {}, {"EndpointName": "three-colours"})
    assert delete(one.context) == 0
    printed = one.finished()
    assert ("it is left alone" in printed) is bool(kept)
    assert ("delete: Endpoint three-colours" in printed) is not bool(kept)


def test_lost_notes_are_looked_for_before_a_job_is_paid_for_again(tmp_path):
    one = ScriptedAws(recipe(), tmp_path)
    tagged(one, f"{ARN}training-job/{JOB}")
    one.answer("sagemaker", "describe_training_job", training("InProgress"))
    recall_lost(one.context, "train")
    assert one.finished() == f"train: found on AWS, and noted again: training {JOB}"
    recall_lost(one.context, "train")  # now there are notes: AWS is not asked


def test_who_may_not_look_for_lost_notes_goes_on(tmp_path):
    one = ScriptedAws(recipe(), tmp_path)
    one.refuse("resourcegroupstaggingapi", "get_resources", "AccessDeniedException", "no")
    one.refuse("sagemaker", "list_training_jobs", "AccessDeniedException", "no")
    recall_lost(one.context, "train")
    assert one.finished().endswith("jobs that the notes lack are not seen")
