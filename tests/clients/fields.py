"""The fields of local SageMaker's answers beside those of botocore's model, after real clients.

The API reference has no example answers with values. Its response syntax is botocore's model, and
the events of the developer guide ("Automating SageMaker AI with Amazon EventBridge") show which
fields are there although the request left them out; local_sagemaker/answer_fields.py has these.
"""

from collections.abc import Iterator
from typing import Any

import boto3
from botocore import xform_name as xform
from botocore.model import ListShape, Shape, StructureShape

from local_sagemaker.contract import operation

NOT_DONE = "local SageMaker does not do it, and refuses a request that asks for it"
OTHERS = "only SageMaker's own services start such jobs"
NOT_ASKED = "as in the request, which need not have it"
NO_FAILURE = "only where something failed"
NO_NAME = "of a package without a group; a version has its group's name and a number"
AWS_OWN = "only for pipelines that AWS itself manages"
NO_EXPERIMENTS = "local SageMaker has no experiments; a definition may name one, as the SDKs' do"
# By operation: the fields that no answer has, and why.
LEFT_OUT: dict[str, dict[str, str]] = {
    "DescribeTrainingJob": {
        "LabelingJobArn": OTHERS,
        "AutoMLJobArn": OTHERS,
        "WarmPoolStatus": NOT_DONE,
        "VpcConfig": NOT_ASKED,
        "BillableTokenCount": NOT_DONE,
        "ExperimentConfig": NOT_ASKED,
        "TensorBoardOutputConfig": NOT_ASKED,
        "RemoteDebugConfig": NOT_ASKED,
        "InfraCheckConfig": NOT_ASKED,
        "ServerlessJobConfig": NOT_DONE,
        "MlflowConfig": NOT_ASKED,
        "ModelPackageConfig": NOT_DONE,
        "MlflowDetails": NOT_DONE,
        "ProgressInfo": NOT_DONE,
        "OutputModelPackageArn": NOT_DONE,
    },
    "DescribeHyperParameterTuningJob": {
        "TrainingJobDefinitions": NOT_DONE,
        "Autotune": NOT_DONE,
        "FailureReason": NO_FAILURE,
        "TuningJobCompletionDetails": NOT_DONE,
        "ConsumedResources": NOT_DONE,
    },
    "DescribeModel": {
        "InferenceExecutionConfig": NOT_DONE,
        "VpcConfig": NOT_ASKED,
        "DeploymentRecommendation": NOT_DONE,
    },
    "DescribeEndpointConfig": {
        "KmsKeyId": NOT_ASKED,
        "ExplainerConfig": NOT_DONE,
        "ShadowProductionVariants": NOT_ASKED,
        "ExecutionRoleArn": NOT_ASKED,
        "VpcConfig": NOT_ASKED,
        "MetricsConfig": NOT_ASKED,
        "CrossRegionTrafficConfig": NOT_ASKED,
    },
    "DescribeEndpoint": {
        "FailureReason": NO_FAILURE,
        "LastDeploymentConfig": NOT_ASKED,
        "PendingDeploymentSummary": "only while an update runs",
        "ExplainerConfig": NOT_DONE,
        "ShadowProductionVariants": NOT_ASKED,
        "MetricsConfig": NOT_ASKED,
        "CrossRegionTrafficConfig": NOT_ASKED,
    },
    "DescribeTransformJob": {
        "FailureReason": NO_FAILURE,
        "MaxConcurrentTransforms": NOT_ASKED,
        "ModelClientConfig": NOT_ASKED,
        "MaxPayloadInMB": NOT_ASKED,
        "DataCaptureConfig": NOT_DONE,
        "LabelingJobArn": OTHERS,
        "AutoMLJobArn": OTHERS,
        "ExperimentConfig": NOT_ASKED,
    },
    "DescribeProcessingJob": {
        "Environment": NOT_ASKED,
        "NetworkConfig": NOT_ASKED,
        "ExperimentConfig": NOT_ASKED,
        "ExitMessage": NO_FAILURE,
        "FailureReason": NO_FAILURE,
        "MonitoringScheduleArn": OTHERS,
        "AutoMLJobArn": OTHERS,
        "TrainingJobArn": OTHERS,
    },
    "ListProcessingJobs": {"FailureReason": NO_FAILURE, "ExitMessage": NO_FAILURE},
    "ListTrainingJobs": {"WarmPoolStatus": NOT_DONE, "TrainingPlanArn": NOT_DONE},
    "ListHyperParameterTuningJobs": {},
    "ListTrainingJobsForHyperParameterTuningJob": {
        "TrainingJobDefinitionName": NOT_ASKED,
        "FailureReason": NO_FAILURE,
    },
    "ListModels": {},
    "ListEndpointConfigs": {},
    "ListEndpoints": {},
    "ListTransformJobs": {"FailureReason": NO_FAILURE},
    "DescribeModelPackageGroup": {
        "ModelPackageGroupDescription": NOT_ASKED,
        "ManagedConfiguration": NOT_DONE,
    },
    "DescribeModelPackage": {
        "ModelPackageName": NO_NAME,
        "ModelPackageDescription": NOT_ASKED,
        "SourceAlgorithmSpecification": NOT_DONE,
        "ValidationSpecification": NOT_DONE,
        "MetadataProperties": NOT_ASKED,
        "ApprovalDescription": NOT_ASKED,
        "Domain": NOT_ASKED,
        "Task": NOT_ASKED,
        "SamplePayloadUrl": NOT_ASKED,
        "CustomerMetadataProperties": NOT_ASKED,
        "DriftCheckBaselines": NOT_ASKED,
        "AdditionalInferenceSpecifications": NOT_ASKED,
        "SourceUri": NOT_ASKED,
        "SecurityConfig": NOT_ASKED,
        "ModelCard": NOT_ASKED,
        "ModelLifeCycle": NOT_ASKED,
        "ManagedStorageType": NOT_DONE,
    },
    "DescribePipeline": {
        "ParallelismConfiguration": NOT_ASKED,
        "PipelineVersionDisplayName": NOT_DONE,
        "PipelineVersionDescription": NOT_DONE,
        "PipelineVersionAliases": NOT_DONE,
    },
    "DescribePipelineDefinitionForExecution": {},
    "DescribePipelineExecution": {
        "PipelineExecutionDescription": NOT_ASKED,
        "PipelineExperimentConfig": NO_EXPERIMENTS,
        "ParallelismConfiguration": NOT_ASKED,
        "SelectiveExecutionConfig": NOT_DONE,
        "PipelineVersionId": NOT_DONE,
        "PipelineVersionAliases": NOT_DONE,
        "MLflowConfig": NOT_DONE,
        "RoleArn": AWS_OWN,
    },
    "ListModelPackageGroups": {
        "ModelPackageGroupDescription": NOT_ASKED,
        "ManagedConfiguration": NOT_DONE,
    },
    "ListModelPackages": {
        "ModelPackageName": NO_NAME,
        "ModelPackageDescription": NOT_ASKED,
        "ModelLifeCycle": NOT_ASKED,
    },
    "ListPipelines": {},
    "ListPipelineExecutions": {
        "PipelineExecutionDescription": NOT_ASKED,
        "PipelineVersionAliases": NOT_DONE,
    },
    "ListPipelineExecutionSteps": {
        "StepDisplayName": NOT_ASKED,
        "StepDescription": NOT_ASKED,
        "SelectiveExecutionResult": NOT_DONE,
        "IterationContext": NOT_DONE,
    },
    "ListPipelineParametersForExecution": {},
}
EXECUTION = "PipelineExecutionArn"
# By Describe operation: the list of what there is to describe, and its field with a name.
LISTS = {
    "DescribeTrainingJob": ("ListTrainingJobs", "TrainingJobName"),
    "DescribeHyperParameterTuningJob": (
        "ListHyperParameterTuningJobs",
        "HyperParameterTuningJobName",
    ),
    "DescribeModel": ("ListModels", "ModelName"),
    "DescribeEndpointConfig": ("ListEndpointConfigs", "EndpointConfigName"),
    "DescribeEndpoint": ("ListEndpoints", "EndpointName"),
    "DescribeTransformJob": ("ListTransformJobs", "TransformJobName"),
    "DescribeProcessingJob": ("ListProcessingJobs", "ProcessingJobName"),
    "DescribeModelPackageGroup": ("ListModelPackageGroups", "ModelPackageGroupName"),
    "DescribeModelPackage": ("ListModelPackages", "ModelPackageArn"),
    "DescribePipeline": ("ListPipelines", "PipelineName"),
    "DescribePipelineExecution": ("ListPipelineExecutions", EXECUTION),
    "DescribePipelineDefinitionForExecution": ("ListPipelineExecutions", EXECUTION),
}
# Where a Describe operation's parameter has another name than that field.
PARAMETERS = {"DescribeModelPackage": "ModelPackageName"}
# By list of the parts of something: the list of those, before it here, and its field with a name.
PARTS = {
    "ListTrainingJobsForHyperParameterTuningJob": (
        "ListHyperParameterTuningJobs",
        "HyperParameterTuningJobName",
    ),
    "ListModelPackages": ("ListModelPackageGroups", "ModelPackageGroupName"),
    "ListPipelineExecutions": ("ListPipelines", "PipelineName"),
    "ListPipelineExecutionSteps": ("ListPipelineExecutions", EXECUTION),
    "ListPipelineParametersForExecution": ("ListPipelineExecutions", EXECUTION),
}
# Looked at on the container engine: its scripts leave processing jobs, pipelines and packages.
ON_DOCKER = {
    name
    for name in LEFT_OUT
    for part in ("ProcessingJob", "ModelPackage", "Pipeline")
    if part in name
}


def entries_of(name: str) -> tuple[str, Any]:
    """The member of a List operation with what it lists, and the shape of an entry."""
    shape = operation(name).output_shape
    assert shape is not None
    for member, part in shape.members.items():
        if isinstance(part, ListShape):
            return member, part.member
    raise AssertionError(f"{name} lists nothing")


def fields_of(name: str) -> set[str]:
    """The fields of an operation's answer, or of an entry of its list."""
    if name.startswith("List"):
        return set(entries_of(name)[1].members)
    shape = operation(name).output_shape
    assert shape is not None
    return set(shape.members)


def missing(shape: Shape, value: object, where: str) -> Iterator[str]:
    """Fields that the model calls required and an answer lacks, at any depth."""
    if isinstance(shape, StructureShape) and isinstance(value, dict):
        for name in shape.required_members:
            if name not in value:
                yield f"{where}.{name}"
        for name, part in value.items():
            if name in shape.members:
                yield from missing(shape.members[name], part, f"{where}.{name}")
    elif isinstance(shape, ListShape) and isinstance(value, list):
        for part in value:
            yield from missing(shape.member, part, where)


def client_of(environment: dict[str, str]):
    return boto3.client(
        "sagemaker",
        endpoint_url=environment["AWS_ENDPOINT_URL_SAGEMAKER"],
        region_name=environment["AWS_REGION"],
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
    )


def answers_of(sagemaker) -> dict[str, list[dict]]:
    """All that each operation says of what is there."""
    found: dict[str, list[dict]] = {name: [] for name in LEFT_OUT}
    for listing in (name for name in LEFT_OUT if name.startswith("List") and name not in PARTS):
        found[listing] = _listed(sagemaker, listing, {})
    for listing, (parents, field) in PARTS.items():
        for parent in found[parents]:
            found[listing] += _listed(sagemaker, listing, {field: parent[field]})
    for describe, (listing, field) in LISTS.items():
        method = getattr(sagemaker, xform(describe))
        for entry in found[listing]:
            answer = method(**{PARAMETERS.get(describe, field): entry[field]})
            del answer["ResponseMetadata"]
            found[describe].append(answer)
    return found


def _listed(sagemaker, listing: str, request: dict[str, str]) -> list[dict]:
    """All pages of a list."""
    member = entries_of(listing)[0]
    pages = sagemaker.get_paginator(xform(listing)).paginate(**request)
    return [entry for page in pages for entry in page[member]]


def differences(answers: dict[str, list[dict]]) -> list[str]:
    """Where the answers and LEFT_OUT do not agree, and required fields that an answer lacks."""
    wrong: list[str] = []
    for name, found in answers.items():
        seen = {field for answer in found for field in answer}
        left_out = set(LEFT_OUT[name])
        wrong += [f"{name}.{field} is missing" for field in fields_of(name) - seen - left_out]
        wrong += [f"{name}.{field} is there" for field in left_out & seen]
        shape = entries_of(name)[1] if name.startswith("List") else operation(name).output_shape
        assert shape is not None
        lacking = {field for answer in found for field in missing(shape, answer, name)}
        wrong += sorted(lacking - {f"{name}.{field}" for field in left_out})
    return wrong
