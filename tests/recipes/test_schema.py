"""The JSON Schema of a recipe: right and wrong as the reader has it."""

import copy
import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import jsonschema_rs
import pytest

from recipes import schema
from recipes.document import read_document
from recipes.errors import RecipeError
from recipes.recipe import parse_recipe
from recipes.sagemaker import SageMakerSettings
from recipes.schema import recipe_schema, section_schema
from tests.support.jobs import REPOSITORY

RECIPES = sorted((REPOSITORY / "recipes").glob("*.yaml"))
VALIDATOR = jsonschema_rs.validator_for(recipe_schema())
RANGES = {"lr": {"type": "Continuous", "min": 0.001, "max": 0.1}}
JOB = {"name": "one", "ranges": RANGES, "budgets": {"jobs": 2}}

RIGHT: list[dict[str, Any]] = [
    {"name": "demo"},
    {"name": 7},
    {"name": "", "prepare": None, "hyperparameters": None, "tuning": None, "sagemaker": None},
    {"prepare": {"split": "0.8,0.1,0.1", "seed": 1, "on-bad": "skip", "s3_uri": "s3://photos"}},
    {"prepare": {"split": [0.8, 0.1, 0.1], "workers": None, "on_bad": "fail", "seed": "3"}},
    {"hyperparameters": {"lr": "1e-3", "debug": True, "head": [64, 32], "of_mine": "x"}},
    {"tuning": [JOB]},
    {"tuning": [{**JOB, "early_stopping": False, "seed": 3, "strategy": "Random"}]},
    {"tuning": [{**JOB, "ranges": {"optimizer": ["sgd", "adam"]}}]},
    {"tuning": [{**JOB, "ranges": {"epochs": {"type": "Integer", "min": 1, "max": "9"}}}]},
    {"tuning": [{**JOB, "ranges": {"lr": {"type": "Categorical", "values": [0.1, "1e-3"]}}}]},
    {"tuning": [{**JOB, "budgets": {"jobs": 2.0, "time_s": 120, "target": "0.9"}}]},
    {"tuning": [{**JOB, "objective": {"metric": "f1", "direction": "Minimize"}}]},
    {"tuning": [{**JOB, "strategy": "Hyperband", "hyperband": {"max_resource": 9}}]},
    {"sagemaker": {"region": "eu-west-1", "subnets": "a", "security_groups": ["b", "c"]}},
    {"sagemaker": {"tags": {"team": "a", "cost": 3, "paid": True}, "budget_usd": "1.5e2"}},
    {"sagemaker": {"endpoint": {"kind": "async", "target": 2}, "training": {"spot": True}}},
]
WRONG: list[dict[str, Any]] = [
    {"name": True},
    {"name": ["demo"]},
    {"hyprparameters": {}},
    {"prepare": {"splits": "0.8,0.1,0.1"}},
    {"prepare": {"seed": 1.5}},
    {"prepare": "0.8"},
    {"hyperparameters": "resnet"},
    {"hyperparameters": {"lr": None}},
    {"hyperparameters": {"lr": {"min": 1}}},
    {"hyperparameters": {"head": [[1]]}},
    {"hyperparameters": {"lr": "1" * 2501}},
    {"hyperparameters": {"n" * 257: 1}},
    {"tuning": JOB},
    {"tuning": ["one"]},
    {"tuning": [{**JOB, "name": "one two"}]},
    {"tuning": [{**JOB, "name": "n" * 33}]},
    {"tuning": [{**JOB, "range": {}}]},
    {"tuning": [{"name": "one", "budgets": {"jobs": 2}}]},
    {"tuning": [{**JOB, "ranges": {}}]},
    {"tuning": [{**JOB, "ranges": {"lr": 0.1}}]},
    {"tuning": [{**JOB, "ranges": {"lr": []}}]},
    {"tuning": [{**JOB, "ranges": {"lr": list(range(31))}}]},
    {"tuning": [{**JOB, "ranges": {"lr": ["a", "a"]}}]},
    {"tuning": [{**JOB, "ranges": {"lr": {"min": 0.1, "max": 1}}}]},
    {"tuning": [{**JOB, "ranges": {"lr": {"type": "Continuous", "min": 0.1}}}]},
    {"tuning": [{**JOB, "ranges": {"lr": {**RANGES["lr"], "scale": "Log"}}}]},
    {"tuning": [{**JOB, "ranges": {"lr": {**RANGES["lr"], "min": "low"}}}]},
    {"tuning": [{**JOB, "ranges": {"lr": {**RANGES["lr"], "step": 1}}}]},
    {"tuning": [{**JOB, "budgets": {"jobs": 0}}]},
    {"tuning": [{**JOB, "budgets": {"jobs": 1, "parallel": 0}}]},
    {"tuning": [{**JOB, "budgets": {"jobs": 1, "time_s": 119}}]},
    {"tuning": [{**JOB, "budgets": {"jobs": 1, "time_s": 15_768_001}}]},
    {"tuning": [{**JOB, "budgets": {"jobs": 1, "not_improving": 2}}]},
    {"tuning": [{**JOB, "budgets": {"jobs": 1, "hours": 2}}]},
    {"tuning": [{**JOB, "strategy": "Best"}]},
    {"tuning": [{**JOB, "early_stopping": "On"}]},
    {"tuning": [{**JOB, "objective": {"direction": "Up"}}]},
    {"tuning": [{**JOB, "parents": "zero", "warm_start": "TransferLearning"}]},
    {"tuning": [{**JOB, "parents": list("abcdef"), "warm_start": "TransferLearning"}]},
    {"tuning": [{**JOB, "parents": ["a"], "warm_start": "Cold"}]},
    {"tuning": [{**JOB, "seed": -1}]},
    {"tuning": [{**JOB, "strategy": "Hyperband", "hyperband": {"max_resource": 0}}]},
    {"tuning": [{**JOB, "strategy": "Hyperband", "hyperband": {"most": 9}}]},
    {"sagemaker": {"regoin": "eu-west-1"}},
    {"sagemaker": []},
    {"sagemaker": {"network_isolation": "yes"}},
    {"sagemaker": {"budget_usd": "fifty"}},
    {"sagemaker": {"region": True}},
    {"sagemaker": {"training": {"max_run_s": 1.5}}},
    {"sagemaker": {"training": {"spots": True}}},
    {"sagemaker": {"endpoint": {"kind": "realtime"}}},
    {"sagemaker": {"tags": {"team": None}}},
]


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_our_recipes_fit(path):
    assert VALIDATOR.is_valid(read_document(path))


@pytest.mark.parametrize("document", RIGHT, ids=str)
def test_schema_and_reader_both_take(document):
    parse_recipe(copy.deepcopy(document))
    assert VALIDATOR.is_valid(document)


@pytest.mark.parametrize("document", WRONG, ids=lambda document: str(document)[:80])
def test_schema_and_reader_both_refuse(document):
    with pytest.raises(RecipeError):
        parse_recipe(copy.deepcopy(document))
    assert not VALIDATOR.is_valid(document)


def test_every_setting_has_its_description_and_default():
    own = section_schema(SageMakerSettings)
    names = {entry.name for entry in dataclasses.fields(SageMakerSettings)}
    assert own["properties"].keys() == names
    kind = own["properties"]["endpoint"]["properties"]["kind"]
    assert kind["default"] == "real-time"
    assert kind["enum"] == ["real-time", "serverless", "async", "multi-model"]
    for found in settings_in(own):
        assert found["description"]


def settings_in(section: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The schemas of all single settings below a section."""
    found = []
    for part in section["properties"].values():
        if "properties" in part:
            found += settings_in(part)
        else:
            found.append(part)
    return found


def test_it_is_printed_as_json(capsys):
    assert schema.main([]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert list(printed["properties"]) == [
        "name",
        "prepare",
        "hyperparameters",
        "tuning",
        "sagemaker",
    ]
    assert VALIDATOR.is_valid({"name": "demo"})
    jsonschema_rs.meta.validate(printed)
