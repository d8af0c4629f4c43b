"""The reader of recipes: what it refuses, in one sentence that names the file, place and value."""

import re
from pathlib import Path

import pytest

from recipes.errors import RecipeError
from recipes.own_training import check_hyperparameters, check_tuning
from recipes.preparation import Preparation
from recipes.recipe import parse_recipe, read_recipe
from tests.support.jobs import REPOSITORY

RECIPES = sorted((REPOSITORY / "recipes").glob("*.yaml"))
BAD = {
    "no colon": ("hyperparameters: resnet", "hyperparameters must be names with values.*'resnet'"),
    "a wrong section": (
        "sagemeker: {}",
        "section 'sagemeker' is unknown .did you mean 'sagemaker'",
    ),
    "another wrong section": ("hyprparameters: {}", "did you mean 'hyperparameters'"),
    "a number for a section": ("3: {}", "section '3' is unknown"),
    "a list for a section": ("sagemaker: [region]", "sagemaker must be names with values"),
    "a deep name": (
        "sagemaker: {training: {instance_typ: ml.m5.xlarge}}",
        "sagemaker.training: setting 'instance_typ' is unknown .did you mean 'instance_type'",
    ),
    "a name of prepare": ("prepare: {spilt: 1}", "prepare: setting 'spilt' .* mean 'split'"),
    "a type of prepare": ("prepare: {seed: x}", "prepare.seed must be a whole number; found 'x'"),
    "a key twice": ("hyperparameters:\n  lr: 1\n  lr: 2", "'lr' stands twice .* lines 2 and 3"),
    "a key twice, deep": (
        "sagemaker:\n  training:\n    environment: {A: 1, B: 2, A: 3}",
        "'A' stands twice in one mapping, in line 3; keep one",
    ),
    "a key twice in a list": ("tuning:\n- {name: a, name: b}", "'name' stands twice"),
    "a key twice, once quoted": ("name: a\n'name': b", "'name' stands twice"),
    "two merge keys": ("x: &x {lr: 1}\nhyperparameters: {<<: *x, <<: *x}", "'<<' stands twice"),
    "a word for true or false": (
        "sagemaker: {training: {spot: maybe}}",
        "sagemaker.training.spot must be true or false; found 'maybe'",
    ),
    "a word for a number": (
        "sagemaker: {training: {instance_count: two}}",
        "sagemaker.training.instance_count must be a whole number; found 'two'",
    ),
    "true for a number": ("sagemaker: {budget_usd: true}", "must be a number; found 'true'"),
    "true for a whole number": (
        # YAML 1.1 reads yes as true.
        "sagemaker: {training: {volume_gb: yes}}",
        "volume_gb must be a whole number; found 'true'",
    ),
    "nothing for a number": ("sagemaker: {budget_usd: }", "must be a number; found nothing"),
    "infinity": ("sagemaker: {budget_usd: .inf}", "must be a number; found 'inf'"),
    "a fraction": ("sagemaker: {training: {attempts: 1.5}}", "whole number; found '1.5'"),
    "a list for a text": ("sagemaker: {region: [a]}", "sagemaker.region must be a text"),
    "true for a text": (
        # YAML 1.1 reads no as false.
        "sagemaker: {region: no}",
        "region must be a text; found 'false'; YAML reads yes, no, .*: put a text in quotes",
    ),
    "a mapping in a list": ("sagemaker: {subnets: [{a: 1}]}", "sagemaker.subnets must be a text"),
    "one of two": ("sagemaker: {subnets: [a]}", "subnets and .*security_groups go together"),
    "a kind": (
        "sagemaker: {endpoint: {kind: serverles}}",
        "endpoint.kind must be one of .*found 'serverles' .did you mean 'serverless'",
    ),
    "a mapping for a value": ("hyperparameters: {lr: {a: 1}}", "hyperparameter lr must be a text"),
    "nothing for a value": ("hyperparameters: {lr: }", "hyperparameter lr .* found nothing"),
    "a list in a list": ("hyperparameters: {head: [[1]]}", "hyperparameter head must be a text"),
    # YAML reads it as a date.
    "a date": (
        "hyperparameters: {model: 2026-11-29}",
        "hyperparameter model must be a text.*; YAML reads it as a date: put a text in quotes",
    ),
    "no date": ("name: 2026-13-45", "not YAML: a value cannot be read"),
    "no boolean": ("name: !!bool maybe", "not YAML: a value cannot be read"),
    "a number for a hyperparameter": ("hyperparameters: {3: 1}", "name is a text .* found '3'"),
    "a mapping for the name": ("name: {a: 1}", "name must be a text"),
    "a boolean for the name": ("name: on", "name must be a text; found 'true'; YAML reads yes"),
    "a date for the name": ("name: 2026-11-29", "name must be a text; .* YAML reads it as a date"),
    "a text for tuning": ("tuning: lr", "tuning must be a list of tuning jobs.* found 'lr'"),
    "a name of tuning": (
        "tuning: [{name: a, ranges: {lr: [1]}, budget: {jobs: 1}}]",
        "tuning job a: tuning: setting 'budget' is unknown .did you mean 'budgets'",
    ),
    "a name of budgets": (
        "tuning: [{name: a, ranges: {lr: [1]}, budgets: {job: 1}}]",
        "tuning job a: budgets: setting 'job' is unknown .did you mean 'jobs'",
    ),
    # An anchor that holds itself.
    "itself": ("hyperparameters: &h {lr: *h}", "hyperparameter lr must be a text"),
    # A parser that calls itself would run out of stack.
    "too deep": ("name: " + "[" * 5000, "too deep"),
    "a tab": ("hyperparameters:\n\tlr: 1", "a tab indents a line; use blanks .line 2, column 1"),
    # An unsafe loader would run it.
    "an object": ("name: !!python/object:os.system {}", "not YAML: could not determine"),
    "a list as a key": ("[a]: 1", "not YAML: found unhashable key .line 1"),
    "two documents": ("name: a\n---\nname: b", "not YAML: but found another document"),
    "a list": ("- name: a", "holds a list"),
    "empty": ("", "is empty; a recipe begins with `name"),
    "a comment alone": ("# name: a\n", "is empty"),
}


def written(folder: Path, text: str) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("text, words", BAD.values(), ids=BAD)
def test_a_bad_recipe_gets_one_sentence_with_file_place_and_value(tmp_path, text, words):
    path = written(tmp_path, text)
    with pytest.raises(RecipeError, match=words) as caught:
        read_recipe(path)
    assert str(caught.value).startswith(f"the recipe '{path}'")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


OWN_BAD = {
    "names": ("{modle: resnet18}", "hyperparameter 'modle' is unknown .did you mean 'model'"),
    "an older name": ("{learning_rat: 1}", "did you mean 'learning_rate'"),
    "a word": ("{epochs: many}", "hyperparameter epochs must be a whole number; found 'many'"),
    "a boolean": ("{epochs: true}", "epochs must be a whole number; found 'true'"),
    "a choice": ("{optimizer: adamm}", "must be one of .*found 'adamm' .did you mean 'adam'"),
    "several numbers": ("{lr: [1, 2]}", "hyperparameter lr must be a number; found '1,2'"),
    "a flag": ("{debug: maybe}", "hyperparameter debug must be true or false; found 'maybe'"),
}


@pytest.mark.parametrize("values, words", OWN_BAD.values(), ids=OWN_BAD)
def test_our_training_refuses_hyperparameters_that_others_may_know(tmp_path, values, words):
    path = written(tmp_path, f"hyperparameters: {values}")
    recipe = read_recipe(path)
    with pytest.raises(RecipeError, match=words) as caught:
        check_hyperparameters(recipe)
    assert str(caught.value).startswith(f"the recipe '{path}': ")


def test_a_tuning_jobs_hyperparameters_are_checked_alike():
    job = {"name": "a", "budgets": {"jobs": 1}, "ranges": {"batch_sise": [16, 32]}}
    recipe = parse_recipe({"tuning": [job]})
    with pytest.raises(RecipeError, match="tuning job a: .*did you mean 'batch_size'"):
        check_tuning(recipe)


@pytest.mark.parametrize("case", ["colon", "names", "sagemeker", "section", "twice"])
def test_the_typing_errors_that_once_passed_are_refused(tmp_path, case):
    """What was found in use: a paid job with defaults, a traceback, a KeyError."""
    text = {
        "colon": "name: typo\nhyperparameters: resnet\n",
        "names": "name: typo\nhyperparameters: {modle: resnet18, epochs: many}\n",
        "sagemeker": "name: typo\nsagemeker: {instance_type: ml.m5.xlarge}\n",
        "section": "name: typo\nhyprparameters: {model: resnet18}\n",
        "twice": "name: twice\nhyperparameters:\n  epochs: 3\n  epochs: 30\n",
    }
    with pytest.raises(RecipeError):
        check_hyperparameters(read_recipe(written(tmp_path, text[case])))


@pytest.mark.parametrize("kind", ["missing", "folder", "latin-1"])
def test_a_file_that_cannot_be_read_is_named(tmp_path, kind):
    path = tmp_path / "recipe.yaml"
    if kind == "folder":
        path.mkdir()
    elif kind == "latin-1":
        path.write_bytes("name: caf\u00e9".encode("latin-1"))
    with pytest.raises(RecipeError, match=re.escape(f"the recipe '{path}'")):
        read_recipe(path)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_our_recipes_are_right(path):
    recipe = read_recipe(path)
    check_hyperparameters(recipe)
    check_tuning(recipe)
    assert recipe.path == path
    assert recipe.tuning


def test_sections_may_be_absent_or_empty():
    names = ("prepare", "hyperparameters", "tuning", "sagemaker")
    empty = parse_recipe(dict.fromkeys(names))
    absent = parse_recipe({})
    assert empty.sagemaker == absent.sagemaker
    assert empty.prepare == Preparation()
    assert empty.hyperparameters == {}
    assert empty.tuning == ()


def test_yaml_of_every_style_is_read(tmp_path):
    """A byte order mark, anchors, a merge that is overridden, 1e-3, lists and booleans."""
    text = """\ufeffname: 7
sagemaker:
  budget_usd: 1e2
  training: &machine {instance_type: ml.m5.xlarge, spot: yes}
  endpoint: {environment: {A: 1, B: true}}
  debugger: {rules: overfit}
hyperparameters: &shared
  <<: {lr: 1e-3, eps: 1}
  eps: 1.0e-6
  head: [64, 32]
  debug: off
prepare: {on-bad: fail, split: [0.8, 0.1, 0.1], seed: 0}
"""
    recipe = read_recipe(written(tmp_path, text))
    assert recipe.name == "7"
    assert recipe.sagemaker.budget_usd == 100
    assert recipe.sagemaker.training.spot is True
    assert recipe.sagemaker.endpoint.environment == {"A": "1", "B": "true"}
    assert recipe.sagemaker.debugger.rules == ("overfit",)
    assert recipe.hyperparameters == {
        "lr": "1e-3",
        "eps": "1e-06",
        "head": "64,32",
        "debug": "false",
    }
    assert recipe.prepare.options() == ["--split=0.8,0.1,0.1", "--seed=0", "--on-bad=fail"]


def test_changed_hyperparameters_reach_the_recipe_and_each_tuning_job():
    job = {"name": "a", "budgets": {"jobs": 1}, "ranges": {"lr": [0.1, 0.2]}}
    document = {"hyperparameters": {"epochs": 3}, "tuning": [job]}
    recipe = parse_recipe(document, {"epochs": "5"})
    assert recipe.hyperparameters == {"epochs": "5"}
    assert recipe.tuning[0].static == {"epochs": "5"}


def test_a_missing_recipe_gets_the_nearest_file_beside_it(tmp_path):
    (tmp_path / "recipe.yaml").write_text("name: x\n")
    with pytest.raises(
        RecipeError, match=r"No such file or directory \(did you mean 'recipe.yaml'"
    ):
        read_recipe(tmp_path / "recipie.yml")
    with pytest.raises(RecipeError, match="cannot be read: No such file or directory$"):
        read_recipe(tmp_path / "nowhere" / "recipe.yaml")
