"""Searches: what is tried, stopped, carried over and counted, on small real trainings."""

import dataclasses
import json

import optuna
import pytest

from recipes.ranges import Continuous, Integer
from recipes.tuning import Budgets
from tests.support.tuning import LOSS, LR, document, run, search_here, settings, settings_tuning
from tune.configurations import configurations
from tune.errors import SearchError
from tune.results import read_results
from tune.search import choose, steer
from tune.storage import open_storage
from tune.stored_values import to_stored, to_text
from tune.study import make_study
from tune.trial_states import claim, counted, verdict
from tune.tuner import Tuner
from tune.warm_start import legal


@pytest.mark.training
def test_a_chain_runs_from_the_command_line(tmp_path, data, capsys):
    warm = {"parents": ["job-0"], "warm_start": "IdenticalDataAndAlgorithm"}
    ended = run(
        tmp_path,
        data,
        document({"budgets": {"jobs": 3, "parallel": 2}}, warm, seed=0),
        "--workers",
        2,
        "--set",
        "seed=3",
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    jobs = read_results(tmp_path / "out" / "tuning.json")
    assert [(job.name, job.status, len(job.trials)) for job in jobs] == [
        ("job-0", "Completed", 3),
        ("job-1", "Completed", 3),
    ]
    assert "starts from job-0: 3 of 3 results lie within its ranges" in ended.stdout
    # No progress bar where the output is kept as a log.
    assert "\r" not in ended.stdout
    trials = [trial for job in jobs for trial in job.trials]
    best = max(trials, key=lambda trial: trial.objective or 0)
    texts = json.loads((tmp_path / "out" / "best.json").read_text())
    assert texts["seed"] == "3"
    assert {**best.hyperparameters, "lr": ""} == {**texts, "lr": ""}
    same = [trial.objective or 0 for trial in trials if trial.hyperparameters == texts]
    assert max(same) == best.objective
    for trial in trials:
        assert len(trial.curve) == 2
        assert trial.objective == trial.curve[-1]
        assert trial.started is not None
        assert trial.ended is not None
        assert trial.started <= trial.ended
        tree = tmp_path / "out" / "trials" / trial.name[:5] / trial.name
        assert (
            json.loads((tree / "input/config/hyperparameters.json").read_text())
            == trial.hyperparameters
        )
        assert not (tree / "checkpoints").exists()
        assert f"validation_accuracy={trial.objective:.5f}" in (tree / "output.log").read_text()
    again = settings(
        tmp_path / "out", data, {"budgets": {"jobs": 3, "parallel": 2}}, warm, seed="3"
    )
    Tuner(again, 0, []).run()  # without workers: there is nothing left to do
    assert "3 of its trials are there" in capsys.readouterr().out
    assert read_results(tmp_path / "out" / "tuning.json") == jobs
    with pytest.raises(
        SearchError,
        match="is of another search: its static hyperparameters differ; name another --out or "
        "--storage",
    ):
        Tuner(settings(tmp_path / "out", data, {}, warm, seed="4"), 0, []).run()


@pytest.mark.training
def test_test_batch_size_has_no_effect_on_the_objective(tmp_path, data):
    grid = {
        "strategy": "Grid",
        "budgets": {},
        "ranges": {"test_batch_size": [1, 5, 10, 20]},
        "objective": LOSS,
    }
    job = search_here(settings(tmp_path, data, grid, lr="0.01", epochs=3))
    assert sorted(trial.hyperparameters["test_batch_size"] for trial in job.trials) == [
        "1",
        "10",
        "20",
        "5",
    ]
    # The size of evaluation batches changes nothing.
    assert len({trial.curve for trial in job.trials}) == 1
    assert len(set(job.trials[0].curve)) == 3


@pytest.mark.training
def test_a_failing_trial_is_recorded_and_the_search_goes_on(tmp_path, data):
    grid = {
        "strategy": "Grid",
        "budgets": {},
        # A rate that makes the loss overflow.
        "ranges": {"optimizer": ["sgd", "adam"], "lr": ["1e30", "0.01"]},
    }
    job = search_here(settings(tmp_path, data, grid))
    failed = [trial for trial in job.trials if trial.status == "Failed"]
    assert [
        trial.hyperparameters["optimizer"]
        for trial in failed
        if "loss became" in trial.reason and trial.objective is None
    ]
    assert len(job.trials) == 4
    assert {trial.hyperparameters["lr"] for trial in failed} == {"1e30"}


@pytest.mark.training
@pytest.mark.parametrize(
    "regex, reason",
    [
        (
            "top_accuracy=([0-9.]+)",
            "was never printed: no line of the output matches the regex 'top_accuracy=([0-9.]+)'",
        ),
        ("(epoch)=", "was printed as 'epoch', which is not a number"),
    ],
)
def test_an_objective_that_cannot_be_read_fails_the_trial(tmp_path, data, regex, reason):
    job = search_here(
        settings(
            tmp_path,
            data,
            {"budgets": {"jobs": 1}, "objective": {"metric": "top_accuracy", "regex": regex}},
        )
    )
    assert [(trial.status, trial.objective) for trial in job.trials] == [("Failed", None)]
    assert reason in job.trials[0].reason


@pytest.mark.training
def test_a_chain_ends_where_a_job_told_nothing(tmp_path, data):
    asked = settings(
        tmp_path,
        data,
        # No line ever holds such a metric.
        {"budgets": {"jobs": 1}, "objective": {"metric": "nothing"}},
        {"name": "next"},
    )
    search_here(asked)
    with pytest.raises(
        SearchError,
        match="tuning job job-0: none of its 1 trials has an objective; the first: the "
        "objective nothing was never",
    ):
        Tuner(asked, 0, []).run()
    assert [job.status for job in read_results(tmp_path / "tuning.json")] == ["Failed"]


@pytest.mark.slow
def test_random_draws_do_not_depend_on_the_workers(tmp_path, data):
    asked, drawn = settings(tmp_path, data, {"budgets": {"jobs": 4}}), []
    tuning = asked.recipe().tuning[0]
    # The order in which workers ask.
    for number, workers in enumerate(([0, 0, 0, 0], [1, 0, 3, 2])):
        study = make_study(open_storage(tmp_path, f"sqlite:///{tmp_path}/{number}.db"), tuning, ())
        for worker in workers:
            steer(study, tuning, worker)
            trial = study.ask()
            assert claim(trial, tuning)
            drawn.append(choose(trial, tuning)["lr"])
    assert drawn[:4] == drawn[4:]
    assert len(set(drawn)) == 4
    assert all(0.0005 <= float(text) <= 0.05 for text in drawn)


def test_nothing_begins_beyond_the_budget(tmp_path, data):
    asked = settings(tmp_path, data, {"budgets": {"jobs": 2}})
    tuning = asked.recipe().tuning[0]
    study = make_study(open_storage(tmp_path), tuning, ())
    trials = [
        study.ask() for _ in range(3)
    ]  # three processes at once, before any has seen the others
    assert [claim(trial, tuning) for trial in (trials[2], trials[0], trials[1])] == [
        False,
        True,
        True,
    ]
    assert len(counted(study)) == 2
    assert verdict(counted(study), tuning) == "its 2 training jobs have begun"


@pytest.mark.training
def test_a_warm_start_steers_and_counts_for_nothing_else(tmp_path, data):
    narrow = {
        "strategy": "Bayesian",
        "parents": ["job-0"],
        "warm_start": "TransferLearning",
        "ranges": {"lr": LR | {"min": 0.005}},
    }
    asked = settings(
        tmp_path, data, {"strategy": "Grid", "budgets": {}, "ranges": {"lr": ["0.001"]}}, narrow
    )
    first, second = settings(tmp_path, data, {"budgets": {"jobs": 6}}, narrow).recipe().tuning
    parent = search_here(asked, first)
    carried = [("job-0", trial) for trial in legal(second, parent)]
    # Only the results within the narrower range.
    assert 0 < len(carried) < 6
    job = search_here(asked, second, tuple(carried))
    study = optuna.load_study(study_name="job-1", storage=open_storage(tmp_path))
    assert len(study.trials) == 3 + len(carried)
    assert [trial.name for trial in job.trials] == [
        "job-1-001",
        "job-1-002",
        "job-1-003",
    ]
    assert {float(trial.hyperparameters["lr"]) >= 0.005 for trial in job.trials} == {True}
    assert not any(
        trial.intermediate_values for trial in study.trials if "parent" in trial.user_attrs
    )


@pytest.mark.training
@pytest.mark.parametrize("engine", ["process"])
def test_a_training_of_its_own_is_read_alike(tmp_path, data, engine):
    grid = {"strategy": "Grid", "budgets": {}, "ranges": {"lr": ["0.01"]}, "objective": LOSS}
    alone = search_here(settings(tmp_path / "alone", data, grid, engine=engine, keep=True)).trials[
        0
    ]
    shared = search_here(settings(tmp_path / "shared", data, grid)).trials[0]
    assert alone.curve == shared.curve
    assert len(set(alone.curve)) == 2
    assert alone.status == "Completed"
    assert (tmp_path / "alone/trials/job-0" / alone.name / "model/model.json").is_file()


@pytest.mark.verify
@pytest.mark.docker
def test_a_container_is_read_alike(tmp_path, data, images):
    grid = {"strategy": "Grid", "budgets": {}, "ranges": {"lr": ["0.01", "1e30"]}}
    job = search_here(settings(tmp_path, data, grid, engine="container", keep=True))
    by_lr = {trial.hyperparameters["lr"]: trial for trial in job.trials}
    assert by_lr["0.01"].status == "Completed"
    assert len(by_lr["0.01"].curve) == 2
    assert by_lr["1e30"].status == "Failed"
    assert "loss became" in by_lr["1e30"].reason
    assert (tmp_path / "trials/job-0" / by_lr["0.01"].name / "model/model.json").is_file()


def test_reverse_logarithmic_ranges_are_searched_near_one():
    entry = Continuous("momentum", 0.0, 0.999, "ReverseLogarithmic")
    assert to_text(entry, to_stored(entry, "0.999")) == "0.999"
    assert to_text(entry, to_stored(entry, "0.0")) == "0.0"
    tuning = dataclasses.replace(
        settings_tuning(Budgets(60), "Maximize"),
        ranges=(entry, Integer("n", 1, 1000, "Logarithmic")),
        strategy="Random",
    )
    study, drawn = optuna.create_study(), []
    for _ in range(60):
        trial = study.ask()
        drawn.append(choose(trial, tuning))
    assert (
        sum(float(texts["momentum"]) > 0.9 for texts in drawn) > 30
    )  # two of three decades lie there
    assert sum(int(texts["n"]) < 100 for texts in drawn) > 30
    assert all(entry.holds(texts["momentum"]) for texts in drawn)


def test_a_grid_is_every_combination(data, tmp_path):
    tuning = (
        settings(
            tmp_path,
            data,
            {
                "strategy": "Grid",
                "budgets": {},
                "ranges": {"optimizer": ["sgd", "adam"], "epochs": [1, 2]},
            },
        )
        .recipe()
        .tuning[0]
    )
    assert (
        len({tuple(texts.items()) for texts in configurations(tuning)}) == 4 == tuning.budgets.jobs
    )
