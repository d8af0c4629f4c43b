"""What stands beside local SageMaker in one command: moto, a role, a bucket, our images."""

import argparse
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from artifact.host.listening import check_free
from local_sagemaker.aws import cloud, sdk_defaults
from local_sagemaker.aws.account import furnish
from recipes.command_line import RECIPE, recipe_here
from recipes.recipe import read_recipe
from recipes.sagemaker import SageMakerSettings
from runtime.errors import RunError
from runtime.own_images import make_ready
from runtime.ports import free_port

IMAGES = "images.json"  # in the state's folder
IMAGES_VARIABLE = "SLIPWAY_IMAGES"  # by which `launch` finds it


@contextmanager
def started(options: argparse.Namespace, engine: str) -> Iterator[dict[str, str]]:
    """The variables with which clients find all of it, until the block ends.

    This process's own AWS settings are replaced: real ones must reach nothing here. RunError or
    RecipeError where something cannot be.
    """
    folder: Path = options.state.absolute()
    settings = recipe_settings(options.recipe)
    region = options.region or settings.region or cloud.REGION
    port = options.moto_port or free_port()
    check_free("127.0.0.1", port, "--moto-port")
    for image, module in (("train", "torch"), ("serve", "openvino")):
        make_ready(engine, image, module)
    regions = {"AWS_REGION": region, "AWS_DEFAULT_REGION": region}
    environment = {**cloud.environment_here(), **regions}
    os.environ.clear()
    os.environ.update(environment)
    name = settings.role.rpartition("/")[2]
    with cloud.moto(folder, environment, port, name) as url:
        os.environ["AWS_ENDPOINT_URL"] = url
        images = folder / IMAGES
        try:
            role, bucket = furnish(region, settings.role, settings.bucket, images)
        except RuntimeError as error:
            raise RunError(str(error)) from error
        defaults = sdk_defaults.write(folder, role, bucket)
        yield {**regions, "AWS_ENDPOINT_URL": url, IMAGES_VARIABLE: str(images), **defaults}


def recipe_settings(path: Path | None) -> SageMakerSettings:
    """The section `sagemaker` of the recipe; its defaults where there is none. RecipeError."""
    if path is None and recipe_here():
        path = RECIPE
    if path is None:
        return SageMakerSettings()
    return read_recipe(path).sagemaker
