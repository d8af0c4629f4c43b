"""Which build of an image a machine runs: the one for amd64, or the one for Arm's processors.

`ARCH=arm64 ./build_and_push.sh serve` notes its image as serve-arm64, beside the one for amd64. A
recipe names serve, and the type of its machines decides.
"""

from collections.abc import Mapping

from launch.context import LaunchContext, images_file
from launch.errors import LaunchError
from launch.gpu_hosts import architecture, is_gpu
from launch.image_facts import ImageFacts, image_kind, named, noted, push_command

SUFFIX = "-arm64"
BUILT_FOR_ARM = ("serve", "serve-mms")


def image_for(images: Mapping[str, str], image: str, instance_type: str) -> str:
    """The name of an image's build for a type of machine, where it was pushed; else the image."""
    if architecture(instance_type) == "arm64" and image + SUFFIX in images:
        return image + SUFFIX
    return image


def used_images(context: LaunchContext) -> set[str]:
    """Names of the images that the recipe's jobs and its endpoint run, on their machines."""
    pushed = context.target.images
    settings = context.recipe.sagemaker
    endpoint = settings.endpoint
    on = "" if endpoint.kind == "serverless" else endpoint.instance_type
    return {
        settings.training.image,
        image_for(pushed, endpoint.image, on),
        image_for(pushed, settings.batch.image, settings.batch.instance_type),
    }


def facts_of(context: LaunchContext, image: str) -> ImageFacts:
    """What was noted of an image when it was pushed; else what its name says."""
    uri = context.target.images.get(image)
    if uri is None:
        return named(image)
    return noted(images_file(context.recipe), image, uri)


def architecture_of(context: LaunchContext, image: str) -> str:
    """arm64 or amd64; "" for an image from elsewhere, of which nothing is known."""
    found = facts_of(context, image).architecture
    if not found and image not in context.recipe.sagemaker.image_uris:
        return "amd64"
    return found


def problem(image: str, found: str, instance_type: str) -> str | None:
    """One sentence where a machine cannot run an image's programs; None else.

    found: the image's architecture, "" where it is unknown.
    """
    wanted = architecture(instance_type)
    if found in ("", wanted):
        return None
    text = f"image '{image}' is for linux/{found}, and {instance_type} is linux/{wanted}; "
    if wanted == "amd64":
        return f"{text}take the image '{image_kind(image)}', or a type such as ml.c7g"
    if image in BUILT_FOR_ARM and not is_gpu(instance_type):
        return f"{text}run {push_command(image + SUFFIX)}"
    return f"{text}take a type for linux/{found}"


def fitting_image(context: LaunchContext, image: str, instance_type: str) -> str:
    """The name of the build that runs on a type; "" as type for serverless. LaunchError without.

    A dry run takes what there is.
    """
    name = image_for(context.target.images, image, instance_type)
    refusal = problem(name, architecture_of(context, name), instance_type)
    if refusal and not context.dry:
        raise LaunchError(refusal)
    return name
