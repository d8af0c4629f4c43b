"""A recipe as launch uses it: with AWS's form of its name, and its paths below the checkout."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path

from launch.errors import LaunchError
from launch.image_facts import image_kind
from recipes import hyperparameter_file, own_training
from recipes import recipe as recipes
from recipes.aws_names import VALUE_LIMIT, check_tag_text
from recipes.command_line import recipe_here
from recipes.errors import RecipeError
from recipes.tuning import Tuning

REPOSITORY = Path(__file__).resolve().parent.parent
OWN_TRAINING = "train"  # our training image, by its name in images.json


@dataclass(frozen=True)
class Recipe(recipes.Recipe):
    """A recipe with names that AWS takes."""

    @property
    def slug(self) -> str:
        """The name in what AWS takes for names: letters, digits, single hyphens, 63 at most."""
        return slug(self.name)

    @property
    def endpoint_name(self) -> str:
        """The endpoint's name, in the same form."""
        return slug(self.sagemaker.endpoint.name or self.name)

    @property
    def used_images(self) -> set[str]:
        """Names of the images that its jobs and its endpoint run."""
        settings = self.sagemaker
        return {settings.training.image, settings.endpoint.image, settings.batch.image}

    @property
    def trains_with_ours(self) -> bool:
        """Whether the training image is ours, so that its hyperparameters are known here.

        `train` in `image_uris` is taken for the user's own.
        """
        image = self.sagemaker.training.image
        return image_kind(image) == OWN_TRAINING and image not in self.sagemaker.image_uris


def read_recipe(path: Path) -> Recipe:
    """A recipe from its YAML. LaunchError with one sentence for anything that is wrong."""
    with _as_launch_error():
        read = recipes.read_recipe(path)
    if not read.document.get("name"):
        raise LaunchError(f"the recipe '{path}' has no name; it begins with `name: …`")
    with _as_launch_error():
        check_tag_text(f"the name of the recipe '{path}'", str(read.name), VALUE_LIMIT)
    return Recipe(**{entry.name: getattr(read, entry.name) for entry in fields(read)})


def check_hyperparameters(recipe: Recipe) -> None:
    """LaunchError for a hyperparameter that our training refuses, before it costs anything."""
    if recipe.trains_with_ours:
        with _as_launch_error():
            own_training.check_hyperparameters(recipe, recipe.sagemaker.channels)


def check_tuning(recipe: Recipe) -> None:
    """The same of the recipe's tuning jobs."""
    if recipe.trains_with_ours:
        with _as_launch_error():
            own_training.check_tuning(recipe, recipe.sagemaker.channels)


def with_hyperparameters(recipe: Recipe, file: Path) -> Recipe:
    """The recipe with a file's hyperparameters in place of its own. LaunchError as for its own."""
    given = replace(recipe, hyperparameters=read_hyperparameters(file))
    try:
        check_hyperparameters(replace(given, path=None))
    except LaunchError as error:
        raise LaunchError(f"the hyperparameters '{file}': {error}") from error
    return given


def read_hyperparameters(path: Path) -> dict[str, str]:
    """A training's hyperparameters from a file, as `python -m tune` writes its best.

    LaunchError with one sentence for a file that holds none.
    """
    with _as_launch_error():
        return hyperparameter_file.read_hyperparameters(path)


def slug(name: str, limit: int = 63) -> str:
    """A name of letters, digits and single hyphens, of at most `limit` characters."""
    plain = re.sub(r"[^a-zA-Z0-9]+", "-", name).strip("-") or "slipway"
    return plain[:limit].strip("-")


def located(path: str, of_all_projects: bool = False) -> Path:
    """A path of a recipe: where it is, or else below the checkout, where other programs write.

    A project's own files are never taken from the checkout, which may hold another project's; but
    images are the same ones for all projects (of_all_projects).
    """
    given = Path(path)
    if given.is_absolute() or given.exists():
        return given
    if recipe_here() and not of_all_projects:
        return given
    return REPOSITORY / given


def searches(recipe: Recipe) -> tuple[Tuning, ...]:
    """The recipe's tuning jobs."""
    return recipe.tuning


@contextmanager
def _as_launch_error() -> Iterator[None]:
    """launch prints its own errors; a recipe's become such."""
    try:
        yield
    except RecipeError as error:
        raise LaunchError(str(error)) from error
