"""SDK v2's model registry: versions with metrics, approval, an approved one deployed; Search."""

import boto3
import sagemaker
from rows import BUCKET, MODEL, ROLE, SERVE_IMAGE, photo, row, tell, until
from sagemaker.deserializers import JSONDeserializer
from sagemaker.model import Model
from sagemaker.model_metrics import MetricsSource, ModelMetrics
from sagemaker.serializers import IdentitySerializer

GROUP = "colours-v2"
session = sagemaker.Session()
client = boto3.client("sagemaker")
statistics = MetricsSource("application/json", f"s3://{BUCKET}/made/metrics.json")


def registered(**more):
    model = Model(SERVE_IMAGE, MODEL, ROLE, sagemaker_session=session)
    return model.register(
        ["image/jpeg"],
        ["application/json"],
        model_package_group_name=GROUP,
        model_metrics=ModelMetrics(model_statistics=statistics),
        **more,
    )


with row("Model.register with ModelMetrics: a group and its first version"):
    first = registered(approval_status="PendingManualApproval")
    assert first.model_package_arn.endswith(f"{GROUP}/1")
    found = client.describe_model_package(ModelPackageName=first.model_package_arn)
    assert found["ModelMetrics"]["ModelQuality"]["Statistics"]["S3Uri"] == statistics.s3_uri

with row("create_model of a version that is not approved: one sentence"):
    container = {"ModelPackageName": first.model_package_arn}
    try:
        client.create_model(ModelName="never", ExecutionRoleArn=ROLE, PrimaryContainer=container)
    except client.exceptions.ClientError as error:
        assert "is PendingManualApproval; only a version that is Approved" in str(error)
    else:
        raise AssertionError("it was made")

with row("ModelPackage.update_approval_status, update_customer_metadata"):
    first.update_approval_status("Rejected", "seen")
    first.update_customer_metadata({"accuracy": "0.9"})
    found = client.describe_model_package(ModelPackageName=first.model_package_arn)
    assert found["ApprovalDescription"] == "seen"
    assert found["CustomerMetadataProperties"] == {"accuracy": "0.9"}

with row("ModelPackage.deploy, which approves the version; Predictor.predict"):
    again = sagemaker.ModelPackage(
        role=ROLE, model_package_arn=first.model_package_arn, sagemaker_session=session
    )
    again.deploy(1, "ml.m5.large", endpoint_name="registered-v2")
    predictor = sagemaker.Predictor(
        "registered-v2",
        session,
        IdentitySerializer("image/jpeg"),
        JSONDeserializer(),
    )
    assert predictor.predict(photo())["predictions"][0]["label"] == "red"
    predictor.delete_endpoint()

with row("list_model_packages by approval, in pages"):
    registered(approval_status="Approved")
    pages = client.get_paginator("list_model_packages").paginate(
        ModelPackageGroupName=GROUP,
        ModelApprovalStatus="Approved",
        PaginationConfig={"PageSize": 1},
    )
    versions = [one for page in pages for one in page["ModelPackageSummaryList"]]
    assert [one["ModelPackageVersion"] for one in versions] == [1, 2]

with row("Search over trainings by metric, hyperparameter and channel"):
    named = {"Name": "TrainingJobStatus", "Operator": "Equals", "Value": "Completed"}
    tried = {"Name": "HyperParameters.epochs", "Operator": "Exists"}
    nested = {
        "NestedPropertyName": "InputDataConfig",
        "Filters": [
            {"Name": "InputDataConfig.ChannelName", "Operator": "Equals", "Value": "train"}
        ],
    }
    expression = {"Filters": [named, tried], "NestedFilters": [nested]}
    pages = client.get_paginator("search").paginate(
        Resource="TrainingJob", SearchExpression=expression, SortBy="CreationTime"
    )
    results = [one["TrainingJob"] for page in pages for one in page["Results"]]
    assert all(job["TrainingJobStatus"] == "Completed" for job in results)

with row("delete_model_package, delete_model_package_group"):
    until(lambda: "registered-v2" not in str(client.list_endpoints()["Endpoints"]))
    for one in versions:
        client.delete_model_package(ModelPackageName=one["ModelPackageArn"])
    client.delete_model_package_group(ModelPackageGroupName=GROUP)

tell()
