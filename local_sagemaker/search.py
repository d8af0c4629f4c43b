"""Search: records of a kind that satisfy an expression, sorted, in pages."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from botocore.model import Shape, StructureShape

from local_sagemaker import answer_fields, contract, search_filters, tags
from local_sagemaker.contract import invalid
from local_sagemaker.hosting import endpoints, fleet
from local_sagemaker.jobs import training, training_run
from local_sagemaker.pipelines import pipeline_executions, pipeline_run, pipelines
from local_sagemaker.platform import Platform
from local_sagemaker.record import Record
from local_sagemaker.registry import model_groups, model_packages
from local_sagemaker.store import cut
from local_sagemaker.tuning import tuning_run, tunings

Describe = Callable[[Platform, Record, str], Record]
SORTED_BY = "LastModifiedTime"


@dataclass(frozen=True)
class Resource:
    """What can be searched. kind: of the store; operation: the one that describes it, by describe.

    arn: the field of its ARN.
    """

    kind: str
    describe: Describe
    operation: str
    arn: str


def _package(platform: Platform, record: Record, region: str) -> Record:
    wanted = {model_packages.NAME: record[model_packages.ARN]}
    return model_packages.describe(platform, wanted, region)


# A record holds its own name, by which the operation describes it.
RESOURCES = {
    "TrainingJob": Resource(
        training_run.KIND, training.describe, "DescribeTrainingJob", "TrainingJobArn"
    ),
    "HyperParameterTuningJob": Resource(
        tuning_run.KIND,
        tunings.describe,
        "DescribeHyperParameterTuningJob",
        "HyperParameterTuningJobArn",
    ),
    "Endpoint": Resource(fleet.KIND, endpoints.describe, "DescribeEndpoint", "EndpointArn"),
    "ModelPackage": Resource(
        model_groups.PACKAGE, _package, "DescribeModelPackage", model_packages.ARN
    ),
    "Pipeline": Resource(pipelines.KIND, pipelines.describe, "DescribePipeline", "PipelineArn"),
    "PipelineExecution": Resource(
        pipeline_run.KIND,
        pipeline_executions.describe,
        "DescribePipelineExecution",
        pipeline_executions.ARN,
    ),
    "ModelPackageGroup": Resource(
        model_groups.KIND,
        model_groups.describe,
        "DescribeModelPackageGroup",
        "ModelPackageGroupArn",
    ),
}
UNSUPPORTED = ("VisibilityConditions", "CrossAccountFilterOption")


def search(platform: Platform, request: Record, region: str) -> Record:
    """Search. ApiError for a resource, a property or an operator that it does not have."""
    kind = request["Resource"]
    if kind not in RESOURCES:
        raise invalid(
            f"local SageMaker does not search for {kind}; it does for {', '.join(RESOURCES)}"
        )
    for part in UNSUPPORTED:
        if request.get(part, "SameAccount") != "SameAccount":
            raise invalid(f"local SageMaker: {part} of Search is not done here")
    shape = _shape(kind)
    expression = request.get("SearchExpression", {})
    if expression:
        search_filters.check(shape, expression)
    by = request.get("SortBy", SORTED_BY)
    if by != SORTED_BY:  # each record has that one, though not each answer
        search_filters.check_order(shape, by)
    resource = RESOURCES[kind]
    held = platform.store.all(resource.kind)
    records = [_searched(platform, resource, record, region) for record in held]
    found = [one for one in records if search_filters.satisfies(shape, expression, one)]
    down = request.get("SortOrder", "Descending") == "Descending"
    found.sort(key=lambda record: str(record[resource.arn]))  # decides between equal ones
    found.sort(key=lambda record: _key(record, by, down), reverse=down)
    shown, token = cut(found, request)
    return {
        "Results": [{kind: record} for record in shown],
        "NextToken": token,
        "TotalHits": {"Value": len(found), "Relation": "EqualTo"},
    }


def _shape(kind: str) -> Shape:
    record = contract.service().shape_for("SearchRecord")
    assert isinstance(record, StructureShape)
    return record.members[kind]


def _searched(platform: Platform, resource: Resource, record: Record, region: str) -> Record:
    """A record as Search shows it: as it is described, with its tags."""
    described = resource.describe(platform, record, region)
    complete = answer_fields.complete(resource.operation, described)
    return {**complete, "Tags": tags.of(platform, record[resource.arn])}


def _key(record: Record, name: str, down: bool) -> tuple[bool, bool, Any]:
    """By what a record is sorted; those without the property come last."""
    found = search_filters.values_of(record, name)
    if not found:
        return (not down, False, "")
    value = found[0]
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return (down, True, value)
    return (down, False, value)
