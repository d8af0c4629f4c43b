"""Fields that SageMaker's answers have where a request left them out.

SDKs read some of them without a look whether they are there: Estimator.attach reads
OutputDataConfig.KmsKeyId.
Sources: the defaults in the API reference of CreateTrainingJob, CreateHyperParameterTuningJob,
CreateModel, CreateEndpointConfig, CreateProcessingJob and CreateTransformJob; the examples of
SageMaker's events in the developer guide ("Automating SageMaker AI with Amazon EventBridge"), whose
details are those of the Describe operations.
"""

import copy
from typing import Any

from local_sagemaker.record import Record

EACH = "*"  # in a path: each entry of a list
RESOURCES = ("InstanceType", "InstanceCount", "VolumeSizeInGB", "VolumeKmsKeyId")
Defaults = dict[str, Any]  # by path, such as OutputDataConfig.KmsKeyId

# This server has no users.
CREATOR: Defaults = {"CreatedBy": {}}
CREATORS: Defaults = {**CREATOR, "LastModifiedBy": {}}
# Of one training, whether it is a job of its own or what a tuning job has trained.
TRAINING: Defaults = {
    "AlgorithmSpecification.TrainingInputMode": "File",
    "InputDataConfig.*.CompressionType": "None",
    "InputDataConfig.*.RecordWrapperType": "None",
    "InputDataConfig.*.DataSource.S3DataSource.S3DataDistributionType": "FullyReplicated",
    "OutputDataConfig.KmsKeyId": "",
    "OutputDataConfig.CompressionType": "GZIP",
    "ResourceConfig.VolumeSizeInGB": 30,
    "StoppingCondition.MaxRuntimeInSeconds": 86400,
    "EnableNetworkIsolation": False,
    "EnableInterContainerTrafficEncryption": False,
    "EnableManagedSpotTraining": False,
}
DEFAULTS: dict[str, Defaults] = {
    "DescribeTrainingJob": {
        **TRAINING,
        "AlgorithmSpecification.EnableSageMakerMetricsTimeSeries": False,
        "StoppingCondition": {"MaxRuntimeInSeconds": 86400},
        "HyperParameters": {},
    },
    "DescribeHyperParameterTuningJob": {
        f"{part}{path}": value
        for part in ("TrainingJobDefinition.", "TrainingJobDefinitions.*.")
        for path, value in TRAINING.items()
    }
    | {"HyperParameterTuningJobConfig.TrainingJobEarlyStoppingType": "Off"},
    "DescribeModel": {
        "EnableNetworkIsolation": False,
        "PrimaryContainer.Mode": "SingleModel",
        "PrimaryContainer.Environment": {},
    },
    "DescribeEndpoint": {"DataCaptureConfig.KmsKeyId": ""},
    "DescribeEndpointConfig": {
        "ProductionVariants.*.InitialVariantWeight": 1.0,
        "EnableNetworkIsolation": False,
    },
    "DescribeProcessingJob": {
        "ProcessingInputs.*.AppManaged": False,
        "ProcessingInputs.*.S3Input.S3DataDistributionType": "FullyReplicated",
        "ProcessingInputs.*.S3Input.S3CompressionType": "None",
        "ProcessingOutputConfig.Outputs.*.AppManaged": False,
        "StoppingCondition": {"MaxRuntimeInSeconds": 86400},
    },
    "DescribeTransformJob": {
        "TransformInput.CompressionType": "None",
        "TransformInput.SplitType": "None",
        "TransformOutput.AssembleWith": "None",
        "TransformOutput.KmsKeyId": "",
        "Environment": {},
    },
    "DescribeModelPackageGroup": CREATOR,
    "DescribeModelPackage": CREATORS,
    "DescribePipeline": CREATORS,
    "DescribePipelineExecution": CREATORS,
}


def complete(operation: str, record: Record) -> Record:
    """The record of an answer with the fields of its operation; what it has stays."""
    defaults = DEFAULTS.get(operation)
    if not defaults:
        return record
    record = copy.deepcopy(record)
    if operation == "DescribeHyperParameterTuningJob":
        _complete_search(record)
    for path, value in defaults.items():
        _fill(record, path.split("."), value)
    return record


def _complete_search(record: Record) -> None:
    """What SDK v2's HyperparameterTuner.attach and best_estimator read of a tuning job.

    They read ResourceConfig, also where the request had HyperParameterTuningResourceConfig, as
    theirs has, and drop the hyperparameter in which SageMaker tells a training its objective.
    """
    definition = record.get("TrainingJobDefinition")
    if definition is None:
        return
    wanted = definition.get("HyperParameterTuningResourceConfig")
    if wanted:
        resources = dict(wanted)
        for first in wanted.get("InstanceConfigs", [])[:1]:
            resources |= first
        kept = {name: resources[name] for name in RESOURCES if name in resources}
        definition.setdefault("ResourceConfig", kept)
    config = record["HyperParameterTuningJobConfig"]
    objective = config.get("HyperParameterTuningJobObjective")
    if objective:
        static = definition.setdefault("StaticHyperParameters", {})
        static.setdefault("_tuning_objective_metric", objective["MetricName"])


def _fill(part: Any, path: list[str], value: Any) -> None:
    """Set a field where its parent is there and the field is not."""
    if part is None:
        return
    name, *rest = path
    if name == EACH:
        for entry in part:
            _fill(entry, rest, value)
    elif rest:
        _fill(part.get(name), rest, value)
    elif part.get(name) is None:
        part[name] = copy.deepcopy(value)
