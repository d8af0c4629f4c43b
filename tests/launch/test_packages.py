"""The model registry: what register, approve, packages and `deploy --package` ask and say."""

import json

import pytest

from launch.errors import LaunchError
from launch.packages import approve, make_group, package_source, packages, register
from launch.removal import delete
from runtime.opt_ml import pack_model
from tests.support.launching import CREATED, STAMP, ScriptedAws, training

pytestmark = pytest.mark.slow

ARN = "arn:aws:sagemaker:eu-west-1:123456789012:model-package/colours/{}"
GROUP = {"ModelPackageGroupName": "colours"}
GROUP_ARN = {
    "ModelPackageGroupArn": "arn:aws:sagemaker:eu-west-1:123456789012:model-package-group/colours"
}
METRICS = [
    {"MetricName": "test_accuracy", "Value": 0.9375, "Timestamp": CREATED},
    {"MetricName": "validation_loss", "Value": 0.25, "Timestamp": CREATED},
]
KEY = f"slipway/colours/packages/{STAMP}/metrics.json"


def described(version: int, status: str = "Approved", **more: object) -> dict[str, object]:
    return {
        "ModelPackageName": "colours",
        "ModelPackageArn": ARN.format(version),
        "ModelPackageVersion": version,
        "CreationTime": CREATED,
        "ModelPackageStatus": "Completed",
        "ModelPackageStatusDetails": {"ValidationStatuses": []},
        "ModelApprovalStatus": status,
        **more,
    }


def of(data: str) -> dict[str, object]:
    """What a version says of its model."""
    return {"Containers": [{"Image": "x", "ModelDataUrl": data}]}


def listed(one: ScriptedAws, *versions: int, **more: str) -> None:
    fields = ("ModelPackageArn", "ModelPackageVersion", "CreationTime", "ModelPackageStatus")
    summaries = [{name: described(version)[name] for name in fields} for version in versions]
    request = {**GROUP, "SortOrder": "Descending", **more}
    answer = {"ModelPackageSummaryList": summaries}
    one.answer("sagemaker", "list_model_packages", answer, request)


def test_a_training_is_registered_with_its_metrics(colours, tmp_path):
    one = colours(job="job")
    asked: list[dict] = []
    one.record("CreateModelPackage", asked)
    one.answer(
        "sagemaker", "describe_training_job", training("Completed", FinalMetricDataList=METRICS)
    )
    one.no_versions()
    one.refuse("sagemaker", "describe_model_package_group", "ValidationException", "does not exist")
    one.answer("sagemaker", "create_model_package_group", GROUP_ARN)
    one.answer("s3", "put_object", {"ETag": "1"})
    one.answer("sagemaker", "create_model_package", {"ModelPackageArn": ARN.format(1)})
    assert register(one.context) == 0
    [request] = asked
    assert request["ModelApprovalStatus"] == "PendingManualApproval"
    statistics = request["ModelMetrics"]["ModelQuality"]["Statistics"]
    assert statistics["S3Uri"] == f"s3://photos/{KEY}"
    properties = request["CustomerMetadataProperties"]
    assert properties["training_job"] == "job"
    assert properties["test_accuracy"] == "0.9375"
    [container] = request["InferenceSpecification"]["Containers"]
    assert container["ModelDataUrl"] == "s3://b/model.tar.gz"
    document = json.loads(next(tmp_path.rglob("metrics.json")).read_text())
    found = document["multiclass_classification_metrics"]["accuracy"]
    assert found == {"value": 0.9375, "standard_deviation": "NaN"}
    assert one.printed[-2:] == [
        f"registered: {ARN.format(1)} is PendingManualApproval",
        f"register: next: launch approve {one.context.recipe.path} --version 1",
    ]


def test_what_was_registered_is_not_registered_again(colours):
    one = colours(job="job")
    one.context.state.add("package", ARN.format(1), "now", data="s3://b/model.tar.gz")
    one.answer("sagemaker", "describe_training_job", training("Completed"))
    one.answer("sagemaker", "describe_model_package", described(1))
    assert register(one.context) == 0
    assert "is registered as arn:" in one.finished()


def test_a_version_that_the_notes_lack_is_not_registered_again(colours):
    """A command that is interrupted after its request has noted nothing."""
    one = colours(job="job")
    one.answer("sagemaker", "describe_training_job", training("Completed"))
    listed(one, 2)
    found = described(2, InferenceSpecification=of("s3://b/model.tar.gz"))
    one.answer("sagemaker", "describe_model_package", found)
    assert register(one.context) == 0
    assert f"is registered as {ARN.format(2)}" in one.finished()
    assert [entry.name for entry in one.context.state.all("package")] == [ARN.format(2)]


def test_a_model_of_this_machine_is_registered_with_its_accuracy(colours, tmp_path):
    model = tmp_path / "ml" / "model"
    model.mkdir(parents=True)
    (model / "model.json").write_text(json.dumps({"accuracy": {"test": 0.5}}))
    archive = tmp_path / "model.tar.gz"
    pack_model(tmp_path / "ml", archive)
    one = colours(model=str(archive), approve=True)
    asked: list[dict] = []
    one.record("CreateModelPackage", asked)
    one.answer("s3", "list_objects_v2", {})
    for _ in ("the model", "its metrics"):
        one.answer("s3", "put_object", {"ETag": "1"})
    listed(one, 3)
    one.answer(
        "sagemaker",
        "describe_model_package",
        described(3, InferenceSpecification=of("s3://b/another.tar.gz")),
    )
    one.answer("sagemaker", "describe_model_package_group", group_described())
    one.of_recipe()
    one.answer("sagemaker", "create_model_package", {"ModelPackageArn": ARN.format(4)})
    assert register(one.context) == 0
    assert asked[0]["CustomerMetadataProperties"]["test_accuracy"] == "0.5"
    assert one.printed[-1].endswith("recipe.yaml --package 4")


def test_a_dry_run_shows_all_requests_and_leaves_nothing(colours, tmp_path):
    model = tmp_path / "ml" / "model"
    model.mkdir(parents=True)
    (model / "model.json").write_text(json.dumps({"accuracy": {"test": 0.5}}))
    archive = tmp_path / "model.tar.gz"
    pack_model(tmp_path / "ml", archive)
    one = colours(model=str(archive))
    one.context.dry = True
    assert register(one.context) == 0
    operations = [call.operation for call in one.context.calls]
    assert operations == [
        *("PutObject", "CreateModelPackageGroup", "PutObject", "CreateModelPackage")
    ]
    assert not list(tmp_path.rglob("metrics.json"))


def group_described() -> dict[str, object]:
    more = {"CreationTime": CREATED, "CreatedBy": {}, "ModelPackageGroupStatus": "Completed"}
    return {**GROUP, **GROUP_ARN, **more}


def test_an_archive_that_is_none_is_one_sentence(colours, tmp_path):
    path = tmp_path / "bad.tar.gz"
    path.write_bytes(b"no archive")
    one = colours(model=str(path))
    one.answer("s3", "list_objects_v2", {})
    one.answer("s3", "put_object", {"ETag": "1"})
    with pytest.raises(LaunchError, match="cannot be read as a tar archive"):
        register(one.context)


@pytest.mark.parametrize("reject, status", [(False, "Approved"), (True, "Rejected")])
def test_the_newest_version_is_approved_or_rejected(colours, reject, status):
    one = colours(reject=reject, why="seen")
    listed(one, 3, 1)
    request = {
        "ModelPackageArn": ARN.format(3),
        "ModelApprovalStatus": status,
        "ApprovalDescription": "seen",
    }
    answer = {"ModelPackageArn": ARN.format(3)}
    one.answer("sagemaker", "update_model_package", answer, request)
    assert approve(one.context) == 0
    said = one.finished()
    assert f"approve: {ARN.format(3)} is {status}" in said
    assert ("--package 3" in said) is not reject


def test_versions_are_listed_with_their_metrics(colours):
    one = colours()
    listed(one, 2)
    known = {"test_accuracy": "0.9", "training_job": "job"}
    one.answer(
        "sagemaker", "describe_model_package", described(2, CustomerMetadataProperties=known)
    )
    assert packages(one.context) == 0
    assert one.finished().split() == ["2", "Approved", "test_accuracy=0.9", "job"]
    none = colours()
    none.refuse("sagemaker", "list_model_packages", "ValidationException", "does not exist")
    assert packages(none.context) == 0
    assert none.finished().startswith("packages: none of colours")


def test_which_version_is_deployed(colours):
    one = colours(package="latest")
    listed(one, 5, ModelApprovalStatus="Approved")
    assert package_source(one.context) == ARN.format(5)
    one.context.options.package = "2"
    one.answer("sagemaker", "describe_model_package", described(2, "Rejected"))
    with pytest.raises(LaunchError, match="is Rejected; `launch approve` approves it"):
        package_source(one.context)
    one.refuse("sagemaker", "describe_model_package", "ValidationException", "does not exist")
    with pytest.raises(LaunchError, match="the model registry has no arn:"):
        package_source(one.context)
    one.context.options.package = "newest"
    with pytest.raises(LaunchError, match="takes a version's number or ARN, or latest"):
        package_source(one.context)
    multi = colours("multi-model", package="2")
    with pytest.raises(LaunchError, match="a multi-model endpoint takes models of S3"):
        package_source(multi.context)


def test_data_and_versions_are_removed_together(colours):
    one = colours(yes=True, data=True)
    one.context.state.add("package", ARN.format(1), "now", data="s3://b/model.tar.gz")
    one.no_endpoint()
    # Of these the notes lack two, and the second's model lies elsewhere.
    listed(one, 3, 2, 1)
    for version, data in ((3, "s3://photos/slipway/colours/a.tar.gz"), (2, "s3://photos/a")):
        one.answer(
            "sagemaker",
            "describe_model_package",
            described(version, InferenceSpecification=of(data)),
        )
    for version in (3, 1):
        removed = {"ModelPackageName": ARN.format(version)}
        one.answer("sagemaker", "delete_model_package", {}, removed)
    one.refuse("sagemaker", "delete_model_package_group", "ConflictException", "it has packages")
    one.answer("s3", "list_objects_v2", {})
    assert delete(one.context) == 0
    assert "the group colours stays" in one.finished()
    assert one.context.state.entries == []


def test_a_group_that_another_command_made_meanwhile_is_taken(colours):
    one = colours()
    one.refuse("sagemaker", "describe_model_package_group", "ValidationException", "does not exist")
    taken = "Model Package Group already exists"
    one.refuse("sagemaker", "create_model_package_group", "ValidationException", taken)
    one.answer("sagemaker", "list_tags", {"Tags": []})
    one.answer("sagemaker", "describe_model_package_group", group_described())
    one.of_recipe()
    make_group(one.context)
    one.finished()


def test_a_group_of_another_program_gets_no_version(colours):
    one = colours()
    one.answer("sagemaker", "describe_model_package_group", group_described())
    one.answer("sagemaker", "list_tags", {"Tags": []})
    with pytest.raises(LaunchError, match="another program made it, and it is left alone"):
        make_group(one.context)
