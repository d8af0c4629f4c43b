"""SDK v3's model registry: a version by ModelBuilder, its approval, and a model of it deployed."""

import boto3
from rows import MODEL, ROLE, SERVE_IMAGE, photo, row, tell
from sagemaker.core.resources import (
    Endpoint,
    EndpointConfig,
    Model,
    ModelPackage,
    ModelPackageGroup,
)
from sagemaker.core.shapes import ContainerDefinition, ProductionVariant
from sagemaker.serve.model_builder import ModelBuilder

GROUP = "colours-v3"
client = boto3.client("sagemaker")

with row("ModelPackageGroup.create, get, get_all"):
    ModelPackageGroup.create(model_package_group_name=GROUP)
    assert ModelPackageGroup.get(GROUP).model_package_group_status == "Completed"
    assert GROUP in [one.model_package_group_name for one in ModelPackageGroup.get_all()]

with row("ModelBuilder.register of an own image"):
    builder = ModelBuilder(image_uri=SERVE_IMAGE, s3_model_data_url=MODEL, role_arn=ROLE)
    builder.build(model_name="v3-registered")
    arn = builder.register(
        model_package_group_name=GROUP,
        content_types=["image/jpeg"],
        response_types=["application/json"],
        customer_metadata_properties={"accuracy": "0.9"},
    )
    package = ModelPackage.get(arn)
    assert package.model_approval_status == "PendingManualApproval"

with row("ModelPackage.update: approved; refresh, get_all"):
    package.update(model_approval_status="Approved", approval_description="seen")
    assert package.refresh().approval_description == "seen"
    approved = ModelPackage.get_all(
        model_package_group_name=GROUP, model_approval_status="Approved"
    )
    assert [one.model_package_arn for one in approved] == [arn]

with row("Model.create of a ModelPackageName, Endpoint.create, invoke"):
    Model.create(
        model_name="v3-packaged",
        primary_container=ContainerDefinition(model_package_name=arn),
        execution_role_arn=ROLE,
    )
    variant = ProductionVariant(
        variant_name="all",
        model_name="v3-packaged",
        instance_type="ml.m5.large",
        initial_instance_count=1,
    )
    EndpointConfig.create(endpoint_config_name="v3-packaged", production_variants=[variant])
    endpoint = Endpoint.create(endpoint_name="v3-packaged", endpoint_config_name="v3-packaged")
    endpoint.wait_for_status("InService")
    answer = endpoint.invoke(body=photo(), content_type="image/jpeg").body.read()
    assert b'"red"' in answer
    endpoint.delete()

with row("ModelPackageGroup.delete"):
    client.delete_model_package(ModelPackageName=arn)
    ModelPackageGroup.get(GROUP).delete()

tell()
