"""Whether a model's container can run here, and whether its data is there."""

from local_sagemaker import objects
from local_sagemaker.contract import invalid
from local_sagemaker.platform import Platform
from local_sagemaker.record import Record
from runtime.engine_facts import PROCESS
from runtime.errors import RunError

PROGRAM = "SAGEMAKER_PROGRAM"  # by which a serving image of AWS's runs an artifact's code


def check_container(platform: Platform, container: Record) -> None:
    """ApiError for a container that cannot be served here, or whose model's data is not there."""
    try:
        platform.container_engine.find_image(container["Image"], "serve")
    except RunError as error:
        raise invalid(f"Requested image {container['Image']} not found: {error}") from error
    if platform.container_engine.name == PROCESS and PROGRAM in container.get("Environment", {}):
        raise invalid(
            f"local SageMaker: code of your own ({PROGRAM}) runs in a serving image, and this "
            "server runs no images; start it with --engine docker or podman"
        )
    _check_data(container)


def _check_data(container: Record) -> None:
    # ModelDataUrl is one archive; ModelDataSource may be a prefix of single files, too.
    source = container.get("ModelDataSource", {}).get("S3DataSource", {})
    uri = container.get("ModelDataUrl") or source.get("S3Uri")
    if not uri:
        return  # the model is within the image
    if container.get("Mode") == "MultiModel":
        if not uri.endswith("/"):
            raise invalid(
                "ModelDataUrl of a multi-model container must be a prefix that ends with '/'; "
                f"found '{uri}'",
            )
        return
    try:
        there = objects.listed(uri)
    except objects.ObjectError as error:
        raise invalid(f"Could not access model data at {uri}: {error}") from error
    if not there:
        raise invalid(f"Could not find model data at {uri}.")
