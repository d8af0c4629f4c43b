"""SDK v3's pipelines in containers: from photos to a registered version, or to a failure."""

from pathlib import Path

import boto3
from rows import BUCKET, PHOTOS, ROLE, SERVE_IMAGE, TINY, TRAIN_IMAGE, row, tell, until
from sagemaker.core.parameter import ContinuousParameter
from sagemaker.core.processing import ScriptProcessor
from sagemaker.core.shapes import (
    ProcessingInput,
    ProcessingOutput,
    ProcessingS3Input,
    ProcessingS3Output,
)
from sagemaker.core.training.configs import Compute, InputData
from sagemaker.core.workflow.conditions import ConditionGreaterThanOrEqualTo
from sagemaker.core.workflow.functions import Join, JsonGet
from sagemaker.core.workflow.parameters import ParameterFloat, ParameterString
from sagemaker.core.workflow.pipeline_context import PipelineSession
from sagemaker.core.workflow.properties import PropertyFile
from sagemaker.mlops.workflow.condition_step import ConditionStep
from sagemaker.mlops.workflow.fail_step import FailStep
from sagemaker.mlops.workflow.model_step import ModelStep
from sagemaker.mlops.workflow.pipeline import Pipeline
from sagemaker.mlops.workflow.steps import CacheConfig, ProcessingStep, TrainingStep, TuningStep
from sagemaker.serve.model_builder import ModelBuilder
from sagemaker.train.model_trainer import ModelTrainer
from sagemaker.train.tuner import HyperparameterTuner

session = PipelineSession()
client = boto3.client("sagemaker")
JUDGE = Path("judge3.py")
JUDGE.write_text(
    """
import json, tarfile
with tarfile.open("/opt/ml/processing/model/model.tar.gz") as archive:
    model = json.load(archive.extractfile("model.json"))
found = {"metrics": {"accuracy": {"value": model["accuracy"]["validation"]}}}
with open("/opt/ml/processing/judged/evaluation.json", "w") as file:
    json.dump(found, file)
""",
    encoding="utf-8",
)
METRICS = [{"Name": "validation:accuracy", "Regex": "validation_accuracy=([0-9.]+)"}]
INPUTS = [
    InputData(channel_name=name, data_source=f"{PHOTOS}/{name}") for name in ("train", "validation")
]
CACHE = CacheConfig(enable_caching=True, expire_after="P1D")
least = ParameterFloat("LeastAccuracy", default_value=0.0)
approval = ParameterString("Approval", default_value="Approved")


def trainer() -> ModelTrainer:
    return ModelTrainer(
        training_image=TRAIN_IMAGE,
        compute=Compute(instance_type="ml.m5.large", instance_count=1),
        hyperparameters=TINY,
        role=ROLE,
        sagemaker_session=session,
    )


trained = TrainingStep(
    "Train", step_args=trainer().train(input_data_config=INPUTS), cache_config=CACHE
)
tuner = HyperparameterTuner(
    trainer(),
    "validation:accuracy",
    {"lr": ContinuousParameter(1e-3, 1e-2)},
    metric_definitions=METRICS,
    max_jobs=1,
    strategy="Random",
)
tuned = TuningStep("Tune", step_args=tuner.tune(INPUTS), cache_config=CACHE)
evaluation = PropertyFile("Evaluation", output_name="judged", path="evaluation.json")
model_data = trained.properties.ModelArtifacts.S3ModelArtifacts
processor = ScriptProcessor(
    role=ROLE,
    image_uri=TRAIN_IMAGE,
    command=["/opt/venv/bin/python"],
    instance_count=1,
    instance_type="ml.m5.large",
    sagemaker_session=session,
)
judged = ProcessingStep(
    "Judge",
    step_args=processor.run(
        code=str(JUDGE),
        inputs=[
            ProcessingInput(
                input_name="model",
                s3_input=ProcessingS3Input(
                    s3_uri=model_data,
                    s3_data_type="S3Prefix",
                    local_path="/opt/ml/processing/model",
                    s3_input_mode="File",
                ),
            )
        ],
        outputs=[
            ProcessingOutput(
                output_name="judged",
                s3_output=ProcessingS3Output(
                    s3_uri=f"s3://{BUCKET}/judged3",
                    local_path="/opt/ml/processing/judged",
                    s3_upload_mode="EndOfJob",
                ),
            )
        ],
    ),
    property_files=[evaluation],
    cache_config=CACHE,
)
builder = ModelBuilder(
    image_uri=SERVE_IMAGE, s3_model_data_url=model_data, role_arn=ROLE, sagemaker_session=session
)
register = ModelStep(
    "Register",
    step_args=builder.register(
        model_package_group_name="way-v3",
        content_types=["image/jpeg"],
        response_types=["application/json"],
        approval_status=approval,
    ),
)
accuracy = JsonGet(step_name="Judge", property_file=evaluation, json_path="metrics.accuracy.value")
decided = ConditionStep(
    "IsGood",
    conditions=[ConditionGreaterThanOrEqualTo(left=accuracy, right=least)],
    if_steps=[register],
    else_steps=[FailStep("TooBad", Join(on=" ", values=["below", least]))],
)
pipeline = Pipeline(
    name="way-v3",
    parameters=[least, approval],
    steps=[trained, tuned, judged, decided],
    sagemaker_session=session,
)

with row("Pipeline.upsert, describe"):
    pipeline.upsert(ROLE)
    assert pipeline.describe()["PipelineStatus"] == "Active"

with row("Pipeline.start, wait: Training, Tuning, Processing, Condition, RegisterModel"):
    run = pipeline.start()
    run.wait(delay=1, max_attempts=600)
    steps = {step["StepName"]: step for step in run.list_steps()}
    assert set(steps) == {"Train", "Tune", "Judge", "IsGood", "Register"}
    assert {step["StepStatus"] for step in steps.values()} == {"Succeeded"}
    arn = steps["Register"]["Metadata"]["RegisterModel"]["Arn"]
    found = client.describe_model_package(ModelPackageName=arn)
    assert found["ModelApprovalStatus"] == "Approved"

with row("Pipeline.start with another parameter: FailStep, its words"):
    bad = pipeline.start({"LeastAccuracy": 1.5})
    until(lambda: bad.describe()["PipelineExecutionStatus"] == "Failed")
    [failed] = [step for step in bad.list_steps() if step["StepName"] == "TooBad"]
    assert failed["FailureReason"] == "below 1.5"

with row("Pipeline.delete"):
    pipeline.delete()

tell()
