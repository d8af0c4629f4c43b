"""The tuner without workers: what it prints and writes at each look, and how a job ends."""

import json
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from recipes.ranges import Continuous
from recipes.tuning import Budgets
from tests.support.chains import CHILD, settings
from tests.support.searches import alone, trial
from tests.support.tuning import begin
from tune.clock import Clock
from tune.errors import SearchError
from tune.importances import FEWEST, importances
from tune.ranking import Ranking
from tune.results import TuningJob, read_results
from tune.study import make_study
from tune.trial_states import form
from tune.tuner import Tuner
from tune.worker import Worker


def tuner(out: Path, *jobs: dict, storage: str | None = None) -> Tuner:
    """A tuner of these tuning jobs, by default one; it has no workers."""
    return Tuner(replace(settings(*(jobs or ({},))), out=out, storage=storage), 0, [])


def job(*values: float | None, name: str = "job-0", status: str = "Completed") -> TuningJob:
    """A tuning job with trials of these values."""
    trials = []
    for number, value in enumerate(values, start=1):
        trials.append(trial(f"{name}-{number:03d}", value, lr=f"0.0{number}"))
    (one,) = alone(trials)
    return replace(one, name=name, status=status)


def best_of(out: Path) -> dict[str, str]:
    texts: dict[str, str] = json.loads((out / "best.json").read_text())
    return texts


def test_results_and_best_are_written_when_they_change(tmp_path):
    one = tuner(tmp_path)
    one._write(job(0.5))
    assert read_results(tmp_path / "tuning.json") == (job(0.5),)
    assert best_of(tmp_path) == {"lr": "0.01"}
    (tmp_path / "best.json").unlink()
    (tmp_path / "tuning.json").unlink()
    one._write(job(0.5))
    assert not (tmp_path / "tuning.json").exists()  # nothing changed
    one._write(job(0.5, 0.4))
    assert (tmp_path / "tuning.json").exists()
    assert not (tmp_path / "best.json").exists()  # the best is the same
    one._write(job(0.5, 0.6))
    assert best_of(tmp_path) == {"lr": "0.02"}


def test_the_best_may_be_a_parents(tmp_path):
    one = tuner(tmp_path, {}, CHILD)
    one.known = {"job-0": job(0.9)}
    child = replace(
        job(0.5, name="job-1"), parents=("job-0",), warm_start="IdenticalDataAndAlgorithm"
    )
    one._write(child)
    assert best_of(tmp_path) == {"lr": "0.01"}
    assert one._best is not None
    assert one._best.name == "job-0-001"


@pytest.mark.parametrize(
    ("values", "ended", "line"),
    [
        ((0.5,), None, "tune: job-0: best job-0-001 loss=0.5, 1 trial"),
        (
            (0.5, 0.75),
            "it is late",
            "tune: job-0: best job-0-002 loss=0.75, 2 trials; ended: it is late",
        ),
    ],
)
def test_a_job_ends_with_its_line(tmp_path, capsys, values, ended, line):
    one = tuner(tmp_path)
    one._conclude(job(*values), [], ended)
    assert capsys.readouterr().out == line + "\n"
    assert one.known["job-0"].status == "Completed"
    assert one.done == {"job-0": job(*values)}


def test_a_parents_better_trial_stands_in_the_line(tmp_path, capsys):
    one = tuner(tmp_path, {}, CHILD)
    parent = job(0.9)
    one.known = {"job-0": parent}
    child = replace(
        job(0.5, name="job-1"), parents=("job-0",), warm_start="IdenticalDataAndAlgorithm"
    )
    one._conclude(child, [parent], None)
    assert capsys.readouterr().out == (
        "tune: job-1: best job-1-001 loss=0.5, 1 trial; best over its parents, too: job-0-001 0.9\n"
    )


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ((), "none of its 0 trials has an objective"),
        ((None, None), "none of its 2 trials has an objective; the first: out of memory"),
    ],
)
def test_a_job_without_a_value_ends_the_search(tmp_path, values, sentence):
    one = tuner(tmp_path)
    with pytest.raises(SearchError) as caught:
        one._conclude(job(*values), [], None)
    assert str(caught.value) == f"tuning job job-0: {sentence}"
    assert read_results(tmp_path / "tuning.json")[0].status == "Failed"


def test_each_finished_trial_is_printed_once(tmp_path, capsys):
    one = tuner(tmp_path)
    tuning = one.recipe.tuning[0]
    trials = (*job(0.5, None).trials, trial("job-0-003", 0.9, "InProgress"))
    running = replace(job(), trials=trials)
    one._print_finished(running, tuning)
    one._print_finished(running, tuning)
    assert capsys.readouterr().out.splitlines() == [
        "tune: job-0-001: Completed loss=0.5 lr=0.01; 1 of 4, best 0.5",
        "tune: job-0-002: Completed lr=0.02 (out of memory); 2 of 4, best 0.5",
    ]
    first = replace(job(), trials=(trial("x", None, "Failed"),))
    one._print_finished(first, tuning)
    assert capsys.readouterr().out == "tune: x: Failed  (out of memory); 3 of 4\n"


@pytest.mark.parametrize(("storage", "wait_s"), [(None, 0.0), ("sqlite://", 30.0)])
def test_only_a_database_may_have_trials_of_other_machines(tmp_path, monkeypatch, storage, wait_s):
    monkeypatch.setattr("tune.tuner.open_storage", lambda *_: None)
    assert tuner(tmp_path, storage=storage)._no_owner_s == wait_s


def test_a_look_goes_on_until_all_trials_have_ended(tmp_path, capsys):
    one = tuner(tmp_path, {"budgets": {"jobs": 1}})
    tuning = one.recipe.tuning[0]
    study = make_study(one.storage, tuning, ())
    clock = Clock(study)
    assert not one._look(study, tuning, clock)
    running = begin(study, tuning)
    assert not one._look(study, tuning, clock)  # it has begun, and runs
    study.tell(running, 0.5)
    assert one._look(study, tuning, clock)


def test_an_early_end_needs_a_second_look(tmp_path, capsys):
    one = tuner(tmp_path, {"budgets": {"jobs": 9, "target": 0.4}})
    tuning = one.recipe.tuning[0]
    study = make_study(one.storage, tuning, ())
    study.tell(begin(study, tuning), 0.5)
    clock = Clock(study)
    assert not one._look(study, tuning, clock)
    assert study.user_attrs["slipway_ended"] == "its target 0.4 is reached"
    assert one._look(study, tuning, clock)


def test_a_search_goes_on_with_the_trials_that_are_there(tmp_path, capsys):
    one = tuner(tmp_path, {"budgets": {"jobs": 3, "parallel": 2}})
    tuning = one.recipe.tuning[0]
    study = make_study(one.storage, tuning, ())
    study.tell(begin(study, tuning), 0.5)
    stopped = begin(study, tuning)
    stopped.report(0.25, 1)
    study.tell(stopped, state=TrialState.PRUNED)
    failed = begin(study, tuning)
    failed.set_user_attr("reason", "no memory")
    study.tell(failed, state=TrialState.FAIL)
    one.run()
    # Only the stopped one reported a value.
    assert capsys.readouterr().out.splitlines() == [
        "tune: job-0: Bayesian search of lr; 3 training jobs, 2 at once",
        "tune: job-0: going on; 3 of its trials are there",
        "tune: job-0: best job-0-002 validation_accuracy=0.25, 3 trials",
    ]
    assert one._current is None


def test_leaving_writes_how_far_it_came(tmp_path):
    one = tuner(tmp_path)
    one.leave()
    assert not (tmp_path / "tuning.json").exists()
    tuning = one.recipe.tuning[0]
    study = make_study(one.storage, tuning, ())
    study.tell(begin(study, tuning), 0.5)
    one._current = (study, tuning)
    one.leave()
    assert [found.status for found in read_results(tmp_path / "tuning.json")] == ["Stopped"]


def test_a_long_wait_shows_how_the_search_stands(tmp_path, capsys, monkeypatch):
    one = tuner(tmp_path)
    tuning = one.recipe.tuning[0]
    study = make_study(one.storage, tuning, ())
    begin(study, tuning)
    clock = Clock(study)
    for waited_s, shown in ((29.0, False), (31.0, True), (0.0, False)):
        monkeypatch.setattr(one, "_shown", one._shown - waited_s)
        one._look(study, tuning, clock)
        assert ("job-0: 0 of 4 ended" in capsys.readouterr().out) == shown


@pytest.mark.parametrize(
    ("number", "parallel", "running", "takes"),
    [(0, 1, 0, True), (1, 1, 0, False), (1, 2, 1, True), (1, 2, 2, False), (0, 1, 1, False)],
)
def test_a_worker_takes_a_trial_where_there_is_a_place(
    tmp_path, monkeypatch, number, parallel, running, takes
):
    asked = replace(settings({"budgets": {"jobs": 9, "parallel": parallel}}), out=tmp_path)
    tuning = asked.recipe().tuning[0]
    one = Worker(asked, number)
    study = make_study(one.storage, tuning, ())
    for _ in range(running):
        begin(study, tuning)
    taken: list[int] = []

    def take(*_: object) -> None:
        taken.append(number)
        one.leaving = True

    monkeypatch.setattr(one, "_take", take)
    monkeypatch.setattr("tune.worker.time.sleep", lambda _: one.leave())
    one._search(study, tuning)
    assert bool(taken) == takes


def test_a_worker_waits_for_its_own_tuner(tmp_path, monkeypatch):
    asked = replace(settings({}), out=tmp_path)
    one = Worker(asked, 0, "mark")
    make_study(one.storage, asked.recipe().tuning[0], ())
    tuning = asked.recipe().tuning[0]
    assert one._opened_study(tuning) is None
    found = Worker(asked, 0, "slipway_search")._opened_study(tuning)
    assert isinstance(found, optuna.Study)
    monkeypatch.setattr("tune.worker.time.sleep", lambda _: one.leave())
    one.work()
    assert one.leaving


@pytest.mark.parametrize(("count", "enough"), [(FEWEST - 1, False), (FEWEST, True)])
def test_importances_need_ten_trials(count, enough):
    trials = [trial(f"t{i}", float(i), h0=str(i / 10)) for i in range(count)]
    shares, why = importances(Ranking(alone(trials, names=1)))
    assert bool(shares) == enough
    assert (why == "9 trials have a value: 10 or more are needed to see what mattered.") != enough
    one = importances(Ranking(alone(trials[:1], names=1)))
    assert one == ({}, "1 trial has a value: 10 or more are needed to see what mattered.")


def test_importances_leave_out_trials_that_do_not_compare():
    trials = [trial(f"t{i}", float(i), h0=str(i / 10)) for i in range(FEWEST)]
    (last,) = alone(trials[1:], names=1)
    first = replace(last, trials=tuple(trials[:1]))
    assert importances(Ranking((first, last)))[1] == ""
    moved = replace(last, warm_start="TransferLearning")
    assert importances(Ranking((first, moved)))[1].startswith("9 trials have a value")
    running = [replace(trials[0], status="InProgress"), *trials[1:]]
    assert importances(Ranking(alone(running, names=1)))[1].startswith("9 trials have")
    odd = [trial("t0", 0.0, h0="x"), *trials[1:]]
    (job_of_numbers,) = alone(odd, names=1)
    assert job_of_numbers.ranges["h0"]["type"] == "Continuous"
    lost = [trial("t0", 0.0), *trials[1:]]
    assert importances(Ranking(alone(lost, names=1)))[1].startswith("9 trials have")


def test_the_form_of_a_new_study_is_empty(tmp_path):
    one = tuner(tmp_path)
    tuning = replace(one.recipe.tuning[0], budgets=Budgets(1))
    found = form(make_study(one.storage, tuning, ()), tuning, "InProgress")
    assert found.trials == ()
    assert isinstance(tuning.ranges[0], Continuous)
