"""The best trial of a search as files: hyperparameters for a training, and a recipe."""

import json
import os
from pathlib import Path

import yaml

from artifact.model import write_atomically
from recipes.recipe import Recipe
from recipes.sections import mapping
from tune.results import Trial
from tune.search_settings import BEST_FILE, BEST_RECIPE_FILE, SearchSettings


def write_best(settings: SearchSettings, recipe: Recipe, best: Trial) -> None:
    """best.json as a training job's hyperparameters.json; best.yaml as the search's recipe, with
    these hyperparameters and without its tuning jobs."""
    texts = json.dumps(best.hyperparameters, indent=2) + "\n"
    write_atomically(settings.out / BEST_FILE, texts.encode())
    document: dict[str, object] = {"name": recipe.name}
    document |= settings.document
    document.pop("tuning", None)
    photos = _photos_beside(settings.out, recipe)
    if photos:
        # Whatever else the section says stays.
        section = mapping(document.get("prepare"), "prepare")
        document["prepare"] = dict(section) | {"photos": photos}
    texts_by_name = best.hyperparameters.items()
    document["hyperparameters"] = {name: _plain(text) for name, text in texts_by_name}
    written = yaml.safe_dump(document, sort_keys=False)
    write_atomically(settings.out / BEST_RECIPE_FILE, written.encode())


def _photos_beside(out: Path, recipe: Recipe) -> str:
    """The recipe's photos as a recipe in the output folder names them; "" where it names none.

    A path in a recipe is relative to its file, so that the project can be moved.
    """
    if not recipe.prepare.photos:
        return ""
    if Path(recipe.prepare.photos).is_absolute():
        return recipe.prepare.photos
    return os.path.relpath(recipe.photos_folder().absolute(), out.absolute())


def _plain(text: str) -> object:
    """A text as a person would write it in YAML: 0.01, true, resnet18."""
    if not text:  # YAML would read null
        return text
    return yaml.safe_load(text)
