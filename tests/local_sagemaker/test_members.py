"""Every member of a request is read, shown, refused or named as without effect; none is forgotten.

A member counts as read where the package names it.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.model import ListShape, MapShape, Shape, StructureShape

import local_sagemaker
from local_sagemaker import contract, members
from local_sagemaker.contract import ApiError, operation
from local_sagemaker.options import parsed
from local_sagemaker.server import OPERATIONS

# What SageMaker itself only keeps and shows.
DESCRIPTIVE = {
    *("BaseModel", "Domain", "DriftCheckBaselines", "Framework", "FrameworkVersion"),
    *("IsCheckpoint", "MetadataProperties", "ModelCardContent", "ModelCardStatus", "ModelInput"),
    *("ModelMetrics", "ModelPackageDescription", "ModelPackageGroupDescription"),
    *("NearestModelName", "ProductId", "SamplePayloadUrl", "Stage", "StageDescription"),
    *("StageStatus", "SupportedContentTypes", "SupportedRealtimeInferenceInstanceTypes"),
    *("SupportedResponseMIMETypes", "SupportedTransformInstanceTypes", "Task"),
}
# Read with all that stands beside them, or of a part that is refused where it is used.
AS_A_WHOLE = {
    *("CollectionName", "CollectionParameters", "ContinuousParameterRanges", "CsvContentTypes"),
    *("DirectoryPath", "FileSystemAccessMode", "GenerateInferenceId", "IntegerParameterRanges"),
    *("JsonContentTypes", "MlflowResourceArn", "RuleEvaluatorImage"),
}
LISTS = {*members.REFUSED, *members.WITHOUT_EFFECT}


def names_of(shape: Shape, seen: set[str]) -> Iterator[str]:
    """Names of the members below a shape; nothing below those that no code reads by name."""
    if shape.name in seen:
        return
    seen.add(shape.name)
    if isinstance(shape, ListShape):
        yield from names_of(shape.member, seen)
    elif isinstance(shape, MapShape):
        yield from names_of(shape.value, seen)
    elif isinstance(shape, StructureShape):
        for name, member in shape.members.items():
            yield name
            if name not in LISTS | DESCRIPTIVE | AS_A_WHOLE:
                yield from names_of(member, seen)


def test_no_member_is_forgotten():
    folder = Path(local_sagemaker.__file__).parent
    shown = {folder / "members.py", folder / "answer_fields.py", *folder.glob("console/*.py")}
    sources = set(folder.rglob("*.py")) - shown
    text = "".join(source.read_text(encoding="utf-8") for source in sources)
    known = {*re.findall(r"\w+", text), *LISTS, *DESCRIPTIVE, *AS_A_WHOLE}
    seen: set[str] = set()
    for name in OPERATIONS:
        shape = operation(name).input_shape
        if name.startswith(("Create", "Start", "Update")) and shape is not None:
            assert set(names_of(shape, seen)) <= known, name


def test_no_member_is_in_both_lists():
    assert not set(members.REFUSED) & set(members.WITHOUT_EFFECT)


VARIANT = {"VariantName": "all", "ModelName": "m"}
ENDPOINTS = {"EndpointConfigName": "e", "ProductionVariants": [VARIANT]}
DUMPS = {"CoreDumpConfig": {"DestinationS3Uri": "s3://b/k"}}
IMAGE = {"Image": "1.dkr.ecr.eu-west-1.amazonaws.com/a:b"}
MODEL = {"ModelName": "m", "ExecutionRoleArn": "arn:aws:iam::123456789012:role/Role"}


@pytest.mark.parametrize(
    "name, request_, path",
    [
        (
            "CreateEndpointConfig",
            {**ENDPOINTS, "ProductionVariants": [{**VARIANT, **DUMPS}]},
            "ProductionVariants[0].CoreDumpConfig",
        ),
        (
            "CreateModelPackageGroup",
            {
                "ModelPackageGroupName": "g",
                "ManagedConfiguration": {"ManagedStorageType": "Restricted"},
            },
            "ManagedConfiguration",
        ),
    ],
)
def test_what_is_not_done_is_refused_by_its_path(name, request_, path):
    with pytest.raises(ApiError) as error:
        contract.check(name, request_)
    assert error.value.message == f"local SageMaker: {path} is not done here"


def test_what_asks_for_nothing_is_taken():
    """SDKs send empty and disabled members; names of maps are a user's own."""
    container = {**IMAGE, "Environment": {"Autotune": "1"}, "AdditionalModelDataSources": []}
    request = {**MODEL, "PrimaryContainer": container}
    assert contract.check("CreateModel", request) == request


def test_the_help_names_them(capsys):
    with pytest.raises(SystemExit):
        parsed("", ["--help"])
    words = set(re.findall(r"\w+", capsys.readouterr().out))
    assert words >= LISTS
