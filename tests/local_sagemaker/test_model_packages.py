"""The model registry of local SageMaker: groups, versions, approval, and a model of a package."""

from typing import Any

import pytest

from local_sagemaker import contract, folders, server
from local_sagemaker.contract import ApiError
from local_sagemaker.platform import Platform
from local_sagemaker.registry import models
from runtime.container_engine import choose_container_engine
from tests.support.hosting import label, settled, variant
from tests.support.sagemakers import BUCKET, ROLE, SERVE_IMAGE
from tests.support.servers import photo

REGION = "eu-west-1"
GROUP = "Colours"
TAGS = [{"Key": "a", "Value": "b"}]
PACKAGES = f"arn:aws:sagemaker:{REGION}:123456789012:model-package"


class Registry:
    """Operations as a request asks for them: checked, done, and cut to botocore's answer."""

    def __init__(self, folder) -> None:
        self.folder = folder
        self.archive = folder / "model.tar.gz"
        self.archive.write_bytes(b"an archive")
        self.start()

    def start(self) -> None:
        """A server on the folder, as after a restart."""
        self.platform = Platform(self.folder / "state", choose_container_engine("process"))

    def __call__(self, name: str, **request: object) -> dict[str, Any]:
        asked = contract.check(name, request)
        return contract.answer(name, server.OPERATIONS[name](self.platform, asked, REGION))

    def specification(self, **more: object) -> dict[str, object]:
        container = {"Image": SERVE_IMAGE, "ModelDataUrl": self.archive.as_uri(), **more}
        return {
            "Containers": [container],
            "SupportedContentTypes": ["image/jpeg"],
            "SupportedResponseMIMETypes": ["application/json"],
        }

    def version(self, **more: object) -> str:
        """A new version of the group; its ARN."""
        request = {"InferenceSpecification": self.specification(), **more}
        made = self("CreateModelPackage", ModelPackageGroupName=GROUP, **request)
        return str(made["ModelPackageArn"])

    def model(self, name: str, package: str, **more: object) -> dict[str, Any]:
        container = {"ModelPackageName": package, **more}
        return self(
            "CreateModel", ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer=container
        )


@pytest.fixture
def registry(tmp_path):
    folders.allow([tmp_path])
    made = Registry(tmp_path)
    made("CreateModelPackageGroup", ModelPackageGroupName=GROUP, Tags=TAGS)
    return made


def test_versions_are_numbered_approved_and_found_again(registry):
    quality = {"ContentType": "application/json", "S3Uri": "s3://b/metrics.json"}
    metrics = {"ModelQuality": {"Statistics": quality}}
    first = registry.version(ModelMetrics=metrics, CustomerMetadataProperties={"a": "1", "b": "2"})
    second = registry.version(ModelApprovalStatus="Approved", ClientToken="t")
    assert registry.version(ClientToken="t") == second
    assert [first, second] == [f"{PACKAGES}/colours/1", f"{PACKAGES}/colours/2"]
    registry(
        "UpdateModelPackage",
        ModelPackageArn=first,
        ModelApprovalStatus="Rejected",
        ApprovalDescription="too slow",
        CustomerMetadataProperties={"b": "3"},
        CustomerMetadataPropertiesToRemove=["a"],
    )
    registry.start()
    for name in (first, f"{GROUP}/1"):
        found = registry("DescribeModelPackage", ModelPackageName=name)
        assert (found["ModelApprovalStatus"], found["ApprovalDescription"]) == (
            "Rejected",
            "too slow",
        )
        assert found["ModelMetrics"] == metrics
        assert found["CustomerMetadataProperties"] == {"b": "3"}
    listed = registry(
        "ListModelPackages", ModelPackageGroupName=GROUP, SortOrder="Descending", MaxResults=1
    )
    assert listed["ModelPackageSummaryList"][0]["ModelPackageVersion"] == 2
    assert listed["NextToken"]
    approved = {"ModelPackageGroupName": GROUP, "ModelApprovalStatus": "Approved"}
    [one] = registry("ListModelPackages", **approved)["ModelPackageSummaryList"]
    assert one["ModelPackageArn"] == second
    asked = [first, f"{PACKAGES}/colours/9"]
    many = registry("BatchDescribeModelPackage", ModelPackageArnList=asked)
    assert list(many["ModelPackageSummaries"]) == [first]
    assert list(many["BatchDescribeModelPackageErrorMap"]) == asked[1:]


def test_a_group_goes_after_its_versions_and_no_number_comes_twice(registry):
    arn = registry.version()
    with pytest.raises(ApiError, match="it has model packages; delete them first"):
        registry("DeleteModelPackageGroup", ModelPackageGroupName=GROUP)
    registry("DeleteModelPackage", ModelPackageName=arn)
    assert registry.version().endswith("/2")
    registry("DeleteModelPackage", ModelPackageName=f"{GROUP}/2")
    registry("DeleteModelPackageGroup", ModelPackageGroupName=GROUP)
    assert registry("ListModelPackageGroups")["ModelPackageGroupSummaryList"] == []
    with pytest.raises(ApiError, match=r"ModelPackageGroup arn:\S+/colours does not exist"):
        registry("DescribeModelPackageGroup", ModelPackageGroupName=GROUP)


def test_only_an_approved_version_becomes_a_model(registry):
    arn = registry.version()
    with pytest.raises(ApiError, match="is PendingManualApproval; only a version that is Approved"):
        registry.model("m", arn)
    registry("UpdateModelPackage", ModelPackageArn=arn, ModelApprovalStatus="Approved")
    registry.model("m", arn, Environment={"A": "1"})
    # The model is as it was made, whatever becomes of the package.
    registry("DeleteModelPackage", ModelPackageName=arn)
    registry.start()
    record = models.found(registry.platform, models.MODEL, "m", REGION)
    container = models.container_of(record)
    assert container["ModelDataUrl"] == registry.archive.as_uri()
    assert container["Environment"] == {"A": "1"}
    described = registry("DescribeModel", ModelName="m")
    assert described["PrimaryContainer"]["ModelPackageName"] == arn


def test_a_package_without_a_group_needs_no_approval(registry):
    made = registry(
        "CreateModelPackage",
        ModelPackageName="alone",
        InferenceSpecification=registry.specification(),
    )
    assert made["ModelPackageArn"] == f"{PACKAGES}/alone"
    registry.model("m", "alone")
    assert len(registry("ListModelPackages")["ModelPackageSummaryList"]) == 1
    both = registry("ListModelPackages", ModelPackageType="Versioned")
    assert both["ModelPackageSummaryList"] == []


ALONE = {"ModelPackageName": "alone"}
WRONG: list[tuple[dict[str, object], str]] = [
    ({}, "Exactly one of ModelPackageName and ModelPackageGroupName"),
    ({**ALONE, "ModelPackageGroupName": GROUP}, "Exactly one of"),
    ({"ModelPackageGroupName": "none"}, "ModelPackageGroup .* does not exist"),
    ({"ModelPackageGroupName": GROUP, "Tags": TAGS}, "has the tags of its group"),
    ({**ALONE, "ModelApprovalStatus": "Approved"}, "does not apply to unversioned models"),
    ({**ALONE, "CertifyForMarketplace": True}, "CertifyForMarketplace is not done here"),
]


@pytest.mark.parametrize("request_, sentence", WRONG)
def test_a_wrong_package_is_refused(registry, request_, sentence):
    with pytest.raises(ApiError, match=sentence):
        registry("CreateModelPackage", **request_)


def test_data_that_is_not_there_is_refused(registry):
    registry.archive.unlink()
    with pytest.raises(ApiError, match="Could not find model data"):
        registry.version()


@pytest.mark.slow
def test_an_approved_version_is_deployed(sagemaker, runtime):
    """By boto3: group, version, a model of the package, and its endpoint's answer."""
    sagemaker.create_model_package_group(ModelPackageGroupName="deployed")
    data = {"Image": SERVE_IMAGE, "ModelDataUrl": f"s3://{BUCKET}/models/good.tar.gz"}
    arn = sagemaker.create_model_package(
        ModelPackageGroupName="deployed",
        ModelApprovalStatus="Approved",
        InferenceSpecification={
            "Containers": [data],
            "SupportedContentTypes": ["image/jpeg"],
            "SupportedResponseMIMETypes": ["application/json"],
        },
    )["ModelPackageArn"]
    container = {"ModelPackageName": arn}
    sagemaker.create_model(ModelName="pack", ExecutionRoleArn=ROLE, PrimaryContainer=container)
    sagemaker.create_endpoint_config(
        EndpointConfigName="pack", ProductionVariants=[variant(model="pack")]
    )
    sagemaker.create_endpoint(EndpointName="pack", EndpointConfigName="pack")
    assert settled(sagemaker, "pack")["EndpointStatus"] == "InService"
    answer = runtime.invoke_endpoint(
        EndpointName="pack", ContentType="image/jpeg", Body=photo("red")
    )
    assert label(answer) == "red"
    sagemaker.delete_endpoint(EndpointName="pack")
