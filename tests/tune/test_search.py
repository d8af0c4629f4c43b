"""Searches: what is tried, stopped, carried over and counted, on small real trainings."""

import dataclasses
import json
import re
import socket

import optuna
import pytest
from optuna.trial import TrialState, create_trial

from recipes.ranges import Continuous, Integer
from recipes.tuning import Budgets
from tests.support.jobs import REPOSITORY
from tests.support.tuning import LR, document, draw_data, run, search_here, settings
from tune.clock import SPENT
from tune.errors import SearchError
from tune.results import read_results
from tune.search import (
    choose,
    combinations,
    make_study,
    steer,
    to_stored,
    to_text,
    worse_than_median,
)
from tune.storage import STUDY_FILE, open_storage, repair
from tune.trial_states import ENDED, claim, counted, verdict
from tune.tuner import Tuner
from tune.warm_start import legal
from tune.worker import Worker

LOSS = {"metric": "validation_loss", "direction": "Minimize"}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return draw_data(tmp_path_factory.mktemp("data"))


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
    assert (
        "starts from job-0: 3 of 3 results lie within its ranges" in ended.stdout
        and "\r" not in ended.stdout
    )
    best = max((trial for job in jobs for trial in job.trials), key=lambda trial: trial.objective)
    texts = json.loads((tmp_path / "out" / "best.json").read_text())
    assert texts["seed"] == "3" and {**best.hyperparameters, "lr": ""} == {**texts, "lr": ""}
    assert (
        max(
            trial.objective
            for job in jobs
            for trial in job.trials
            if trial.hyperparameters == texts
        )
        == best.objective
    )
    for trial in (trial for job in jobs for trial in job.trials):
        assert (
            len(trial.curve) == 2
            and trial.objective == trial.curve[-1]
            and trial.started <= trial.ended
        )
        tree = tmp_path / "out" / "trials" / trial.name[:5] / trial.name
        assert (
            json.loads((tree / "input/config/hyperparameters.json").read_text())
            == trial.hyperparameters
        )
        assert (
            not (tree / "checkpoints").exists()
            and f"validation_accuracy={trial.objective:.5f}" in (tree / "output.log").read_text()
        )
    again = settings(
        tmp_path / "out", data, {"budgets": {"jobs": 3, "parallel": 2}}, warm, seed="3"
    )
    Tuner(again, 0, []).run()  # without workers: there is nothing left to do
    assert (
        "3 of its trials are there" in capsys.readouterr().out
        and read_results(tmp_path / "out" / "tuning.json") == jobs
    )
    with pytest.raises(
        SearchError,
        match="is of another search: its static hyperparameters differ; name another --out or --storage",
    ):
        Tuner(settings(tmp_path / "out", data, {}, warm, seed="4"), 0, []).run()


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
    assert len({trial.curve for trial in job.trials}) == 1 and len(set(job.trials[0].curve)) == 3


def test_a_failing_trial_is_recorded_and_the_search_goes_on(tmp_path, data):
    grid = {
        "strategy": "Grid",
        "budgets": {},
        "ranges": {"optimizer": ["sgd", "adam"], "lr": ["1e30", "0.01"]},
    }
    job = search_here(settings(tmp_path, data, grid))
    failed = [trial for trial in job.trials if trial.status == "Failed"]
    assert [
        trial.hyperparameters["optimizer"]
        for trial in failed
        if "loss became" in trial.reason and trial.objective is None
    ]
    assert len(job.trials) == 4 and {trial.hyperparameters["lr"] for trial in failed} == {"1e30"}


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
    assert [(trial.status, trial.objective) for trial in job.trials] == [
        ("Failed", None)
    ] and reason in job.trials[0].reason


def test_a_chain_ends_where_a_job_told_nothing(tmp_path, data):
    asked = settings(
        tmp_path,
        data,
        {"budgets": {"jobs": 1}, "objective": {"metric": "nothing"}},
        {"name": "next"},
    )
    search_here(asked)
    with pytest.raises(
        SearchError,
        match="tuning job job-0: none of its 1 trials has an objective; the first: the objective nothing was never",
    ):
        Tuner(asked, 0, []).run()
    assert [job.status for job in read_results(tmp_path / "tuning.json")] == ["Failed"]


def test_the_median_rule_stops_a_running_trial(tmp_path, data):
    grid = {
        "strategy": "Grid",
        "budgets": {},
        "ranges": {"lr": ["0.01", "1e-9"]},
        "early_stopping": "Auto",
    }
    asked = settings(tmp_path, data, grid, epochs=12)
    worker, tuning = Worker(asked, 0), asked.recipe().tuning[0]
    study = make_study(worker.storage, tuning, ())
    good = {step: 0.9 + step / 1000 for step in range(1, 13)}
    study.add_trial(
        create_trial(
            params={"lr": "0.01"},
            distributions={"lr": optuna.distributions.CategoricalDistribution(("0.01", "1e-9"))},
            value=0.91,
            intermediate_values=good,
            user_attrs={"name": "before", "hyperparameters": {}},
        )
    )
    job = search_here(
        dataclasses.replace(asked, document=asked.document),
        worker=worker,
        tuning=dataclasses.replace(tuning, budgets=Budgets(3)),
    )
    stopped = next(trial for trial in job.trials if trial.hyperparameters.get("lr") == "1e-9")
    assert (
        stopped.status == "Stopped"
        and len(stopped.curve) < 12
        and stopped.objective == stopped.curve[-1]
    )
    assert re.fullmatch(r"stopped by the median rule after \d+ values?", stopped.reason)


def test_the_median_rule_by_hand():
    before = [
        (0.2, 0.4, 0.6),
        (0.4, 0.6, 0.8),
        (0.6, 0.6),
    ]  # means up to the second epoch: 0.3, 0.5, 0.6; up to the third: 0.4, 0.6, 0.6
    assert worse_than_median((0.9, 0.49), before, True) and not worse_than_median(
        (0.1, 0.5), before, True
    )
    assert worse_than_median((0.9, 0.9, 0.59), before, True) and not worse_than_median(
        (0.0, 0.0, 0.6), before, True
    )
    # the best value so far, which Optuna's own rule would look at, is 0.9 in the first case: it would not stop
    assert not worse_than_median((0.9, 0.49), before, False) and worse_than_median(
        (0.1, 0.51), before, False
    )
    assert worse_than_median((0.39,), [(0.2, 1.0), (0.6, 1.0)], True)  # the middle of two
    assert not worse_than_median((0.0,), [], True) and not worse_than_median((0.0,), [()], True)
    assert not worse_than_median(
        (0.1,) * 3, [(0.1,) * 3], True
    )  # 0.1 + 0.1 + 0.1 is a little more than 0.3


def test_random_draws_do_not_depend_on_the_workers(tmp_path, data):
    asked, drawn = settings(tmp_path, data, {"budgets": {"jobs": 4}}), []
    tuning = asked.recipe().tuning[0]
    for number, workers in enumerate(([0, 0, 0, 0], [1, 0, 3, 2])):
        study = make_study(open_storage(tmp_path, f"sqlite:///{tmp_path}/{number}.db"), tuning, ())
        for worker in workers:
            steer(study, tuning, worker)
            trial = study.ask()
            assert claim(trial, tuning)
            drawn.append(choose(trial, tuning)["lr"])
    assert (
        drawn[:4] == drawn[4:]
        and len(set(drawn)) == 4
        and all(0.0005 <= float(text) <= 0.05 for text in drawn)
    )


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
    assert (
        len(counted(study)) == 2
        and verdict(counted(study), tuning) == "its 2 training jobs have begun"
    )


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
    assert 0 < len(carried) < 6
    job = search_here(asked, second, carried)
    study = optuna.load_study(study_name="job-1", storage=open_storage(tmp_path))
    assert len(study.trials) == 3 + len(carried) and [trial.name for trial in job.trials] == [
        "job-1-001",
        "job-1-002",
        "job-1-003",
    ]
    assert {float(trial.hyperparameters["lr"]) >= 0.005 for trial in job.trials} == {True}
    assert not any(
        trial.intermediate_values for trial in study.trials if "parent" in trial.user_attrs
    )


def test_hyperband_stops_by_rungs(tmp_path, data):
    job = search_here(
        settings(
            tmp_path,
            data,
            {"strategy": "Hyperband", "budgets": {"jobs": 8}, "objective": LOSS},
            epochs=9,
        )
    )
    assert len(job.trials) == 8 and any(
        trial.reason.startswith("stopped by Hyperband") and len(trial.curve) < 9
        for trial in job.trials
    )


def ended_after(budgets: Budgets, *values: float, direction: str = "maximize") -> str | None:
    """The verdict on trials that told these values, in their order."""
    study = optuna.create_study(direction=direction)
    tuning = settings_tuning(budgets, direction.capitalize())
    for value in values:
        study.tell(study.ask(), value)
    return verdict(study.trials, tuning)


def settings_tuning(budgets: Budgets, direction: str):
    from recipes.tuning import Objective, Tuning

    return Tuning("job", Objective(direction=direction), budgets, (Continuous("lr", 0.1, 1),), {})


def test_budgets_end_a_search():
    assert ended_after(
        Budgets(3), 0.1, 0.2
    ) is None and "3 training jobs have begun" in ended_after(Budgets(3), 0.1, 0.2, 0.3)
    assert (
        "target 0.5 is reached" in ended_after(Budgets(9, target=0.5), 0.2, 0.5)
        and ended_after(Budgets(9, target=0.5), 0.49) is None
    )
    assert "target 0.5 is reached" in ended_after(
        Budgets(9, target=0.5), 0.6, 0.5, direction="minimize"
    )
    flat = (0.5, 0.502, 0.503, 0.504)  # each within 1 % of the best before them
    assert "3 training jobs in a row did not better" in ended_after(
        Budgets(9, not_improving=3), *flat
    )
    assert (
        ended_after(Budgets(9, not_improving=3), *flat[:3]) is None
        and ended_after(Budgets(9, not_improving=3), *flat[:3], 0.51) is None
    )
    assert "its 120 s are over" in verdict(
        [], settings_tuning(Budgets(9, time_s=120), "Maximize"), 120.0
    )


def test_a_running_trial_ends_with_its_tuning_job(tmp_path, data):
    asked = settings(tmp_path, data, {"budgets": {"jobs": 1}}, epochs=400)
    worker, tuning = Worker(asked, 0), asked.recipe().tuning[0]
    study = make_study(worker.storage, tuning, ())
    steer(study, tuning, 0)
    trial = study.ask()
    claim(trial, tuning)
    study.set_user_attr(ENDED, "its 120 s are over")
    from tune.trials import run_trial

    run_trial(trial, tuning, worker.engine, tmp_path / "tree", asked.channels, False, lambda: False)
    ended = study.trials[0]
    assert (
        ended.state == TrialState.PRUNED
        and ended.user_attrs["reason"] == "stopped as its tuning job ended: its 120 s are over"
    )
    assert len(ended.intermediate_values) < 400


def test_the_time_of_earlier_runs_counts(tmp_path, data, capfd):
    search_here(settings(tmp_path, data, {"budgets": {"jobs": 1}}))
    asked = settings(tmp_path, data, {"budgets": {"jobs": 9, "time_s": 120}})
    study = optuna.load_study(study_name="job-0", storage=open_storage(tmp_path))
    study.set_user_attr(f"{SPENT}{socket.gethostname()}", 119.5)
    Tuner(asked, 0, []).run()
    assert (
        "1 trial; ended: its 120 s are over" in capfd.readouterr().out
        and study.user_attrs[ENDED] == "its 120 s are over"
    )
    assert 120 <= study.user_attrs[f"{SPENT}{socket.gethostname()}"] < 130


@pytest.mark.parametrize("engine", ["process"])
def test_a_training_of_its_own_is_read_alike(tmp_path, data, engine):
    grid = {"strategy": "Grid", "budgets": {}, "ranges": {"lr": ["0.01"]}, "objective": LOSS}
    alone = search_here(settings(tmp_path / "alone", data, grid, engine=engine, keep=True)).trials[
        0
    ]
    shared = search_here(settings(tmp_path / "shared", data, grid)).trials[0]
    assert (
        alone.curve == shared.curve and len(set(alone.curve)) == 2 and alone.status == "Completed"
    )
    assert (tmp_path / "alone/trials/job-0" / alone.name / "model/model.json").is_file()


@pytest.mark.docker
def test_a_container_is_read_alike(tmp_path, data, images):
    grid = {"strategy": "Grid", "budgets": {}, "ranges": {"lr": ["0.01", "1e30"]}}
    job = search_here(settings(tmp_path, data, grid, engine="container", keep=True))
    by_lr = {trial.hyperparameters["lr"]: trial for trial in job.trials}
    assert by_lr["0.01"].status == "Completed" and len(by_lr["0.01"].curve) == 2
    assert by_lr["1e30"].status == "Failed" and "loss became" in by_lr["1e30"].reason
    assert (tmp_path / "trials/job-0" / by_lr["0.01"].name / "model/model.json").is_file()


def test_reverse_logarithmic_ranges_are_searched_near_one():
    entry = Continuous("momentum", 0.0, 0.999, "ReverseLogarithmic")
    assert (
        to_text(entry, to_stored(entry, "0.999")) == "0.999"
        and to_text(entry, to_stored(entry, "0.0")) == "0.0"
    )
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
    assert sum(int(texts["n"]) < 100 for texts in drawn) > 30 and all(
        entry.holds(texts["momentum"]) for texts in drawn
    )


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
    assert len({tuple(texts.items()) for texts in combinations(tuning)}) == 4 == tuning.budgets.jobs


def test_a_torn_last_line_is_cut(tmp_path, data):
    tuning = settings(tmp_path, data, {}).recipe().tuning[0]
    make_study(open_storage(tmp_path), tuning, ()).ask()
    whole = (tmp_path / STUDY_FILE).read_bytes()
    (tmp_path / STUDY_FILE).write_bytes(whole + whole.splitlines(keepends=True)[-1][:-9])
    repair(tmp_path)
    assert (tmp_path / STUDY_FILE).read_bytes() == whole and len(
        make_study(open_storage(tmp_path), tuning, ()).trials
    ) == 1


def test_a_storage_of_another_version_is_told(tmp_path, data):
    tuning = settings(tmp_path, data, {}).recipe().tuning[0]
    study = make_study(open_storage(tmp_path), tuning, ())
    study.set_user_attr("slipway_ready", 99)
    with pytest.raises(
        SearchError,
        match="the storage's tuning job job-0 is of version 99, this is 1; name another --out or --storage",
    ):
        make_study(open_storage(tmp_path), tuning, ())
    (tmp_path / STUDY_FILE).write_text("something else\n")
    with pytest.raises(SearchError, match="is not a file of this version's searches"):
        repair(tmp_path)
    (tmp_path / STUDY_FILE).write_text('{"op_code": 77, "worker_id": "other"}\n')
    with pytest.raises(SearchError, match="is not a file of this version's searches"):
        open_storage(tmp_path)
    with pytest.raises(SearchError, match="the storage '.*' cannot be used"):
        open_storage(tmp_path, f"sqlite:///{tmp_path}/no/such/folder/study.db")


@pytest.mark.parametrize(
    "case, sentence",
    [
        (
            "never printed",
            "tuning job job-0: none of its 1 trials has an objective; the first: the objective nothing was never printed: no line of the output ",
        ),
        (
            "another version",
            "the storage's tuning job job-0 is of version 99, this is 1; name another --out or --storage",
        ),
        ("another library", "'{}' is not a file of this version's searches (KeyError"),
    ],
)
def test_the_command_ends_with_one_sentence(tmp_path, data, case, sentence):
    recipe = document({"budgets": {"jobs": 1}, "objective": {"metric": "nothing"}}, epochs=1)
    if case != "never printed":
        (tmp_path / "out").mkdir()
        make_study(
            open_storage(tmp_path / "out"),
            settings(tmp_path, data, recipe["tuning"][0]).recipe().tuning[0],
            (),
        ).set_user_attr("slipway_ready", 99)
    if case == "another library":
        (tmp_path / "out" / STUDY_FILE).write_text('{"operation": 1}\n')
    ended = run(tmp_path, data, recipe)
    assert ended.returncode == 1 and ended.stderr.count("\n") == 1, ended.stderr
    assert ended.stderr.startswith(
        "tune: failed: " + sentence.format(tmp_path / "out" / STUDY_FILE)
    )


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (["missing.yaml"], "the recipe 'missing.yaml' cannot be read: No such file or directory"),
        (
            [str(REPOSITORY / "recipes" / "demo.yaml"), "--data", "nowhere"],
            "there is no folder 'nowhere'; name the photos with --data",
        ),
        (
            [str(REPOSITORY / "recipes" / "demo.yaml"), "--workers", "0"],
            "--workers must be at least 1; found 0",
        ),
        (
            [str(REPOSITORY / "recipes" / "demo.yaml"), "--set", "epoch=3"],
            "hyperparameter 'epoch' is unknown",
        ),
        ([str(REPOSITORY / "recipes" / "demo.yaml"), "--parents", "no.json"], "no.json'"),
    ],
)
def test_wrong_options_get_one_sentence(tmp_path, monkeypatch, capsys, arguments, sentence):
    from tune.__main__ import main

    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 1
    told = capsys.readouterr().err
    assert sentence in told and told.count("\n") == 1
