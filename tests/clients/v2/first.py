"""SDK v2 as a newcomer uses it: its session by the environment alone, fit, deploy, predict."""

import boto3
import sagemaker
from rows import BUCKET, METRIC, PHOTOS, ROLE, SERVE_IMAGE, TINY, TRAIN_IMAGE, photo, row, tell
from sagemaker.deserializers import JSONDeserializer
from sagemaker.estimator import Estimator
from sagemaker.serializers import IdentitySerializer

session = sagemaker.Session()

with row("Session().default_bucket()"):
    assert session.default_bucket() == BUCKET

with row('boto3.client("iam").get_role'):
    role = boto3.client("iam").get_role(RoleName="SlipwayRole")["Role"]["Arn"]
    assert role == ROLE

with row("Estimator without a role"):
    assert Estimator(TRAIN_IMAGE, instance_count=1, instance_type="ml.m5.large").role == ROLE

estimator = Estimator(
    TRAIN_IMAGE,
    ROLE,
    instance_count=1,
    instance_type="ml.m5.large",
    hyperparameters=TINY,
    metric_definitions=[METRIC],
    base_job_name="first",
)
with row("Estimator.fit, File, logs"):
    estimator.fit({"train": f"{PHOTOS}/train", "validation": f"{PHOTOS}/validation"})
    assert estimator.model_data.endswith("/output/model.tar.gz")

with row("Estimator.attach"):
    again = Estimator.attach(estimator.latest_training_job.name)
    assert again.model_data == estimator.model_data

with row("Estimator.deploy, Predictor.predict with a photo's bytes, delete"):
    predictor = estimator.deploy(
        1,
        "ml.m5.large",
        image_uri=SERVE_IMAGE,
        serializer=IdentitySerializer("image/jpeg"),
        deserializer=JSONDeserializer(),
    )
    assert predictor.predict(photo())["predictions"][0]["label"] in ("blue", "green", "red")
    predictor.delete_model()
    predictor.delete_endpoint()

tell()
