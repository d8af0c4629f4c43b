"""SDK v2's trainings of an own image: inputs, limits, hosts, debugger, and what analytics show."""

import sagemaker
from rows import BUCKET, METRIC, PHOTOS, TINY, TRAIN_IMAGE, row, tell, until
from sagemaker.analytics import TrainingJobAnalytics
from sagemaker.debugger import (
    DebuggerHookConfig,
    ProfilerConfig,
    ProfilerRule,
    Rule,
    rule_configs,
)
from sagemaker.estimator import Estimator
from sagemaker.inputs import TrainingInput

session = sagemaker.Session()


def estimator(name: str, count: int = 1, **more) -> Estimator:
    return Estimator(
        TRAIN_IMAGE,
        instance_count=count,
        instance_type="ml.m5.large",
        hyperparameters=TINY,
        metric_definitions=[METRIC],
        base_job_name=name,
        **{"disable_profiler": True, "debugger_hook_config": False, **more},
    )


def inputs(mode: str = "File") -> dict[str, TrainingInput]:
    return {
        name: TrainingInput(f"{PHOTOS}/{name}", input_mode=mode) for name in ("train", "validation")
    }


def described(fitted: Estimator) -> dict:
    return session.describe_training_job(fitted.latest_training_job.name)


with row("Estimator.fit, FastFile, environment"):
    fast = estimator("fast", environment={"OWN": "value"})
    fast.fit(inputs("FastFile"), logs=False)
    assert described(fast)["Environment"] == {"OWN": "value"}

with row("TrainingJobAnalytics.dataframe"):
    frame = TrainingJobAnalytics(fast.latest_training_job.name).dataframe()
    assert set(frame["metric_name"]) == {"validation:accuracy"}

with row("Estimator.fit, use_spot_instances, checkpoints, max_wait"):
    spot = estimator(
        "spot",
        use_spot_instances=True,
        max_run=600,
        max_wait=900,
        checkpoint_s3_uri=f"s3://{BUCKET}/checkpoints",
    )
    spot.fit(inputs(), logs=False)
    found = described(spot)
    assert found["EnableManagedSpotTraining"] and found["BillableTimeInSeconds"]

with row("Estimator.fit, instance_count=2"):
    both = estimator("hosts", 2)
    both.fit(inputs(), logs=False)
    assert described(both)["ResourceConfig"]["InstanceCount"] == 2

with row("Estimator.fit, max_run: Stopped with MaxRuntimeExceeded"):
    short = estimator("short", max_run=1)
    short.set_hyperparameters(epochs=1000)
    short.fit(inputs(), wait=False)
    name = short.latest_training_job.name
    until(lambda: session.describe_training_job(name)["TrainingJobStatus"] == "Stopped")
    assert session.describe_training_job(name)["SecondaryStatus"] == "MaxRuntimeExceeded"

with row("Estimator.fit of a wrong hyperparameter: FailureReason"):
    wrong = estimator("wrong")
    wrong.set_hyperparameters(epochs="many")
    try:
        wrong.fit(inputs(), logs=False)
    except sagemaker.exceptions.UnexpectedStatusException as error:
        assert "epochs" in str(error)
    else:
        raise AssertionError("it did not fail")

with row("Session.stop_training_job"):
    long = estimator("stopped")
    long.set_hyperparameters(epochs=1000)
    long.fit(inputs(), wait=False)
    long.latest_training_job.stop()
    name = long.latest_training_job.name
    until(lambda: session.describe_training_job(name)["TrainingJobStatus"] == "Stopped")

with row("Estimator.fit with rules and profiler, rule_job_summary"):
    debugged = estimator(
        "debugged",
        disable_profiler=False,
        debugger_hook_config=DebuggerHookConfig(f"s3://{BUCKET}/tensors"),
        profiler_config=ProfilerConfig(system_monitor_interval_millis=500),
        rules=[
            Rule.sagemaker(rule_configs.loss_not_decreasing()),
            ProfilerRule.sagemaker(rule_configs.ProfilerReport()),
        ],
    )
    debugged.fit(inputs(), logs=False)

    def judged():
        summary = debugged.latest_training_job.rule_job_summary()
        statuses = {entry["RuleEvaluationStatus"] for entry in summary}
        return None if "InProgress" in statuses else summary

    assert len(until(judged)) == 2

with row("smdebug create_trial, wait_for_steps, losses"):
    from smdebug.trials import create_trial

    trial = create_trial(debugged.latest_job_debugger_artifacts_path())
    trial.wait_for_steps([0])
    assert trial.tensor_names(collection="losses")

with row("smdebug TrainingJob, wait_for_sys_profiling_data_to_be_available, readers"):
    from smdebug.profiler.analysis.notebook_utils.training_job import TrainingJob

    profiled = TrainingJob(debugged.latest_training_job.name, session.boto_region_name)
    profiled.wait_for_sys_profiling_data_to_be_available()
    reader = profiled.get_systems_metrics_reader()
    reader.refresh_event_file_list()
    assert reader.get_events(0, reader.get_timestamp_of_latest_available_file())

with row("ProfilerReport in rule-output"):
    rules = session.list_s3_files(BUCKET, f"{debugged.latest_training_job.name}/rule-output")
    assert any(key.endswith("profiler-report.html") for key in rules)

with row("Estimator.attach of each"):
    for fitted in (fast, spot, both, debugged):
        Estimator.attach(fitted.latest_training_job.name)

tell()
