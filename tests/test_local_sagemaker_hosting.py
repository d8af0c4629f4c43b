"""Endpoints on local SageMaker, through boto3: real servers as processes over a real model."""

import json

import pytest
from botocore.exceptions import ClientError

from local_test.opt_ml import pack_model
from sagemakers import BUCKET, ROLE, SERVE_IMAGE, local_sagemaker, moto, until
from servers import photo


@pytest.fixture(scope="module")
def cloud(tmp_path_factory, trained):
    archive = tmp_path_factory.mktemp("archive") / "model.tar.gz"
    pack_model(trained.root, archive)
    with moto() as url, local_sagemaker(tmp_path_factory.mktemp("state"), url) as cloud:
        s3 = cloud.client("s3")
        s3.upload_file(str(archive), BUCKET, "models/model.tar.gz")
        s3.put_object(Bucket=BUCKET, Key="models/broken.tar.gz", Body=b"no archive")
        sagemaker = cloud.client("sagemaker")
        for name, key in (("good", "model"), ("broken", "broken")):
            sagemaker.create_model(ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer={"Image": SERVE_IMAGE, "ModelDataUrl": f"s3://{BUCKET}/models/{key}.tar.gz"})
        yield cloud


@pytest.fixture(scope="module")
def sagemaker(cloud):
    return cloud.client("sagemaker")


@pytest.fixture(scope="module")
def runtime(cloud):
    return cloud.client("sagemaker-runtime")


def variant(name: str = "all", model: str = "good", **more: object) -> dict:
    return {"VariantName": name, "ModelName": model, "InitialInstanceCount": 1, "InstanceType": "ml.m5.large", **more}


def settled(sagemaker, name: str) -> dict:
    until(lambda: sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"] not in ("Creating", "Updating"))
    return sagemaker.describe_endpoint(EndpointName=name)


@pytest.fixture(scope="module")
def endpoint(sagemaker) -> str:
    sagemaker.create_endpoint_config(EndpointConfigName="first", ProductionVariants=[variant()])
    sagemaker.create_endpoint(EndpointName="live", EndpointConfigName="first")
    assert sagemaker.describe_endpoint(EndpointName="live")["EndpointStatus"] == "Creating"
    found = settled(sagemaker, "live")
    assert found["EndpointStatus"] == "InService", found
    return "live"


def label(answer: dict) -> str:
    return json.loads(answer["Body"].read())["predictions"][0]["label"]


def test_an_endpoint_answers(endpoint, runtime):
    answer = runtime.invoke_endpoint(EndpointName=endpoint, Body=photo("green"), ContentType="image/jpeg", Accept="application/json")
    assert label(answer) == "green"
    assert answer["InvokedProductionVariant"] == "all" and answer["ContentType"] == "application/json"


def test_a_bad_photo_is_a_model_error(endpoint, runtime):
    with pytest.raises(ClientError) as caught:
        runtime.invoke_endpoint(EndpointName=endpoint, Body=b"no photo", ContentType="image/jpeg")
    answer = caught.value.response
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 424 and answer["Error"]["Code"] == "ModelError"
    assert answer["OriginalStatusCode"] == 422 and "photo" in json.loads(answer["OriginalMessage"])["error"]
    assert 'Received client error (422) from primary with message' in answer["Error"]["Message"]
