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
        "RetryStrategy": NOT_ASKED,
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
        "Containers": NOT_ASKED,
        "InferenceExecutionConfig": NOT_DONE,
        "VpcConfig": NOT_ASKED,
        "DeploymentRecommendation": NOT_DONE,
    },
    "DescribeEndpointConfig": {
        "KmsKeyId": NOT_ASKED,
        "ExplainerConfig": NOT_DONE,
        "ShadowProductionVariants": NOT_DONE,
        "ExecutionRoleArn": NOT_ASKED,
        "VpcConfig": NOT_ASKED,
        "MetricsConfig": NOT_ASKED,
        "CrossRegionTrafficConfig": NOT_ASKED,
    },
    "DescribeEndpoint": {
        "FailureReason": NO_FAILURE,
        "LastDeploymentConfig": NOT_ASKED,
        "PendingDeploymentSummary": "only while an update runs, and not done here",
        "ExplainerConfig": NOT_DONE,
        "ShadowProductionVariants": NOT_DONE,
        "MetricsConfig": NOT_ASKED,
        "CrossRegionTrafficConfig": NOT_ASKED,
    },
    "DescribeTransformJob": {
        "FailureReason": NO_FAILURE,
        "MaxConcurrentTransforms": NOT_ASKED,
        "ModelClientConfig": NOT_ASKED,
        "MaxPayloadInMB": NOT_ASKED,
        "BatchStrategy": NOT_ASKED,
        "DataCaptureConfig": NOT_DONE,
        "LabelingJobArn": OTHERS,
        "AutoMLJobArn": OTHERS,
        "DataProcessing": NOT_DONE,
        "ExperimentConfig": NOT_ASKED,
    },
    "DescribeProcessingJob": {
        "Environment": NOT_ASKED,
        "NetworkConfig": NOT_ASKED,
        "ExperimentConfig": NOT_DONE,
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
}
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
}
# Their jobs need containers.
ON_DOCKER = {"DescribeProcessingJob", "ListProcessingJobs"}


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
    for describe, (listing, field) in LISTS.items():
        method = xform(listing)
        for page in sagemaker.get_paginator(method).paginate():
            found[listing] += page[entries_of(listing)[0]]
        for entry in found[listing]:
            answer = getattr(sagemaker, xform(describe))(**{field: entry[field]})
            found[describe].append(
                {key: answer[key] for key in answer if key != "ResponseMetadata"}
            )
    children = "ListTrainingJobsForHyperParameterTuningJob"
    for job in found["ListHyperParameterTuningJobs"]:
        name = {"HyperParameterTuningJobName": job["HyperParameterTuningJobName"]}
        for page in sagemaker.get_paginator(xform(children)).paginate(**name):
            found[children] += page["TrainingJobSummaries"]
    return found
