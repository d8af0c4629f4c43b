"""SDK v3's SourceCode in containers: a training, a failure, and a tuning job."""

import shutil
from pathlib import Path

from rows import PHOTOS, SCRIPT, TRAIN_IMAGE, row, tell
from sagemaker.core.parameter import ContinuousParameter
from sagemaker.core.training.configs import Compute, InputData, SourceCode
from sagemaker.train.model_trainer import ModelTrainer
from sagemaker.train.tuner import HyperparameterTuner

CODE = Path("code3")
CODE.mkdir(exist_ok=True)
shutil.copy(SCRIPT, CODE / "mine.py")
INPUTS = [InputData(channel_name="training", data_source=f"{PHOTOS}/train")]


def trainer(**hyperparameters) -> ModelTrainer:
    return ModelTrainer(
        training_image=TRAIN_IMAGE,
        source_code=SourceCode(source_dir=str(CODE), entry_script="mine.py"),
        compute=Compute(instance_type="ml.m5.large", instance_count=1),
        hyperparameters={"epochs": 2, **hyperparameters},
        environment={"OWN": "value"},
    )


with row("ModelTrainer.train with SourceCode, wait, logs"):
    plain = trainer()
    plain.train(input_data_config=INPUTS)
    job = plain._latest_training_job
    assert job.training_job_status == "Completed"
    assert job.model_artifacts.s3_model_artifacts.endswith("model.tar.gz")

with row("ModelTrainer.train of a script that fails: its own words"):
    try:
        trainer(fail="my own reason").train(input_data_config=INPUTS)
    except Exception as error:
        assert "my own reason" in str(error)
    else:
        raise AssertionError("it did not fail")

with row("HyperparameterTuner.tune with SourceCode"):
    tuner = HyperparameterTuner(
        trainer(),
        "loss",
        {"lr": ContinuousParameter(0.01, 0.5)},
        metric_definitions=[{"Name": "loss", "Regex": "Average loss: ([0-9.]+)"}],
        objective_type="Minimize",
        max_jobs=2,
        strategy="Random",
    )
    tuner.tune(INPUTS, wait=True)
    assert tuner.best_training_job()

tell()
