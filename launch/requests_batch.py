"""CreateTransformJob as a pure function of the recipe."""

from launch.aws import AwsLocation, Request
from launch.errors import LaunchError
from launch.gpu_hosts import batch_image, is_gpu
from launch.recipe import Recipe
from launch.requests_training import kms, s3, tags, volume_kms
from recipes.sagemaker import Batch

# SageMaker's limit of MaxConcurrentTransforms times MaxPayloadInMB.
MOST_MB_UNDER_WAY = 100
# SageMaker's default. The server works until SageMaker waits no more.
TIMEOUT_S = 600


def transform_job(
    recipe: Recipe, location: AwsLocation, name: str, model_name: str, source: str
) -> Request:
    """CreateTransformJob over whole photos under an s3:// prefix.

    LaunchError for machines without a fitting driver, and for more data at a time than SageMaker
    allows.
    """
    batch = recipe.sagemaker.batch
    _check(batch)
    return {
        "TransformJobName": name,
        "ModelName": model_name,
        "MaxConcurrentTransforms": batch.concurrent,
        "MaxPayloadInMB": batch.payload_mb,
        # One photo per request: the body is the file itself.
        "BatchStrategy": "SingleRecord",
        "ModelClientConfig": {"InvocationsTimeoutInSeconds": TIMEOUT_S, "InvocationsMaxRetries": 3},
        "TransformInput": _input(source),
        "TransformOutput": {
            "S3OutputPath": s3(recipe, location, "batch", name),
            "Accept": "application/json",
            "AssembleWith": "None",
            **kms(recipe),
        },
        "TransformResources": {
            "InstanceType": batch.instance_type,
            "InstanceCount": batch.instance_count,
            **_host(batch),
            **volume_kms(recipe, batch.instance_type),
        },
        "Tags": tags(recipe),
    }


def _check(batch: Batch) -> None:
    under_way_mb = batch.concurrent * batch.payload_mb
    if under_way_mb > MOST_MB_UNDER_WAY:
        raise LaunchError(
            f"sagemaker.batch.concurrent times payload_mb is {under_way_mb} MB; "
            f"SageMaker allows {MOST_MB_UNDER_WAY}"
        )


def _host(batch: Batch) -> Request:
    if not is_gpu(batch.instance_type):
        return {}
    return {"TransformAmiVersion": batch_image(batch.cuda, batch.instance_type)}


def _input(source: str) -> Request:
    """TransformInput: every object under an s3:// prefix, each as a whole."""
    return {
        "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": source}},
        # All photos get this type; the server looks into the bytes.
        "ContentType": "application/x-image",
        "SplitType": "None",
        "CompressionType": "None",
    }
