"""A project: the recipe of a folder, its photos, and where its results lie."""

from dataclasses import dataclass
from pathlib import Path

from artifact.pages.project_pages import INDEX
from recipes.command_line import RECIPE, no_recipe
from recipes.errors import RecipeError
from recipes.own_training import check_hyperparameters
from recipes.recipe import Recipe, read_recipe
from runtime.errors import RunError

OUT = Path("out")


@dataclass(frozen=True)
class Results:
    """Where everything of a project lies. out: an absolute folder."""

    out: Path

    @property
    def prepared(self) -> Path:
        return self.out / "prepared"

    @property
    def root(self) -> Path:
        """The /opt/ml tree of the latest training."""
        return self.out / "ml"

    @property
    def model(self) -> Path:
        return self.root / "model"

    @property
    def archive(self) -> Path:
        return self.out / "model.tar.gz"

    @property
    def photo_report(self) -> Path:
        return self.prepared / "report.html"

    @property
    def logs(self) -> Path:
        """What the programs of the steps printed, where that is not shown."""
        return self.out / "logs"

    @property
    def training_report(self) -> Path:
        return self.root / "output" / "data" / "report.html"

    @property
    def index(self) -> Path:
        """The page over all of them."""
        return self.out / INDEX


def results_here(out: Path = OUT) -> Results:
    """The results of the current folder's project."""
    return Results(out.absolute())


def project_recipe(path: Path = RECIPE) -> Recipe:
    """A project's recipe, whose hyperparameters our training takes. RecipeError otherwise."""
    if path == RECIPE and not path.exists():
        raise RecipeError(no_recipe())
    recipe = read_recipe(path)
    check_hyperparameters(recipe)
    return recipe


def photos_of(recipe: Recipe, given: Path | None = None) -> Path:
    """The folder of a project's photos, absolute. RunError where there is none.

    given: as an option names it, relative to the current folder; else the recipe's
    `prepare: photos:`, relative to the recipe.
    """
    folder = given
    if folder is None:
        if not recipe.prepare.photos:
            raise RunError(
                f"the recipe '{recipe.path}' names no photos; set `prepare: photos:`, "
                "or give --photos FOLDER"
            )
        folder = recipe.photos_folder()
    folder = folder.absolute()
    if not folder.exists():  # a file may be an archive or a list: prepare says what it is
        raise RunError(
            f"the folder of photos '{folder}' does not exist; make it with a folder of photos for "
            "each class, or name another with --photos"
        )
    return folder
