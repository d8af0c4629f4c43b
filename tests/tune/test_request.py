"""Requests for tuning jobs, in botocore's own shapes."""

import subprocess
import sys

import boto3
from botocore.validate import ParamValidator

from recipes.recipe import read_recipe
from tests.support.chains import LR, recipe
from tests.support.jobs import REPOSITORY
from tune.request import tuning_request


def validated(request: dict) -> str:
    """botocore's report on a request, completed as a launcher does it; "" when it is sound."""
    job = request["TrainingJobDefinition"]
    # A launcher adds what the recipe does not know.
    job["AlgorithmSpecification"]["TrainingImage"] = "image"
    job |= {
        "RoleArn": "arn:aws:iam::123456789012:role/training",
        "OutputDataConfig": {"S3OutputPath": "s3://b/o"},
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
    }
    model = boto3.client(
        "sagemaker", region_name="eu-west-1", aws_access_key_id="a", aws_secret_access_key="b"
    ).meta.service_model
    return (
        ParamValidator()
        .validate(request, model.operation_model("CreateHyperParameterTuningJob").input_shape)
        .generate_report()
    )


def test_requests_are_as_the_service_has_them():
    chain = [
        *read_recipe(REPOSITORY / "recipes" / "yoga_poses.yaml").tuning,
        *recipe(
            {"strategy": "Hyperband", "budgets": {"jobs": 9, "parallel": 3, "time_s": 600}},
            {
                "strategy": "Grid",
                "budgets": {},
                "ranges": {"epochs": [1, 2], "optimizer": ["sgd", "adam"]},
            },
            {
                "budgets": {"jobs": 5, "target": 0.9, "not_improving": 3},
                "seed": 7,
                "objective": {"metric": "validation_loss", "direction": "Minimize"},
                "ranges": {
                    "lr": LR,
                    "epochs": {"type": "Integer", "min": 1, "max": 4, "scale": "Linear"},
                    "momentum": {
                        "type": "continuous",
                        "min": 0,
                        "max": 0.99,
                        "scale": "reverselogarithmic",
                    },
                },
            },
        ).tuning,
    ]
    requests = [tuning_request(tuning) for tuning in chain]
    assert [validated(request) for request in requests] == [""] * 7
    last = requests[-1]["HyperParameterTuningJobConfig"]
    assert last["ParameterRanges"]["IntegerParameterRanges"] == [
        {"Name": "epochs", "MinValue": "1", "MaxValue": "4", "ScalingType": "Linear"}
    ]
    momentum = {
        "Name": "momentum",
        "MinValue": "0.0",
        "MaxValue": "0.99",
        "ScalingType": "ReverseLogarithmic",
    }
    assert last["ParameterRanges"]["ContinuousParameterRanges"][1] == momentum
    assert last["TuningJobCompletionCriteria"] == {
        "TargetObjectiveMetricValue": 0.9,
        "BestObjectiveNotImproving": {"MaxNumberOfTrainingJobsNotImproving": 3},
    }
    assert last["RandomSeed"] == 7
    assert last["HyperParameterTuningJobObjective"] == {
        "Type": "Minimize",
        "MetricName": "validation_loss",
    }
    assert requests[3]["WarmStartConfig"] == {
        "ParentHyperParameterTuningJobs": [{"HyperParameterTuningJobName": "yoga-3"}],
        "WarmStartType": "IdenticalDataAndAlgorithm",
    }
    assert requests[4]["HyperParameterTuningJobConfig"]["StrategyConfig"] == {
        # From the static epochs.
        "HyperbandStrategyConfig": {"MinResource": 1, "MaxResource": 2}
    }
    assert (
        requests[5]["HyperParameterTuningJobConfig"]["ResourceLimits"]["MaxNumberOfTrainingJobs"]
        # A grid's combinations.
        == 4
    )
    static = requests[0]["TrainingJobDefinition"]["StaticHyperParameters"]
    assert static["eps"] == "1e-06"
    assert not {"lr", "epochs"} & static.keys()


def test_a_launcher_can_take_the_requests_without_torch_optuna_or_train():
    code = (
        # Launching must not take the seconds that they load.
        "import sys, tune.request, tune.warm_start; print(sorted({name.partition('.')[0] for "
        "name in sys.modules} & {'torch', 'optuna', 'train'}))"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True
    ).stdout
    assert shown.strip() == "[]"
