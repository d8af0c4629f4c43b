"""A recipe's search: what is refused and why, what the service would be asked, what a warm start may take."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import boto3
import pytest
import yaml
from botocore.validate import ParamValidator

from recipes.document import read_document
from recipes.errors import RecipeError
from recipes.own_training import check_tuning_job
from recipes.ranges import Categorical, Continuous, Integer
from recipes.recipe import parse_recipe, read_recipe
from tests.support.jobs import COLOURS, REPOSITORY, draw_photo
from tune.__main__ import main
from tune.checks import check_chain, check_photos
from tune.request import tuning_request
from tune.results import Trial, job_of, write_results
from tune.search_settings import SearchSettings, find_channels
from tune.warm_start import changes_of, legal, overall_best, parents_of

LR = {"type": "Continuous", "min": 0.001, "max": 0.1, "scale": "Logarithmic"}


def recipe(*jobs: dict, **hyperparameters):
    chain = [
        {"name": f"job-{number}", "budgets": {"jobs": 4}, "ranges": {"lr": LR}} | job
        for number, job in enumerate(jobs)
    ]
    return parse_recipe(
        {
            "name": "small",
            "hyperparameters": {"epochs": 2, "batch_size": 8} | hyperparameters,
            "tuning": chain,
        }
    )


def settings(*jobs: dict, **hyperparameters) -> SearchSettings:
    chain = [
        {"name": f"job-{number}", "budgets": {"jobs": 4}, "ranges": {"lr": LR}} | job
        for number, job in enumerate(jobs)
    ]
    return SearchSettings(
        Path("out"),
        {"name": "small", "hyperparameters": {"epochs": 2} | hyperparameters, "tuning": chain},
        {},
        {},
    )


CHILD = {"parents": ["job-0"], "warm_start": "IdenticalDataAndAlgorithm"}
BAD = [
    (
        [{"ranges": {"lr": LR | {"min": 0.2}}}],
        "job-0: range of lr is empty: min 0.2 must be below max 0.1",
    ),
    (
        [{"ranges": {"lr": LR | {"min": 0}}}],
        "range of lr: Logarithmic needs ends above 0; found 0 to 0.1",
    ),
    (
        [{"ranges": {"lr": LR | {"min": "x"}}}],
        "range of lr: min and max must be numbers; found 'x' and '0.1'",
    ),
    (
        [{"ranges": {"lr": LR | {"scale": "Cubic"}}}],
        "range of lr: scale must be one of Auto, Linear, Logarithmic, ReverseLogarithmic; found 'Cubic'",
    ),
    ([{"ranges": {"lr": {"min": 1, "max": 2}}}], "range of lr: type missing"),
    (
        [{"ranges": {"lr": LR | {"step": 1}}}],
        "range of lr: setting 'step' is unknown; known: type, min, max, scale",
    ),
    (
        [{"ranges": {"momentum": LR | {"scale": "ReverseLogarithmic", "max": 1}}}],
        "momentum: ReverseLogarithmic needs ends of at least 0 and below 1; found 0.001 to 1",
    ),
    (
        [
            {
                "ranges": {
                    "epochs": {"type": "Integer", "min": 1, "max": 4, "scale": "ReverseLogarithmic"}
                }
            }
        ],
        "ReverseLogarithmic is for Continuous ranges only",
    ),
    (
        [{"ranges": {"epochs": {"type": "Integer", "min": 1.5, "max": 4}}}],
        "an Integer range needs whole numbers; found 1.5",
    ),
    (
        [{"ranges": {"epochs": {"values": list(range(1, 32))}}}],
        "a Categorical range has 1 to 30 values; found 31",
    ),
    (
        [{"ranges": {"epochs": {"values": [1, 1]}}}],
        "range of epochs: a value stands there twice; found 1, 1",
    ),
    (
        [{"ranges": {"epochs": {"values": [1, {}]}}}],
        "range of epochs: a value must be a text, a number, true or false, or a list of these; found '{}'",
    ),
    (
        [{"ranges": {"epochs": {"values": ["x" * 2501]}}}],
        "hyperparameter epochs: a value has at most 2500 characters; found 2501",
    ),
    ([{"ranges": {"e" * 257: LR}}], "a hyperparameter's name is a text of 1 to 256 characters"),
    ([{"ranges": {}}], "a tuning job searches 1 to 30 hyperparameters; found 0"),
    (
        [{"hyperparameters": {"lr": 1}}],
        "lr is tuned by a range and also set by its hyperparameters; keep one",
    ),
    (
        [{"name": "a" * 33}],
        "a tuning job's name has 1 to 32 letters, digits and inner hyphens; found 'aaa",
    ),
    (
        [{"name": "a_b"}],
        "a tuning job's name has 1 to 32 letters, digits and inner hyphens; found 'a_b'",
    ),
    ([{"name": "same"}, {"name": "same"}], "two tuning jobs are named 'same'"),
    (
        [{"strategy": "Annealing"}],
        "strategy must be one of Bayesian, Random, Grid, Hyperband; found 'Annealing'",
    ),
    ([{"strategy": "Grid"}], "Grid takes Categorical ranges only; that of lr is Continuous"),
    (
        [{"strategy": "Grid", "ranges": {"epochs": [1, 2, 3]}}],
        "Grid runs each of its 3 combinations once; budgets.jobs must be 3 or left out, found '4'",
    ),
    (
        [{"strategy": "Hyperband", "early_stopping": "Auto"}],
        "Hyperband stops trainings by itself: early_stopping must be Off",
    ),
    (
        [{"strategy": "Hyperband", "ranges": {"epochs": [1, 2]}}],
        "Hyperband needs hyperband.max_resource, or static epochs to take it from",
    ),
    (
        [{"hyperband": {"max_resource": 3}}],
        "hyperband is for the strategy Hyperband; this one is Bayesian",
    ),
    ([{"budgets": {}}], "budgets.jobs, the number of training jobs, is missing"),
    ([{"budgets": {"jobs": 0}}], "budgets.jobs must be a whole number of at least 1; found '0'"),
    (
        [{"budgets": {"jobs": 1, "time_s": 60}}],
        "budgets.time_s must be a whole number from 120 to 15768000; found '60'",
    ),
    (
        [{"budgets": {"jobs": 1, "not_improving": 2}}],
        "budgets.not_improving must be a whole number of at least 3; found '2'",
    ),
    (
        [{"budgets": {"jobs": 1, "hours": 2}}],
        "budgets: setting 'hours' is unknown; known: jobs, parallel, time_s, target, not_improving",
    ),
    (
        [{"objective": {"regex": "accuracy=[0-9.]+"}}],
        "the objective's regex needs a group in parentheses",
    ),
    ([{"objective": {"regex": "("}}], "the objective's regex '(' is not a regular expression"),
    (
        [{"objective": {"direction": "Up"}}],
        "direction must be one of Maximize, Minimize; found 'Up'",
    ),
    ([{"parents": ["job-1"]}], "parents and warm_start go together"),
    ([CHILD | {"parents": ["job-0"]}], "its parents must be other tuning jobs"),
    ([CHILD | {"parents": list("abcdef")}], "a warm start has at most 5 parents; found 6"),
    ([CHILD | {"parents": ["elsewhere"]}], "there is no parent 'elsewhere'; known: none"),
    (
        [{}, CHILD | {"ranges": {"lr": [0.1, 0.2]}}],
        "job-1: lr is Categorical, in its parent job-0 Continuous; a hyperparameter's type must not change",
    ),
    (
        [{}, CHILD | {"hyperparameters": {"momentum": 0.5}}],
        "static and tuned hyperparameters together must stay those of its parent job-0; momentum is in one of the two only",
    ),
    (
        [{}, CHILD | {"objective": {"metric": "validation_loss", "direction": "Minimize"}}],
        "the objective must stay the same",
    ),
    (
        [{"ranges": {"epochs": list(range(1, 12))}}, CHILD | {"ranges": {"weight_decay": [0, 1]}}],
        "static and tuned hyperparameters together must stay",
    ),
    (
        [
            {"ranges": {"batch_size": list(range(1, 12)), "lr": LR}},
            CHILD | {"hyperparameters": {"batch_size": 1}},
        ],
        "11 changes from its parent job-0 (batch_size 11); at most 10 are allowed",
    ),
    (
        [{"ranges": {"learning": LR}}],
        "hyperparameter 'learning' is unknown (did you mean 'learning_rate'?); known: model, weights",
    ),
    ([{"ranges": {"batch_size": ["many", 3]}}], "hyperparameter batch_size"),
    (
        [{"ranges": {"batch_size": LR | {"min": 1, "max": 2}}}],
        "hyperparameter batch_size takes whole numbers; a Continuous range does not suit it",
    ),
    (
        [{"ranges": {"lr": LR | {"min": -1, "scale": "Linear"}}}],
        "hyperparameter lr must be at least 0",
    ),
    (
        [{"ranges": {"optimizer": ["sgd", "sdg"]}}],
        "hyperparameter optimizer must be one of sgd, nag",
    ),
    ([{"hyperparameters": {"epoch": 3}}], "hyperparameter 'epoch' is unknown"),
    ([], "the recipe small has no tuning jobs"),
]


@pytest.mark.parametrize("jobs, sentence", BAD, ids=[sentence[:60] for _, sentence in BAD])
def test_bad_input_gets_one_sentence(jobs, sentence):
    with pytest.raises(RecipeError) as caught:
        check_chain(settings(*jobs))
    assert sentence in str(caught.value) and "\n" not in str(caught.value)


PARENTS = {"parents": ["before"], "warm_start": "IdenticalDataAndAlgorithm"}


@pytest.mark.parametrize(
    "job, status, sentence",
    [
        (
            {"ranges": {"lr": LR | {"min": 0.1}}},
            "",
            "range of lr is empty: min 0.1 must be below max 0.1",
        ),
        (
            {"ranges": {"lr": LR | {"min": -0.1}}},
            "",
            "range of lr: Logarithmic needs ends above 0; found -0.1 to 0.1",
        ),
        (
            {"ranges": {"learning": LR}},
            "",
            "hyperparameter 'learning' is unknown (did you mean 'learning_rate'?); known: model, weights, ",
        ),
        (
            {"ranges": {"batch_size": [16, "many"]}},
            "",
            "hyperparameter batch_size must be a whole number; found 'many'",
        ),
        (
            PARENTS,
            "",
            "there is no parent 'before'; known: none (earlier ones of the recipe, and --parents FILE)",
        ),
        (
            PARENTS,
            "InProgress",
            "its parent 'before' is InProgress; a parent must have ended (Completed, Stopped, Failed)",
        ),
        (
            PARENTS | {"ranges": {"lr": [0.01, 0.02]}},
            "Completed",
            "lr is Categorical, in its parent before Continuous; a hyperparameter's type must not change",
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
    told = capsys.readouterr().err
    assert told.startswith("tune: failed: ")
    assert "tuning job job: " + sentence in told
    assert told.count("\n") == 1
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
        assert [tuning.budgets.jobs for tuning in recipe.tuning] == [6, 6, 10, 6]
        assert [
            sum(changes_of(recipe.tuning[3], job_of(recipe.tuning[number])).values())
            for number in range(3)
        ] == [4, 4, 2]


def validated(request: dict) -> str:
    """What botocore says of a request that is completed with what a launcher adds; "" when it is sound."""
    job = request["TrainingJobDefinition"]
    job["AlgorithmSpecification"]["TrainingImage"] = "image"
    job |= {
        "RoleArn": "arn:aws:iam::123456789012:role/training",
        "OutputDataConfig": {"S3OutputPath": "s3://b/o"},
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
    }
    model = boto3.client(
        "sagemaker", region_name="eu-west-1", aws_access_key_id="a", aws_secret_access_key="b"
    ).meta.service_model
    return (
        ParamValidator()
        .validate(request, model.operation_model("CreateHyperParameterTuningJob").input_shape)
        .generate_report()
    )


def test_requests_are_as_the_service_has_them():
    chain = [
        *read_recipe(REPOSITORY / "recipes" / "yoga_poses.yaml").tuning,
        *recipe(
            {"strategy": "Hyperband", "budgets": {"jobs": 9, "parallel": 3, "time_s": 600}},
            {
                "strategy": "Grid",
                "budgets": {},
                "ranges": {"epochs": [1, 2], "optimizer": ["sgd", "adam"]},
            },
            {
                "budgets": {"jobs": 5, "target": 0.9, "not_improving": 3},
                "seed": 7,
                "objective": {"metric": "validation_loss", "direction": "Minimize"},
                "ranges": {
                    "lr": LR,
                    "epochs": {"type": "Integer", "min": 1, "max": 4, "scale": "Linear"},
                    "momentum": {
                        "type": "continuous",
                        "min": 0,
                        "max": 0.99,
                        "scale": "reverselogarithmic",
                    },
                },
            },
        ).tuning,
    ]
    requests = [tuning_request(tuning) for tuning in chain]
    assert [validated(request) for request in requests] == [""] * 7
    last = requests[-1]["HyperParameterTuningJobConfig"]
    assert last["ParameterRanges"]["IntegerParameterRanges"] == [
        {"Name": "epochs", "MinValue": "1", "MaxValue": "4", "ScalingType": "Linear"}
    ]
    momentum = {
        "Name": "momentum",
        "MinValue": "0.0",
        "MaxValue": "0.99",
        "ScalingType": "ReverseLogarithmic",
    }
    assert last["ParameterRanges"]["ContinuousParameterRanges"][1] == momentum
    assert last["TuningJobCompletionCriteria"] == {
        "TargetObjectiveMetricValue": 0.9,
        "BestObjectiveNotImproving": {"MaxNumberOfTrainingJobsNotImproving": 3},
    }
    assert last["RandomSeed"] == 7 and last["HyperParameterTuningJobObjective"] == {
        "Type": "Minimize",
        "MetricName": "validation_loss",
    }
    assert requests[3]["WarmStartConfig"] == {
        "ParentHyperParameterTuningJobs": [
            {"HyperParameterTuningJobName": f"yoga-{number}"} for number in (1, 2, 3)
        ],
        "WarmStartType": "IdenticalDataAndAlgorithm",
    }
    assert requests[4]["HyperParameterTuningJobConfig"]["StrategyConfig"] == {
        "HyperbandStrategyConfig": {"MinResource": 1, "MaxResource": 2}
    }
    assert (
        requests[5]["HyperParameterTuningJobConfig"]["ResourceLimits"]["MaxNumberOfTrainingJobs"]
        == 4
    )
    static = requests[0]["TrainingJobDefinition"]["StaticHyperParameters"]
    assert static["eps"] == "1e-06" and not {"lr", "epochs"} & static.keys()


def test_a_launcher_can_take_the_requests_without_torch_optuna_or_train():
    code = "import sys, tune.request, tune.warm_start; print(sorted({name.partition('.')[0] for name in sys.modules} & {'torch', 'optuna', 'train'}))"
    shown = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True
    ).stdout
    assert shown.strip() == "[]"


def tried(name: str, objective: float | None, status: str = "Completed", **texts: str) -> Trial:
    return Trial(name, status, texts, ("lr",), objective)


def test_a_warm_start_takes_what_is_still_legal():
    first, second = recipe(
        {"ranges": {"lr": LR, "batch_size": [4, 8]}},
        CHILD | {"ranges": {"lr": LR | {"min": 0.01, "max": 0.05}, "batch_size": [8]}},
    ).tuning
    trials = (
        tried("in", 0.5, lr="0.02", batch_size="8"),
        tried("edge", 0.4, "Stopped", lr="0.05", batch_size="8"),
        tried("below", 0.9, lr="0.009", batch_size="8"),
        tried("category", 0.8, lr="0.02", batch_size="4"),
        tried("failed", None, "Failed", lr="0.02", batch_size="8"),
        tried("running", 0.7, "InProgress", lr="0.02", batch_size="8"),
    )
    done = job_of(first, "Completed", trials)
    assert [trial.name for trial in legal(second, done)] == ["in", "edge"]
    assert parents_of(second, {"job-0": done}) == [done]
    with pytest.raises(
        RecipeError, match="its parent 'job-0' is InProgress; a parent must have ended"
    ):
        parents_of(second, {"job-0": job_of(first, "InProgress", trials)})


def test_parents_of_other_searches_come_from_their_results(tmp_path):
    done = recipe({"name": "before", "ranges": {"lr": LR}}).tuning[0]
    child = CHILD | {"parents": ["before"], "hyperparameters": {"batch_size": 8}}
    for status, sentence in (
        ("Completed", ""),
        ("InProgress", "its parent 'before' is InProgress; a parent must have ended"),
    ):
        write_results(
            tmp_path / "tuning.json", (job_of(done, status, (tried("a", 0.5, lr="0.01"),)),)
        )
        asked = dataclasses.replace(settings(child), parents=(tmp_path / "tuning.json",))
        if sentence:
            with pytest.raises(RecipeError, match=sentence):
                check_chain(asked)
        else:
            tuning = check_chain(asked).tuning[0]
            assert [
                trial.name for trial in legal(tuning, parents_of(tuning, asked.known_parents())[0])
            ] == ["a"]


@pytest.mark.parametrize("warm_start", ["IdenticalDataAndAlgorithm", "TransferLearning"])
def test_a_parent_on_other_photos_is_for_transfer_learning_alone(tmp_path, warm_start):
    for folder, colour in (("here", "red"), ("there", "blue"), ("copy", "red")):
        draw_photo(tmp_path / folder / "train" / "a" / "1.jpg", COLOURS[colour], 0)
    for folder in ("there", "copy"):
        dataclasses.replace(
            settings({"name": "before"}),
            out=tmp_path / folder,
            channels=find_channels(tmp_path / folder),
        ).write()
        write_results(
            tmp_path / folder / "tuning.json",
            (job_of(recipe({"name": "before"}).tuning[0], "Completed"),),
        )
    asked = dataclasses.replace(
        settings({"parents": ["before"], "warm_start": warm_start}),
        channels=find_channels(tmp_path / "here"),
    )
    check_photos(dataclasses.replace(asked, parents=(tmp_path / "copy" / "tuning.json",)))
    asked = dataclasses.replace(asked, parents=(tmp_path / "there" / "tuning.json",))
    if warm_start == "TransferLearning":
        check_photos(asked)
    else:
        with pytest.raises(
            RecipeError,
            match="job-0: its parent 'before' was a search on other photos, but its warm start is Identical",
        ):
            check_photos(asked)


@pytest.mark.parametrize(
    "warm_start, best", [("IdenticalDataAndAlgorithm", "old"), ("TransferLearning", "new")]
)
def test_the_overall_best_looks_at_parents_where_data_are_the_same(warm_start, best):
    first, second = recipe({}, CHILD | {"warm_start": warm_start}).tuning
    parent, job = (
        job_of(first, "Completed", (tried("old", 0.9),)),
        job_of(second, "Completed", (tried("new", 0.6), tried("bad", None, "Failed"))),
    )
    assert overall_best(job, [parent])[1].name == best


def test_changes_count_as_the_service_counts_them():
    first, second = recipe(
        {"ranges": {"lr": LR, "optimizer": ["sgd", "adam", "nag"], "momentum": LR}},
        CHILD | {"hyperparameters": {"optimizer": "sgd", "momentum": 0.9, "epochs": 3}},
    ).tuning
    assert changes_of(second, job_of(first)) == {"optimizer": 3, "momentum": 1, "epochs": 2}


def test_ranges_hold_their_ends():
    assert (
        Continuous("lr", 0.1, 0.2).holds("0.1")
        and Continuous("lr", 0.1, 0.2).holds("0.2")
        and not Continuous("lr", 0.1, 0.2).holds("0.21")
    )
    assert (
        Integer("n", 1, 4).holds("4.0")
        and not Integer("n", 1, 4).holds("2.5")
        and not Integer("n", 1, 4).holds("none")
    )
    assert Categorical("c", ("1",)).holds("1") and not Categorical("c", ("1",)).holds("1.0")
    check_tuning_job(recipe({}).tuning[0])
