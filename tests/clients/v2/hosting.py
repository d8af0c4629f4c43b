"""SDK v2's hosting on a model that is there: each kind of endpoint, and batch transform.

The first endpoint stays, for fields.py.
"""

import base64
import json
import os

import boto3
import sagemaker
from rows import BUCKET, MODEL, ROLE, SERVE_IMAGE, photo, row, tell, until
from sagemaker.async_inference import AsyncInferenceConfig, WaiterConfig
from sagemaker.deserializers import CSVDeserializer, JSONDeserializer
from sagemaker.model import Model
from sagemaker.model_monitor import DataCaptureConfig
from sagemaker.multidatamodel import MultiDataModel
from sagemaker.predictor import Predictor
from sagemaker.predictor_async import AsyncPredictor
from sagemaker.serializers import DataSerializer, IdentitySerializer, JSONSerializer
from sagemaker.serverless import ServerlessInferenceConfig

session = sagemaker.Session()
PHOTO = IdentitySerializer("image/jpeg")


def label(answer) -> str:
    return answer["predictions"][0]["label"]


def model(name: str) -> Model:
    return Model(SERVE_IMAGE, MODEL, ROLE, name=name, predictor_cls=Predictor)


with row("Model.deploy with DataCaptureConfig"):
    captured = f"s3://{BUCKET}/captured"
    predictor = model("plain").deploy(
        1,
        "ml.m5.large",
        endpoint_name="plain",
        serializer=PHOTO,
        deserializer=JSONDeserializer(),
        data_capture_config=DataCaptureConfig(True, 100, captured),
    )

with row("Predictor with JSONSerializer"):
    predictor.serializer = JSONSerializer()
    instance = {"b64": base64.b64encode(photo()).decode()}
    assert label(predictor.predict({"instances": [instance]})) == "red"

with row("Predictor with DataSerializer"):
    predictor.serializer = DataSerializer("application/x-image")
    assert label(predictor.predict(os.environ["PHOTO"])) == "red"

with row("Predictor with CSVDeserializer"):
    csv = Predictor("plain", session, serializer=PHOTO, deserializer=CSVDeserializer())
    assert "red" in csv.predict(photo())[-1]

with row("Predictor.predict of no photo: ModelError"):
    try:
        Predictor("plain", session, serializer=PHOTO).predict(b"no photo")
    except session.sagemaker_runtime_client.exceptions.ModelError as error:
        assert error.response["OriginalStatusCode"] == 422
    else:
        raise AssertionError("it was answered")

with row("Data capture to S3"):
    s3 = boto3.client("s3")
    found = until(lambda: s3.list_objects_v2(Bucket=BUCKET, Prefix="captured").get("Contents"))
    text = s3.get_object(Bucket=BUCKET, Key=found[0]["Key"])["Body"].read().decode()
    assert json.loads(text.splitlines()[0])["captureData"]["endpointOutput"]["data"]

with row("Predictor.update_endpoint"):
    predictor.update_endpoint(initial_instance_count=2, instance_type="ml.m5.large")
    described = session.sagemaker_client.describe_endpoint(EndpointName="plain")
    assert described["ProductionVariants"][0]["CurrentInstanceCount"] == 2

with row("Model.deploy with ServerlessInferenceConfig"):
    serverless = model("serverless").deploy(
        endpoint_name="serverless",
        serverless_inference_config=ServerlessInferenceConfig(2048, 2),
        serializer=PHOTO,
        deserializer=JSONDeserializer(),
    )
    assert label(serverless.predict(photo())) == "red"

with row("Predictor.delete_model, delete_endpoint"):
    serverless.delete_model()
    serverless.delete_endpoint()

with row("Model.deploy with AsyncInferenceConfig, AsyncPredictor.predict"):
    waiting = model("async").deploy(
        1,
        "ml.m5.large",
        endpoint_name="async",
        async_inference_config=AsyncInferenceConfig(),
        serializer=PHOTO,
        deserializer=JSONDeserializer(),
    )
    assert isinstance(waiting, AsyncPredictor)
    assert label(waiting.predict(photo())) == "red"

with row("AsyncPredictor.predict_async, AsyncInferenceResponse.get_result"):
    session.upload_string_as_file_body(photo(), BUCKET, "inputs/red.jpg")
    later = waiting.predict_async(input_path=f"s3://{BUCKET}/inputs/red.jpg")
    assert label(later.get_result(WaiterConfig(max_attempts=60, delay=1))) == "red"

with row("AsyncPredictor.predict_async of no object: failure_path"):
    lost = waiting.predict_async(input_path=f"s3://{BUCKET}/inputs/none.jpg")
    bucket, _, key = lost.failure_path.removeprefix("s3://").partition("/")
    until(lambda: s3.list_objects_v2(Bucket=bucket, Prefix=key).get("Contents"), 60)
    waiting.delete_endpoint()

with row("MultiDataModel.deploy, add_model, list_models, predict with target_model"):
    many = MultiDataModel(
        "many",
        f"s3://{BUCKET}/many/",
        image_uri=SERVE_IMAGE,
        role=ROLE,
        sagemaker_session=session,
        predictor_cls=Predictor,
    )
    many.add_model(MODEL, "colours.tar.gz")
    assert list(many.list_models()) == ["colours.tar.gz"]
    shared = many.deploy(1, "ml.m5.large", endpoint_name="many", serializer=PHOTO)
    answer = shared.predict(photo(), target_model="colours.tar.gz")
    assert label(json.loads(answer)) == "red"
    shared.delete_endpoint()

with row("Model.transformer, Transformer.transform, wait, attach"):
    batch = model("batch")
    batch.create("ml.m5.large")
    transformer = batch.transformer(
        1, "ml.m5.large", output_path=f"s3://{BUCKET}/transformed", accept="application/json"
    )
    transformer.transform(f"s3://{BUCKET}/photos/validation/red", content_type="image/jpeg")
    transformer.wait(logs=True)
    again = sagemaker.transformer.Transformer.attach(transformer.latest_transform_job.name)
    assert again.output_path == f"s3://{BUCKET}/transformed"
    outputs = s3.list_objects_v2(Bucket=BUCKET, Prefix="transformed")["Contents"]
    assert len(outputs) == 2

tell()
