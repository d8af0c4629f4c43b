"""Which model an endpoint serves, as SageMaker says: notes may be lost, or another machine's."""

from launch.aws import Response
from launch.context import LaunchContext
from launch.jobs import chosen, endpoint_or_none
from launch.requests_training import model_data


def deployed_model(context: LaunchContext) -> str:
    """s3:// of the endpoint's model; of the latest training's where there is no endpoint.

    Of a multi-model endpoint the prefix of its models, with a slash at its end.
    """
    found = None
    if not context.dry:
        found = endpoint_or_none(context, context.recipe.endpoint_name)
    if found is None:
        return model_data(context.recipe, context.location, chosen(context, "training").name)
    config = context.ask(
        "sagemaker", "DescribeEndpointConfig", EndpointConfigName=found["EndpointConfigName"]
    )
    name = config["ProductionVariants"][0]["ModelName"]
    model = context.ask("sagemaker", "DescribeModel", ModelName=name)
    container = model.get("PrimaryContainer") or model["Containers"][0]
    if "ModelPackageName" not in container:
        return str(container["ModelDataUrl"])
    package = container["ModelPackageName"]
    return package_data(context.ask("sagemaker", "DescribeModelPackage", ModelPackageName=package))


def package_data(found: Response) -> str:
    """s3:// of a registered version's model; empty for one without."""
    containers = found.get("InferenceSpecification", {}).get("Containers", [{}])
    return str(containers[0].get("ModelDataUrl", ""))
