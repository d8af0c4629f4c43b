"""The one reader of a recipe, for every program that takes one.

It checks each section by name and type. It does not know which image trains:
recipes.own_training checks the hyperparameters of ours.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from recipes.document import read_document
from recipes.errors import RecipeError
from recipes.preparation import Preparation, read_preparation
from recipes.sagemaker import SageMakerSettings, check_settings
from recipes.sections import fill
from recipes.suggestion import unknown
from recipes.tuning import Tuning
from recipes.tuning_section import read_hyperparameters, read_tuning
from recipes.values import in_quotes, quoted

# In the order in which a recipe has them
SECTIONS = ("name", "prepare", "hyperparameters", "tuning", "sagemaker")
UNNAMED = "recipe"


@dataclass(frozen=True)
class Recipe:
    """All that one project sets. document: the YAML as it stands; path: None without a file."""

    name: str
    prepare: Preparation
    hyperparameters: dict[str, str] = field(hash=False)
    tuning: tuple[Tuning, ...]
    sagemaker: SageMakerSettings = field(hash=False)
    document: dict[str, object] = field(hash=False)
    path: Path | None = None

    def photos_folder(self) -> Path:
        """The folder of the photos that `prepare: photos:` names, which is relative to the file."""
        beside = self.path.parent if self.path else Path()
        return beside / self.prepare.photos

    def wrong(self, sentence: object) -> RecipeError:
        """An error about this recipe, to be raised; it names the file."""
        return RecipeError(_about(self.path, sentence))


def read_recipe(path: Path, changed: Mapping[str, str] | None = None) -> Recipe:
    """A recipe from its file. RecipeError, which names the file, for anything that is wrong.

    changed: hyperparameters that take other values, as `--set` gives them.
    """
    return parse_recipe(read_document(path), changed, path)


def parse_recipe(
    document: Mapping[str, object],
    changed: Mapping[str, str] | None = None,
    path: Path | None = None,
) -> Recipe:
    """A recipe from its YAML. RecipeError as read_recipe; path: the file that errors name."""
    try:
        return _recipe(dict(document), changed or {}, path)
    except RecipeError as error:
        raise RecipeError(_about(path, error)) from error


def _recipe(document: dict[str, object], changed: Mapping[str, str], path: Path | None) -> Recipe:
    for name in document:
        if name not in SECTIONS:
            raise RecipeError(unknown("section", str(name), SECTIONS))
    own = read_hyperparameters(document.get("hyperparameters"), "hyperparameters")
    hyperparameters = own | dict(changed)
    settings = fill(SageMakerSettings, document.get("sagemaker"), "sagemaker")
    check_settings(settings)
    return Recipe(
        name=_name(document.get("name")),
        prepare=read_preparation(document.get("prepare")),
        hyperparameters=hyperparameters,
        tuning=read_tuning(document.get("tuning"), hyperparameters, changed),
        sagemaker=settings,
        document=document,
        path=path,
    )


def _name(given: object) -> str:
    if given is None or given == "":
        return UNNAMED
    if isinstance(given, bool) or not isinstance(given, str | int | float):
        raise RecipeError(f"name must be a text; found {quoted(given)}{in_quotes(given)}")
    return str(given)


def _about(path: Path | None, sentence: object) -> str:
    if path is None:  # the caller knows where the recipe came from
        return str(sentence)
    return f"the recipe '{path}': {sentence}"
