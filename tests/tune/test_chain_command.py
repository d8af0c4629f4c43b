"""A recipe's search from the command line: refusals before anything is written, and --set."""

from pathlib import Path

import pytest
import yaml

from recipes.document import read_document
from recipes.errors import RecipeError
from recipes.ranges import Categorical
from recipes.recipe import parse_recipe, read_recipe
from recipes.tuning import Tuning
from recipes.warm_start import changes_of
from tests.support.chains import LR
from tests.support.jobs import REPOSITORY
from tune.__main__ import main
from tune.checks import check_chain
from tune.results import job_of, write_results
from tune.search_settings import SearchSettings

PARENTS = {"parents": ["before"], "warm_start": "IdenticalDataAndAlgorithm"}


@pytest.mark.parametrize(
    "job, status, sentence",
    [
        (
            {"ranges": {"lr": LR | {"min": 0.1}}},
            "",
            "range of lr has the one value 0.1; make it static: give it under hyperparameters",
        ),
        (
            {"ranges": {"lr": LR | {"min": -0.1}}},
            "",
            "range of lr: Logarithmic needs ends above 0; found -0.1 to 0.1",
        ),
        (
            {"ranges": {"learning": LR}},
            "",
            "hyperparameter 'learning' is unknown (did you mean 'learning_rate'?); known: "
            "preset, head_first, ",
        ),
        (
            {"ranges": {"batch_size": [16, "many"]}},
            "",
            "hyperparameter batch_size must be a whole number; found 'many'",
        ),
        (
            PARENTS,
            "",
            "the parent 'before' does not exist; known: none (earlier ones of the recipe, and "
            "--parents FILE)",
        ),
        (
            PARENTS,
            "InProgress",
            "its parent 'before' is InProgress; a parent must have ended (Completed, Stopped, "
            "Failed)",
        ),
        (
            PARENTS | {"ranges": {"lr": [0.01, 0.02]}},
            "Completed",
            "lr is Categorical, in its parent before Continuous; a hyperparameter's type must "
            "not change",
        ),
    ],
)
def test_the_command_says_what_is_wrong_in_one_sentence(tmp_path, capsys, job, status, sentence):
    """Before it asks for photos, and before it writes anything."""
    document = {
        "name": "small",
        "hyperparameters": {"epochs": 2},
        "tuning": [{"name": "job", "budgets": {"jobs": 4}, "ranges": {"lr": LR}} | job],
    }
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(document))
    options = []
    if status:
        before = parse_recipe(
            {
                **document,
                "tuning": [{"name": "before", "budgets": {"jobs": 1}, "ranges": {"lr": LR}}],
            }
        ).tuning[0]
        write_results(tmp_path / "before.json", (job_of(before, status),))
        options = ["--parents", str(tmp_path / "before.json")]
    assert (
        main(
            [
                str(tmp_path / "recipe.yaml"),
                "--data",
                "none",
                "--out",
                str(tmp_path / "out"),
                *options,
            ]
        )
        == 1
    )
    errors = capsys.readouterr().err
    assert errors.startswith("tune: failed: ")
    assert "tuning job job: " + sentence in errors
    assert errors.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "text, sentence",
    [
        ("a: [", "is not YAML"),
        ("- 1", "it holds a list"),
        ("tuning: 3", "must be a list of tuning jobs"),
        ("tuned: []", "section 'tuned' is unknown; known: name"),
    ],
)
def test_bad_files_get_one_sentence(tmp_path, text, sentence):
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    with pytest.raises(RecipeError, match=sentence):
        read_recipe(path)


def test_set_changes_static_hyperparameters_only():
    document = read_document(REPOSITORY / "recipes" / "yoga_poses.yaml")
    assert all(
        tuning.static["model"] == "resnet18"
        for tuning in parse_recipe(document, {"model": "resnet18"}).tuning
    )
    with pytest.raises(
        RecipeError, match="yoga-1: batch_size is tuned by a range and also set by --set"
    ):
        parse_recipe(document, {"batch_size": "8"})


@pytest.mark.parametrize(
    "path", sorted((REPOSITORY / "recipes").glob("*.yaml")), ids=lambda path: path.stem
)
def test_recipes_are_sound(path):
    recipe = check_chain(SearchSettings(Path("out"), read_document(path), {}, {}))
    if path.stem == "yoga_poses":
        # A range of two values that turned static counts 2 of SageMaker's 10 changes.
        assert sum(changes_of(recipe.tuning[3], job_of(recipe.tuning[2])).values()) == 2


def test_the_yoga_recipe_has_that_projects_four_jobs():
    """Their ranges, scales and warm starts; the objective is the validation loss in place of the
    test loss."""
    jobs = read_recipe(REPOSITORY / "recipes" / "yoga_poses.yaml").tuning
    first, again, fresh, last = jobs
    assert [job.name for job in jobs] == ["yoga-1", "yoga-2", "yoga-3", "yoga-4"]
    assert [job.budgets.jobs for job in jobs] == [6, 6, 10, 6]
    assert [job.parents for job in jobs] == [(), ("yoga-1",), (), ("yoga-3",)]
    for job in jobs:
        assert (job.objective.metric, job.objective.direction) == ("validation_loss", "Minimize")
        assert (job.strategy, job.early_stopping, job.budgets.parallel) == ("Bayesian", "Off", 1)
    assert first.ranges == again.ranges
    assert _spaces(first) == {
        "lr": (0.005, 0.015, "Logarithmic"),
        "batch_size": ("16", "20", "30", "40"),
        "test_batch_size": ("10", "16", "20"),
        "epochs": ("5", "10"),
    }
    assert _spaces(fresh) == {
        "lr": (0.015, 0.125, "Auto"),
        "batch_size": ("16", "20", "30"),
        "test_batch_size": ("16", "20"),
    }
    assert fresh.static["epochs"] == "6"
    assert _spaces(last) == {"lr": (0.12, 0.125, "Auto"), "batch_size": ("20", "30")}
    assert (last.static["epochs"], last.static["test_batch_size"]) == ("6", "20")


def _spaces(job: Tuning) -> dict[str, tuple[object, ...]]:
    """Its ranges as plain tuples, by hyperparameter."""
    found: dict[str, tuple[object, ...]] = {}
    for entry in job.ranges:
        if isinstance(entry, Categorical):
            found[entry.name] = entry.values
        else:
            found[entry.name] = (entry.low, entry.high, entry.scale)
    return found
