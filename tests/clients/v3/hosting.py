"""SDK v3's hosting on a model that is there: ModelBuilder, asynchronous calls, batch transform.

The asynchronous endpoint stays, for fields.py.
"""

import json

import boto3
from rows import BUCKET, MODEL, ROLE, SERVE_IMAGE, photo, row, tell, until
from sagemaker.core.inference_config import AsyncInferenceConfig, ServerlessInferenceConfig
from sagemaker.core.resources import Endpoint, EndpointConfig, Model, Tag, TransformJob
from sagemaker.core.shapes import (
    ContainerDefinition,
    TransformDataSource,
    TransformInput,
    TransformOutput,
    TransformResources,
    TransformS3DataSource,
)
from sagemaker.serve.model_builder import ModelBuilder

s3 = boto3.client("s3")


def label(body: bytes) -> str:
    return json.loads(body)["predictions"][0]["label"]


def builder() -> ModelBuilder:
    return ModelBuilder(image_uri=SERVE_IMAGE, s3_model_data_url=MODEL, role_arn=ROLE)


with row("ModelBuilder.build of an own image"):
    built = builder()
    model = built.build(model_name="v3-built")
    assert Model.get("v3-built").primary_container.image == SERVE_IMAGE

with row("ModelBuilder.deploy to an endpoint, Endpoint.invoke"):
    endpoint = built.deploy(endpoint_name="v3-built", instance_type="ml.m5.large")
    assert label(endpoint.invoke(body=photo(), content_type="image/jpeg").body.read()) == "red"

with row("Endpoint.update"):
    config = EndpointConfig.get(endpoint.endpoint_config_name)
    variants = config.production_variants
    variants[0].initial_instance_count = 2
    EndpointConfig.create(endpoint_config_name="two", production_variants=variants)
    endpoint.endpoint_config_name = "two"
    endpoint.update()
    endpoint.wait_for_status("InService")
    assert Endpoint.get("v3-built").production_variants[0].current_instance_count == 2

with row("Endpoint.update_weights_and_capacities"):
    name = variants[0].variant_name
    endpoint.update_weights_and_capacities(
        desired_weights_and_capacities=[{"variant_name": name, "desired_instance_count": 1}]
    )
    endpoint.wait_for_status("InService")
    endpoint.delete()

with row("ModelBuilder.deploy, ServerlessInferenceConfig"):
    serverless = builder()
    serverless.build(model_name="v3-serverless")
    endpoint = serverless.deploy(
        endpoint_name="v3-serverless",
        inference_config=ServerlessInferenceConfig(memory_size_in_mb=2048, max_concurrency=1),
    )
    assert label(endpoint.invoke(body=photo(), content_type="image/jpeg").body.read()) == "red"
    endpoint.delete()

with row("ModelBuilder.deploy, AsyncInferenceConfig, Endpoint.invoke_async"):
    waiting = builder()
    waiting.build(model_name="v3-waiting")
    endpoint = waiting.deploy(
        endpoint_name="v3-waiting",
        instance_type="ml.m5.large",
        inference_config=AsyncInferenceConfig(output_path=f"s3://{BUCKET}/later"),
    )
    s3.put_object(Bucket=BUCKET, Key="inputs/red.jpg", Body=photo(), ContentType="image/jpeg")
    answer = endpoint.invoke_async(input_location=f"s3://{BUCKET}/inputs/red.jpg")
    key = answer.output_location.removeprefix(f"s3://{BUCKET}/")
    until(lambda: s3.list_objects_v2(Bucket=BUCKET, Prefix=key).get("Contents"))
    assert label(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()) == "red"

with row("TransformJob.create, wait, get, get_all, tags"):
    Model.create(
        model_name="v3-batch",
        primary_container=ContainerDefinition(image=SERVE_IMAGE, model_data_url=MODEL),
        execution_role_arn=ROLE,
    )
    source = TransformS3DataSource(
        s3_data_type="S3Prefix", s3_uri=f"s3://{BUCKET}/photos/validation/red"
    )
    job = TransformJob.create(
        transform_job_name="v3-batch",
        model_name="v3-batch",
        transform_input=TransformInput(
            data_source=TransformDataSource(s3_data_source=source), content_type="image/jpeg"
        ),
        transform_output=TransformOutput(s3_output_path=f"s3://{BUCKET}/transformed"),
        transform_resources=TransformResources(instance_type="ml.m5.large", instance_count=1),
        tags=[Tag(key="owner", value="me")],
    )
    job.wait()
    job = TransformJob.get("v3-batch")
    assert job.transform_job_status == "Completed"
    assert "v3-batch" in [entry.transform_job_name for entry in TransformJob.get_all()]
    assert [tag.value for tag in Tag.get_all(job.transform_job_arn)] == ["me"]
    assert len(s3.list_objects_v2(Bucket=BUCKET, Prefix="transformed")["Contents"]) == 2

tell()
