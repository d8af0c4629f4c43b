"""SDK v2's script mode in containers: the style of script that notebooks have, and its debugger."""

import shutil
from pathlib import Path

import sagemaker
from rows import BUCKET, PHOTOS, ROLE, SCRIPT, TRAIN_IMAGE, row, tell, until
from sagemaker.debugger import DebuggerHookConfig, ProfilerConfig, ProfilerRule, Rule, rule_configs
from sagemaker.parameter import ContinuousParameter
from sagemaker.pytorch import PyTorch
from sagemaker.tuner import HyperparameterTuner

session = sagemaker.Session()
METRICS = [{"Name": "loss", "Regex": "Average loss: ([0-9.]+)"}]
CODE = Path("code")
CODE.mkdir(exist_ok=True)
# One that is named as a module of the image's.
shutil.copy(SCRIPT, CODE / "train.py")


def estimator(**more) -> PyTorch:
    return PyTorch(
        entry_point="train.py",
        source_dir=str(CODE),
        image_uri=TRAIN_IMAGE,
        role=ROLE,
        instance_count=1,
        instance_type="ml.m5.large",
        metric_definitions=METRICS,
        **{"disable_profiler": True, "debugger_hook_config": False, **more},
    )


INPUTS = {"training": f"{PHOTOS}/train"}

with row("PyTorch.fit of a script, environment, logs"):
    plain = estimator(hyperparameters={"epochs": 2}, environment={"OWN": "value"})
    plain.fit(INPUTS)
    found = session.describe_training_job(plain.latest_training_job.name)
    assert found["TrainingJobStatus"] == "Completed"
    assert found["FinalMetricDataList"][0]["MetricName"] == "loss"

with row("PyTorch.attach"):
    again = PyTorch.attach(plain.latest_training_job.name)
    assert again.entry_point == "train.py"

with row("PyTorch.fit of a script that fails: its own words"):
    failing = estimator(hyperparameters={"fail": "my own reason"})
    try:
        failing.fit(INPUTS, logs=False)
    except sagemaker.exceptions.UnexpectedStatusException as error:
        assert "my own reason" in str(error)
    else:
        raise AssertionError("it did not fail")

debugged = estimator(
    disable_profiler=False,
    debugger_hook_config=DebuggerHookConfig(f"s3://{BUCKET}/tensors"),
    profiler_config=ProfilerConfig(system_monitor_interval_millis=500),
    rules=[
        Rule.sagemaker(rule_configs.loss_not_decreasing()),
        Rule.sagemaker(rule_configs.vanishing_gradient()),
        ProfilerRule.sagemaker(rule_configs.ProfilerReport()),
    ],
)
with row("PyTorch.fit with hook, rules and profiler, rule_job_summary"):
    debugged.fit(INPUTS, logs=False)

    def judged():
        summary = debugged.latest_training_job.rule_job_summary()
        statuses = {entry["RuleEvaluationStatus"] for entry in summary}
        return None if "InProgress" in statuses else summary

    assert len(until(judged)) == 3

with row("create_trial on a script's tensors"):
    from smdebug.trials import create_trial

    trial = create_trial(debugged.latest_job_debugger_artifacts_path())
    [loss] = trial.tensor_names(collection="losses")
    assert trial.tensor(loss).steps()

with row("TrainingJob of a script, system metrics"):
    from smdebug.profiler.analysis.notebook_utils.training_job import TrainingJob

    profiled = TrainingJob(debugged.latest_training_job.name, session.boto_region_name)
    profiled.wait_for_sys_profiling_data_to_be_available()

with row("HyperparameterTuner of a script, best_estimator"):
    tuner = HyperparameterTuner(
        estimator(hyperparameters={"epochs": 2}),
        "loss",
        {"lr": ContinuousParameter(0.01, 0.5)},
        METRICS,
        objective_type="Minimize",
        max_jobs=2,
        strategy="Random",
    )
    tuner.fit(INPUTS, wait=True)
    assert tuner.best_estimator().entry_point == "train.py"

tell()
