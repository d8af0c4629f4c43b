"""Model packages: requests of the model registry as pure functions of the recipe."""

from launch.aws import AwsLocation, Request
from launch.model_source import Source
from launch.recipe import Recipe
from launch.requests_hosting import serving_environment
from launch.requests_training import Target, present, tags

PENDING = "PendingManualApproval"
APPROVED = "Approved"
REJECTED = "Rejected"
METRICS_FILE = "metrics.json"
# What slipway-serve takes and answers.
TAKEN = ["image/jpeg", "image/png", "application/x-image", "application/json"]
ANSWERED = ["application/json", "text/csv"]


def group_name(recipe: Recipe) -> str:
    """The group of a recipe's versions has the recipe's name."""
    return recipe.slug


def group(recipe: Recipe) -> Request:
    """CreateModelPackageGroup."""
    return {
        "ModelPackageGroupName": group_name(recipe),
        "ModelPackageGroupDescription": f"Models of the recipe {recipe.name}",
        "Tags": tags(recipe),
    }


def version_arn(recipe: Recipe, location: AwsLocation, version: int) -> str:
    """A version's ARN; SageMaker writes names in ARNs in small letters."""
    return location.arn("sagemaker", f"model-package/{group_name(recipe).lower()}/{version}")


def package(
    recipe: Recipe, target: Target, image: str, source: Source, metrics_uri: str, approval: str
) -> Request:
    """CreateModelPackage of a new version. metrics_uri: s3:// of `quality`; empty for none."""
    environment = serving_environment(recipe.sagemaker.endpoint)
    container = {
        "Image": target.image(image),
        "ModelDataUrl": source.uri,
        **present(Environment=environment),
    }
    request: Request = {
        "ModelPackageGroupName": group_name(recipe),
        "ModelApprovalStatus": approval,
        "InferenceSpecification": {
            "Containers": [container],
            "SupportedContentTypes": TAKEN,
            "SupportedResponseMIMETypes": ANSWERED,
        },
        **present(CustomerMetadataProperties=properties(recipe, source)),
    }
    if source.job:
        arn = target.location.arn("sagemaker", f"training-job/{source.job.lower()}")
        request["ModelPackageDescription"] = f"The model of the training {source.job}"
        request["MetadataProperties"] = {"GeneratedBy": arn}
    if metrics_uri:
        statistics = {"ContentType": "application/json", "S3Uri": metrics_uri}
        request["ModelMetrics"] = {"ModelQuality": {"Statistics": statistics}}
    return request


def properties(recipe: Recipe, source: Source) -> dict[str, str]:
    """What a list of versions shows of each: its training, its network, and its metrics."""
    network = recipe.hyperparameters.get("model", "")
    named = present(training_job=source.job, model=str(network))
    return {**named, **{name: f"{value:.6g}" for name, value in source.metrics.items()}}


def quality(metrics: dict[str, float]) -> dict[str, object]:
    """The file of ModelMetrics.ModelQuality, in the form that SageMaker Model Monitor writes.

    The accuracy is that of the test photos, or without these of the validation photos.
    """
    document: dict[str, object] = {"training_metrics": metrics}
    for name in ("test_accuracy", "validation_accuracy"):
        if name in metrics:
            accuracy = {"value": metrics[name], "standard_deviation": "NaN"}
            document["multiclass_classification_metrics"] = {"accuracy": accuracy}
            break
    return document
