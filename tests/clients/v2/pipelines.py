"""SDK v2's pipelines in containers: from photos to a registered version, or to a failure."""

from pathlib import Path

import boto3
from rows import BUCKET, METRIC, PHOTOS, ROLE, SERVE_IMAGE, TINY, TRAIN_IMAGE, row, tell, until
from sagemaker.estimator import Estimator
from sagemaker.inputs import TrainingInput
from sagemaker.model import Model
from sagemaker.model_metrics import MetricsSource, ModelMetrics
from sagemaker.parameter import ContinuousParameter
from sagemaker.processing import ProcessingInput, ProcessingOutput, ScriptProcessor
from sagemaker.tuner import HyperparameterTuner
from sagemaker.workflow.condition_step import ConditionStep
from sagemaker.workflow.conditions import ConditionGreaterThanOrEqualTo
from sagemaker.workflow.execution_variables import ExecutionVariables
from sagemaker.workflow.fail_step import FailStep
from sagemaker.workflow.functions import Join, JsonGet
from sagemaker.workflow.model_step import ModelStep
from sagemaker.workflow.parameters import ParameterFloat, ParameterInteger, ParameterString
from sagemaker.workflow.pipeline import Pipeline
from sagemaker.workflow.pipeline_context import PipelineSession
from sagemaker.workflow.properties import PropertyFile
from sagemaker.workflow.steps import CacheConfig, ProcessingStep, TrainingStep, TuningStep

session = PipelineSession()
client = boto3.client("sagemaker")
COPY = Path("copy_photos.py")
COPY.write_text(
    """
import shutil
for name in ("train", "validation"):
    shutil.copytree(f"/opt/ml/processing/in/{name}", f"/opt/ml/processing/{name}",
                    dirs_exist_ok=True)
""",
    encoding="utf-8",
)
JUDGE = Path("judge.py")
JUDGE.write_text(
    """
import json, tarfile
from pathlib import Path
with tarfile.open("/opt/ml/processing/model/model.tar.gz") as archive:
    model = json.load(archive.extractfile("model.json"))
found = {"metrics": {"accuracy": {"value": model["accuracy"]["validation"]}}}
Path("/opt/ml/processing/judged/evaluation.json").write_text(json.dumps(found))
""",
    encoding="utf-8",
)
CACHE = CacheConfig(enable_caching=True, expire_after="P1D")
source = ParameterString("Photos", default_value=PHOTOS)
hosts = ParameterInteger("Hosts", default_value=1)
least = ParameterFloat("LeastAccuracy", default_value=0.0)
approval = ParameterString("Approval", default_value="Approved")


def processor(name: str) -> ScriptProcessor:
    return ScriptProcessor(
        role=ROLE,
        image_uri=TRAIN_IMAGE,
        command=["/opt/venv/bin/python"],
        instance_count=1,
        instance_type="ml.m5.large",
        base_job_name=name,
        sagemaker_session=session,
    )


def estimator() -> Estimator:
    return Estimator(
        TRAIN_IMAGE,
        ROLE,
        instance_count=hosts,
        instance_type="ml.m5.large",
        hyperparameters=TINY,
        metric_definitions=[METRIC],
        output_path=Join("/", [f"s3://{BUCKET}", "way", ExecutionVariables.PIPELINE_EXECUTION_ID]),
        disable_profiler=True,
        debugger_hook_config=False,  # its path has the execution's id, so that nothing is cached
        sagemaker_session=session,
    )


def prepared(name: str) -> TrainingInput:
    outputs = copied.properties.ProcessingOutputConfig.Outputs
    return TrainingInput(outputs[name].S3Output.S3Uri)


copied = ProcessingStep(
    "Copy",
    step_args=processor("copy").run(
        code=str(COPY),
        inputs=[ProcessingInput(source=source, destination="/opt/ml/processing/in")],
        outputs=[
            ProcessingOutput(output_name=name, source=f"/opt/ml/processing/{name}")
            for name in ("train", "validation")
        ],
    ),
    cache_config=CACHE,
)
inputs = {name: prepared(name) for name in ("train", "validation")}
trained = TrainingStep("Train", step_args=estimator().fit(inputs), cache_config=CACHE)
tuner = HyperparameterTuner(
    estimator(),
    "validation:accuracy",
    {"lr": ContinuousParameter(0.001, 0.01)},
    [METRIC],
    max_jobs=1,
    strategy="Random",
)
tuned = TuningStep("Tune", step_args=tuner.fit(inputs), cache_config=CACHE)
evaluation = PropertyFile("Evaluation", output_name="judged", path="evaluation.json")
judged = ProcessingStep(
    "Judge",
    step_args=processor("judge").run(
        code=str(JUDGE),
        inputs=[
            ProcessingInput(
                source=trained.properties.ModelArtifacts.S3ModelArtifacts,
                destination="/opt/ml/processing/model",
            )
        ],
        outputs=[ProcessingOutput(output_name="judged", source="/opt/ml/processing/judged")],
    ),
    property_files=[evaluation],
    cache_config=CACHE,
)
statistics = Join(
    "/",
    [
        judged.properties.ProcessingOutputConfig.Outputs["judged"].S3Output.S3Uri,
        "evaluation.json",
    ],
)
best = Model(
    SERVE_IMAGE,
    trained.properties.ModelArtifacts.S3ModelArtifacts,
    ROLE,
    sagemaker_session=session,
)
register = ModelStep(
    "Register",
    step_args=best.register(
        ["image/jpeg"],
        ["application/json"],
        model_package_group_name="way-v2",
        approval_status=approval,
        model_metrics=ModelMetrics(model_statistics=MetricsSource("application/json", statistics)),
    ),
)
accuracy = JsonGet(step_name="Judge", property_file=evaluation, json_path="metrics.accuracy.value")
decided = ConditionStep(
    "IsGood",
    conditions=[ConditionGreaterThanOrEqualTo(accuracy, least)],
    if_steps=[register],
    else_steps=[FailStep("TooBad", Join(" ", ["below", least]))],
)
pipeline = Pipeline(
    "way-v2",
    [source, hosts, least, approval],
    steps=[copied, trained, tuned, judged, decided],
    sagemaker_session=session,
)

with row("Pipeline.upsert, describe, definition"):
    pipeline.upsert(ROLE)
    pipeline.upsert(ROLE, description="again")
    assert pipeline.describe()["PipelineDescription"] == "again"

with row("Pipeline.start, wait: Processing, Training, Tuning, Condition, RegisterModel"):
    run = pipeline.start({"Hosts": 1})
    run.wait(delay=1, max_attempts=600)
    steps = {step["StepName"]: step for step in run.list_steps()}
    assert set(steps) == {"Copy", "Train", "Tune", "Judge", "IsGood", "Register-RegisterModel"}
    assert {step["StepStatus"] for step in steps.values()} == {"Succeeded"}
    order = [steps[name]["StartTime"] for name in ("Copy", "Train", "Judge", "IsGood")]
    assert order == sorted(order)
    arn = steps["Register-RegisterModel"]["Metadata"]["RegisterModel"]["Arn"]
    package = client.describe_model_package(ModelPackageName=arn)
    assert package["ModelApprovalStatus"] == "Approved"
    uri = package["ModelMetrics"]["ModelQuality"]["Statistics"]["S3Uri"]
    assert uri.endswith("/evaluation.json")

with row("Pipeline.start with another parameter: FailStep, its words"):
    bad = pipeline.start({"LeastAccuracy": 1.5})
    until(lambda: bad.describe()["PipelineExecutionStatus"] == "Failed")
    [failed] = [step for step in bad.list_steps() if step["StepName"] == "TooBad"]
    assert failed["FailureReason"] == "below 1.5"

with row("CacheConfig: steps of equal arguments take the earlier result"):
    cached = [step["StepName"] for step in bad.list_steps() if "CacheHitResult" in step]
    assert sorted(cached) == ["Copy", "Judge", "Train", "Tune"]

with row("PipelineExecution.list_parameters, Pipeline.list_executions"):
    assert {"Name": "LeastAccuracy", "Value": "1.5"} in bad.list_parameters()["PipelineParameters"]
    assert len(pipeline.list_executions()["PipelineExecutionSummaries"]) == 2

with row("PipelineExecution.stop"):
    stopped = pipeline.start({"Photos": f"{PHOTOS}/"})  # another one: nothing is cached
    until(stopped.list_steps)
    stopped.stop()
    until(lambda: stopped.describe()["PipelineExecutionStatus"] == "Stopped")

with row("Pipeline.delete"):
    # Of another one: the fields of what ran are looked at after the scripts.
    other = Pipeline("short-v2", steps=[FailStep("No", "no")], sagemaker_session=session)
    other.upsert(ROLE)
    other.delete()
    listed = client.list_pipelines()["PipelineSummaries"]
    assert [one["PipelineName"] for one in listed] == ["way-v2"]

tell()
