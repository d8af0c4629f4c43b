"""Members of requests that nothing here acts on: refused, or taken and without effect.

Refused is what would change the data, the program or the search that a caller gets. What only
places, guards, limits or bills AWS's machines has no effect here. `--help` shows both lists.
tests/local_sagemaker/test_members.py holds every other member of botocore's model to be read.
"""

from collections.abc import Iterator
from typing import Any

from botocore.model import ListShape, Shape, StructureShape

# By name; they mean the same wherever they stand.
REFUSED = (
    *("AdditionalModelDataSources", "AdditionalS3DataSource", "AppManaged", "AutoParameters"),
    *("Autotune", "CertifyForMarketplace", "ConvergenceDetected", "CoreDumpConfig"),
    *("CrossRegionTrafficConfig", "DatasetDefinition", "DatasetSource", "ExplainerConfig"),
    *("FeatureStoreOutput", "HubAccessConfig", "InstancePools", "InstancePreferences"),
    *("ManagedConfiguration", "ManagedStorageType", "ManifestS3Uri", "ModelPackageConfig"),
    *("SelectiveExecutionConfig", "ServerlessJobConfig", "SourceAlgorithmSpecification"),
    *("TrainingJobDefinitions", "ValidationSpecification", "VersionId"),
)
WITHOUT_EFFECT = (
    *("AcceleratorPartitionLayouts", "AcceleratorType", "AllocationStrategy", "AttributeNames"),
    *("CapacityReservationConfig", "ContainerMetricsConfig", "ETag"),
    *("EnableInterContainerTrafficEncryption", "EnableSSMAccess"),
    *("EnableSageMakerMetricsTimeSeries", "ExperimentConfig", "ImageConfig"),
    *("ImageDigest", "IncludeInferenceResponseIn", "InferenceAmiVersion"),
    *("InferenceExecutionConfig", "InfraCheckConfig", "InstancePlacementConfig"),
    *("KeepAlivePeriodInSeconds", "KmsKeyId", "ManagedInstanceScaling", "ManifestEtag"),
    *("MaxPendingTimeInSeconds", "MemorySizeInMB", "MetricsConfig", "ModelAccessConfig"),
    *("ModelDataDownloadTimeoutInSeconds", "ModelDataETag", "MultiModelConfig"),
    *("RemoteDebugConfig", "RetryStrategy", "RoutingConfig", "SecurityConfig"),
    *("SelectedInstanceCount", "SelectedInstanceType", "SessionChainingConfig"),
    *("ShuffleConfig", "SkipModelValidation", "TrainingImageConfig", "TrainingPlanArn"),
    *("TransformAmiVersion", "VariantInstanceProvisionTimeoutInSeconds", "VpcConfig"),
)
NOTHING = (None, False, "", "Disabled")  # values that ask for nothing


def refused(shape: Shape, value: Any, where: str = "") -> Iterator[str]:
    """Paths of the members that ask for something that this server does not do.

    value: of the shape. Keys of maps, such as hyperparameters, are no members.
    """
    if isinstance(shape, ListShape):
        for number, part in enumerate(value):
            yield from refused(shape.member, part, f"{where}[{number}]")
    elif isinstance(shape, StructureShape):
        for name, part in value.items():
            path = f"{where}.{name}".lstrip(".")
            if name not in REFUSED:
                yield from refused(shape.members[name], part, path)
            elif _asks(part):
                yield path


def _asks(value: Any) -> bool:
    """Whether a value asks for anything: SDKs also send empty and disabled ones."""
    if isinstance(value, dict):
        return any(_asks(part) for part in value.values())
    if isinstance(value, list):
        return any(_asks(part) for part in value)
    return value not in NOTHING


def described() -> str:
    """Both lists, for --help."""
    return (
        f"Refused in requests, wherever they stand: {', '.join(REFUSED)}.\n\n"
        f"Taken and shown, but without effect here: {', '.join(WITHOUT_EFFECT)}."
    )
