"""SDK v3 as a newcomer uses it: train one's own image, deploy, invoke, list, delete."""

import json

from rows import BUCKET, PHOTOS, ROLE, SERVE_IMAGE, TINY, TRAIN_IMAGE, photo, row, tell
from sagemaker.core.helper.session_helper import Session
from sagemaker.core.resources import Endpoint, EndpointConfig, Model, Tag, TrainingJob
from sagemaker.core.shapes import ContainerDefinition, ProductionVariant
from sagemaker.core.training.configs import Compute, InputData
from sagemaker.train.model_trainer import ModelTrainer

with row("Session().default_bucket()"):
    assert Session().default_bucket() == BUCKET

trainer = ModelTrainer(
    training_image=TRAIN_IMAGE,
    compute=Compute(instance_type="ml.m5.large", instance_count=1),
    hyperparameters=TINY,
    base_job_name="first",
)
with row("ModelTrainer without a role"):
    assert trainer.role == ROLE

with row("ModelTrainer.train of an own image, wait, logs"):
    trainer.train(
        input_data_config=[
            InputData(channel_name=name, data_source=f"{PHOTOS}/{name}")
            for name in ("train", "validation")
        ],
        wait=True,
        logs=True,
    )
    job = trainer._latest_training_job
    assert job.training_job_status == "Completed"

with row("TrainingJob.get, get_all"):
    job = TrainingJob.get(trainer._latest_training_job.training_job_name)
    assert job.model_artifacts.s3_model_artifacts.endswith("/output/model.tar.gz")
    found = [entry.training_job_name for entry in TrainingJob.get_all()]
    assert job.training_job_name in found

with row("Tag.add_tags, Tag.get_all, Tag.delete_tags"):
    Tag.add_tags(job.training_job_arn, [{"key": "owner", "value": "me"}])
    assert [tag.value for tag in Tag.get_all(job.training_job_arn) if tag.key == "owner"] == ["me"]
    Tag.delete_tags(job.training_job_arn, ["owner"])

with row("Model.create, EndpointConfig.create, Endpoint.create, wait_for_status"):
    Model.create(
        model_name="first",
        primary_container=ContainerDefinition(
            image=SERVE_IMAGE, model_data_url=job.model_artifacts.s3_model_artifacts
        ),
        execution_role_arn=ROLE,
    )
    EndpointConfig.create(
        endpoint_config_name="first",
        production_variants=[
            ProductionVariant(
                variant_name="all",
                model_name="first",
                instance_type="ml.m5.large",
                initial_instance_count=1,
            )
        ],
    )
    endpoint = Endpoint.create(endpoint_name="first", endpoint_config_name="first")
    endpoint.wait_for_status("InService")

with row("Endpoint.invoke with a photo's bytes"):
    answer = endpoint.invoke(body=photo(), content_type="image/jpeg")
    label = json.loads(answer.body.read())["predictions"][0]["label"]
    assert label in ("blue", "green", "red")

with row("Endpoint.get, get_all, delete, wait_for_delete"):
    assert Endpoint.get("first").endpoint_status == "InService"
    assert "first" in [entry.endpoint_name for entry in Endpoint.get_all()]
    endpoint.delete()
    endpoint.wait_for_delete()
    EndpointConfig.get("first").delete()
    Model.get("first").delete()

with row("TrainingJob.delete"):
    job.delete()

tell()
