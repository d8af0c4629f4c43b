"""SDK v3's HyperparameterTuner on an own image: tune, the best one, warm start, stop."""

from rows import PHOTOS, TINY, TRAIN_IMAGE, row, tell, until
from sagemaker.core.parameter import ContinuousParameter
from sagemaker.core.resources import HyperParameterTuningJob
from sagemaker.core.shapes import (
    HyperParameterTuningJobWarmStartConfig,
    ParentHyperParameterTuningJob,
)
from sagemaker.core.training.configs import Compute, InputData
from sagemaker.train.model_trainer import ModelTrainer
from sagemaker.train.tuner import HyperparameterTuner

INPUTS = [InputData(channel_name=name, data_source=f"{PHOTOS}/{name}") for name in ("train",)]


def tuner(name: str, jobs: int, epochs: int = 1, **more) -> HyperparameterTuner:
    trainer = ModelTrainer(
        training_image=TRAIN_IMAGE,
        compute=Compute(instance_type="ml.m5.large", instance_count=1),
        hyperparameters={**TINY, "epochs": str(epochs)},
    )
    return HyperparameterTuner(
        trainer,
        "validation:accuracy",
        {"lr": ContinuousParameter(1e-3, 1e-2)},
        metric_definitions=[
            {"Name": "validation:accuracy", "Regex": "validation_accuracy=([0-9.]+)"}
        ],
        max_jobs=jobs,
        strategy="Random",
        base_tuning_job_name=name,
        **more,
    )


first = tuner("first", 2)
with row("HyperparameterTuner.tune, wait"):
    first.tune(INPUTS, wait=True)
    found = HyperParameterTuningJob.get(first.latest_tuning_job.hyper_parameter_tuning_job_name)
    assert found.hyper_parameter_tuning_job_status == "Completed"

with row("HyperparameterTuner.best_training_job, describe"):
    assert first.best_training_job() == found.best_training_job.training_job_name
    assert first.describe().training_job_status_counters.completed == 2

with row("HyperParameterTuningJob.get_all_training_jobs, get_all"):
    assert len(list(found.get_all_training_jobs())) == 2
    names = [entry.hyper_parameter_tuning_job_name for entry in HyperParameterTuningJob.get_all()]
    assert found.hyper_parameter_tuning_job_name in names

with row("HyperparameterTuner with warm_start_config, TransferLearning"):
    parent = ParentHyperParameterTuningJob(
        hyper_parameter_tuning_job_name=found.hyper_parameter_tuning_job_name
    )
    warm = HyperParameterTuningJobWarmStartConfig(
        parent_hyper_parameter_tuning_jobs=[parent], warm_start_type="TransferLearning"
    )
    second = tuner("second", 1, warm_start_config=warm)
    second.tune(INPUTS, wait=True)

with row("HyperparameterTuner.stop_tuning_job"):
    long = tuner("long", 3, epochs=1000)
    long.tune(INPUTS, wait=False)
    job = long.latest_tuning_job
    until(lambda: list(job.get_all_training_jobs()))
    long.stop_tuning_job()
    until(lambda: job.refresh().hyper_parameter_tuning_job_status == "Stopped")

with row("HyperParameterTuningJob.delete"):
    found.delete()

tell()
