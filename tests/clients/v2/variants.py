"""SDK v2 with several variants of an endpoint, filters of a transform job, and warm pools."""

import base64
import json

import boto3
import sagemaker
from rows import (
    BUCKET,
    METRIC,
    MODEL,
    PHOTOS,
    ROLE,
    SERVE_IMAGE,
    TINY,
    TRAIN_IMAGE,
    photo,
    row,
    tell,
)
from sagemaker.estimator import Estimator
from sagemaker.inputs import TrainingInput
from sagemaker.model import Model
from sagemaker.predictor import Predictor
from sagemaker.serializers import IdentitySerializer
from sagemaker.session import production_variant

session = sagemaker.Session()


def model(name: str) -> Model:
    made = Model(SERVE_IMAGE, model_data=MODEL, role=ROLE, name=name, sagemaker_session=session)
    made.create("ml.m5.large")
    return made


with row("production_variant, Session.endpoint_from_production_variants, predict(target_variant)"):
    for name in ("variant-1", "variant-2"):
        model(name)
    variants = [
        production_variant("variant-1", "ml.m5.large", 1, "Most", initial_weight=1),
        production_variant("variant-2", "ml.m5.large", 1, "None", initial_weight=0),
    ]
    session.endpoint_from_production_variants("two-variants", variants)
    predictor = Predictor("two-variants", session, serializer=IdentitySerializer("image/jpeg"))
    for variant in ("Most", "None"):
        answer = predictor.predict(photo(), target_variant=variant)
        assert json.loads(answer)["predictions"][0]["label"] == "red"
    predictor.delete_endpoint()

with row("Transformer.transform with input_filter, output_filter, join_source"):
    asked = {"instances": [{"b64": base64.b64encode(photo()).decode()}]}
    lines = "".join(json.dumps({"id": number, "photo": asked}) + "\n" for number in (1, 2))
    session.upload_string_as_file_body(lines, BUCKET, "joined/all.jsonl")
    transformer = model("joining").transformer(
        1,
        "ml.m5.large",
        strategy="SingleRecord",
        assemble_with="Line",
        accept="application/json",
        output_path=f"s3://{BUCKET}/joined-answers",
    )
    transformer.transform(
        f"s3://{BUCKET}/joined",
        content_type="application/json",
        split_type="Line",
        input_filter="$.photo",
        output_filter="$['id','SageMakerOutput']",
        join_source="Input",
        logs=False,
    )
    s3 = boto3.client("s3")
    found = s3.get_object(Bucket=BUCKET, Key="joined-answers/all.jsonl.out")["Body"].read()
    answers = [json.loads(line) for line in found.splitlines()]
    assert [answer["id"] for answer in answers] == [1, 2]
    assert answers[0]["SageMakerOutput"]["predictions"][0]["label"] == "red"

with row(
    "Estimator, keep_alive_period_in_seconds, enable_sagemaker_metrics, checkpoint_local_path"
):
    estimator = Estimator(
        TRAIN_IMAGE,
        ROLE,
        1,
        "ml.m5.large",
        hyperparameters=TINY,
        metric_definitions=[METRIC],
        keep_alive_period_in_seconds=600,
        enable_sagemaker_metrics=True,
        checkpoint_s3_uri=f"s3://{BUCKET}/own-checkpoints",
        checkpoint_local_path="/opt/ml/own-checkpoints",
        max_retry_attempts=2,
        disable_profiler=True,
    )
    estimator.fit({"train": TrainingInput(f"{PHOTOS}/train")}, wait=False)
    described = session.describe_training_job(estimator.latest_training_job.name)
    assert described["ResourceConfig"]["KeepAlivePeriodInSeconds"] == 600
    assert described["CheckpointConfig"]["LocalPath"] == "/opt/ml/own-checkpoints"
    estimator.latest_training_job.stop()

tell()
