"""SDK v2's tuning jobs: fit, attach, the best one, analytics, warm starts, stop."""

import sagemaker
from rows import METRIC, PHOTOS, SERVE_IMAGE, TINY, TRAIN_IMAGE, photo, row, tell, until
from sagemaker.analytics import HyperparameterTuningJobAnalytics
from sagemaker.deserializers import JSONDeserializer
from sagemaker.estimator import Estimator
from sagemaker.parameter import ContinuousParameter
from sagemaker.serializers import IdentitySerializer
from sagemaker.tuner import HyperparameterTuner, WarmStartConfig, WarmStartTypes

session = sagemaker.Session()
INPUTS = {name: f"{PHOTOS}/{name}" for name in ("train", "validation")}


def tuner(name: str, jobs: int = 2, low: float = 1e-3, epochs: int = 1, **more):
    base = Estimator(
        TRAIN_IMAGE,
        instance_count=1,
        instance_type="ml.m5.large",
        hyperparameters={**TINY, "epochs": epochs},
    )
    return HyperparameterTuner(
        base,
        "validation:accuracy",
        {"lr": ContinuousParameter(low, 1e-2, "Logarithmic")},
        metric_definitions=[METRIC],
        max_jobs=jobs,
        max_parallel_jobs=1,
        strategy="Random",
        base_tuning_job_name=name,
        **more,
    )


def status(name: str) -> str:
    answer = session.describe_tuning_job(name)
    return answer["HyperParameterTuningJobStatus"]


first = tuner("first")
with row("HyperparameterTuner.fit, wait"):
    first.fit(INPUTS, wait=True)
    assert status(first.latest_tuning_job.name) == "Completed"

with row("HyperparameterTuner.attach, best_training_job, best_estimator"):
    again = HyperparameterTuner.attach(first.latest_tuning_job.name)
    best = again.best_estimator()
    assert best.latest_training_job.name == again.best_training_job()
    assert "lr" in best.hyperparameters()

with row("HyperparameterTuningJobAnalytics.dataframe, training_job_summaries"):
    analytics = HyperparameterTuningJobAnalytics(first.latest_tuning_job.name)
    assert len(analytics.dataframe()) == 2
    assert len(first.analytics().training_job_summaries()) == 2

with row("HyperparameterTuner.deploy, predict"):
    predictor = first.deploy(
        1,
        "ml.m5.large",
        image_uri=SERVE_IMAGE,
        serializer=IdentitySerializer("image/jpeg"),
        deserializer=JSONDeserializer(),
    )
    assert predictor.predict(photo())["predictions"]
    predictor.delete_endpoint()

with row("WarmStartConfig, IdenticalDataAndAlgorithm"):
    parents = {first.latest_tuning_job.name}
    kind = WarmStartTypes.IDENTICAL_DATA_AND_ALGORITHM
    same = tuner("same", 1, warm_start_config=WarmStartConfig(kind, parents))
    same.fit(INPUTS, wait=True)
    assert status(same.latest_tuning_job.name) == "Completed"

with row("WarmStartConfig, TransferLearning, transfer_learning_tuner"):
    further = first.transfer_learning_tuner(estimator=tuner("further").estimator)
    further.metric_definitions = [METRIC]  # the SDK does not take them over
    further.max_jobs = 1
    further.fit(INPUTS, wait=True)
    assert status(further.latest_tuning_job.name) == "Completed"

with row("HyperparameterTuner.stop_tuning_job: all its trainings have ended"):
    long = tuner("long", 4, epochs=1000)
    long.fit(INPUTS, wait=False)
    name = long.latest_tuning_job.name
    listed = session.sagemaker_client.list_training_jobs_for_hyper_parameter_tuning_job

    def trainings():
        return listed(HyperParameterTuningJobName=name)["TrainingJobSummaries"]

    until(trainings)
    long.stop_tuning_job()
    until(lambda: status(name) == "Stopped")
    assert {entry["TrainingJobStatus"] for entry in trainings()} <= {"Stopped", "Completed"}

tell()
