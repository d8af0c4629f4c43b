"""A tuner and its workers killed, interrupted, started again: nothing is lost or counted twice."""

import re
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from tests.support.jobs import REPOSITORY
from tests.support.tuning import LIMIT_S, begin, command, dead, document, draw_data, run, settings
from tests.support.warm_processes import WarmPopen
from tune.results import Trial, read_results
from tune.storage import open_storage
from tune.study import make_study
from tune.trial_states import (
    LOST,
    MOST_LOST,
    NAME,
    OWNER,
    claim,
    counted,
    form,
    process_here,
    requeue_orphans,
)


def trials_in(folder: Path) -> tuple[Trial, ...]:
    path = folder / "out" / "tuning.json"
    return read_results(path)[0].trials if path.is_file() else ()


def started(folder: Path, data: Path, recipe: dict, *options: object) -> subprocess.Popen:
    """A tuner at work: one trial is done, and another has reported its first value."""
    tuner = WarmPopen(
        command(folder, data, recipe, *options),
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + LIMIT_S
    while True:
        trials = trials_in(folder)
        # Both must be there: a trial to keep, and one to do again.
        if any(trial.status == "Completed" for trial in trials) and any(
            trial.status == "InProgress" and trial.curve for trial in trials
        ):
            return tuner
        assert tuner.poll() is None, tuner.communicate()
        assert time.monotonic() < deadline, tuner.communicate()
        time.sleep(0.05)


def workers_of(tuner: subprocess.Popen) -> list[psutil.Process]:
    return psutil.Process(tuner.pid).children()


def gone(processes: list[psutil.Process]) -> bool:
    return not psutil.wait_procs(processes, timeout=30)[1]


def check_whole(folder: Path, before: tuple[Trial, ...], count: int) -> None:
    """Each trial that was done before is there as it was, and no other."""
    trials = trials_in(folder)
    assert [trial.status for trial in trials] == ["Completed"] * count
    assert len({trial.name for trial in trials}) == count
    assert all(trial in trials for trial in before if trial.status == "Completed")
    # Two trials with one draw: one was lost, and drawn anew.
    assert len({trial.hyperparameters["lr"] for trial in trials}) == count
    running = {
        (trial.name, trial.hyperparameters["lr"])
        for trial in before
        if trial.status == "InProgress"
    }
    assert running <= {(trial.name, trial.hyperparameters["lr"]) for trial in trials}, (
        "what ran is done again as it was"
    )


@pytest.mark.training
def test_kill_9_of_the_tuner_then_again(tmp_path, data):
    recipe = document({"budgets": {"jobs": 3}}, epochs=25)
    tuner = started(tmp_path, data, recipe, "--workers", 1)
    workers = workers_of(tuner)
    tuner.kill()
    tuner.communicate()
    assert gone(workers), "workers end with their tuner"
    before = trials_in(tmp_path)
    ended = run(tmp_path, data, recipe, "--workers", 1)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert re.search(r"going on; [12] of its trials are there", ended.stdout)
    check_whole(tmp_path, before, 3)


@pytest.mark.training
def test_kill_9_of_a_worker_and_ctrl_c(tmp_path, data):
    # many: some must be left when the signal is taken, however quick the trials are
    recipe = document({"budgets": {"jobs": 8}}, epochs=25)
    tuner = started(tmp_path, data, recipe, "--workers", 1)
    before = trials_in(tmp_path)
    workers_of(tuner)[0].kill()
    # The tuner starts another worker by itself.
    deadline = time.monotonic() + LIMIT_S
    while sum(trial.status == "Completed" for trial in trials_in(tmp_path)) < 2:
        assert tuner.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    workers = workers_of(tuner)
    tuner.send_signal(signal.SIGINT)
    shown, errors = tuner.communicate(timeout=LIMIT_S)
    assert "worker 0 was killed by signal SIGKILL; started again" in shown
    assert "its process was killed; it is to be done again" in shown
    assert (tuner.returncode, errors) == (
        130,
        "tune: failed: interrupted; the same command goes on where this one stopped\n",
    ), shown
    assert gone(workers)
    assert read_results(tmp_path / "out" / "tuning.json")[0].status == "Stopped"
    assert not any(trial.status == "InProgress" for trial in trials_in(tmp_path))
    done = trials_in(tmp_path)
    ended = run(tmp_path, data, recipe, "--workers", 1)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    check_whole(tmp_path, before, 8)
    check_whole(tmp_path, done, 8)


@pytest.mark.training
def test_a_training_of_its_own_ends_with_a_killed_tuner(tmp_path, data):
    recipe = document({"budgets": {"jobs": 1}}, epochs=5000)
    tuner = subprocess.Popen(
        command(tmp_path, data, recipe, "--engine", "process", "--workers", 1),
        cwd=REPOSITORY,
        stdout=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + LIMIT_S
    while not any(trial.curve for trial in trials_in(tmp_path)):
        assert tuner.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    # The worker, and the training below it.
    family = psutil.Process(tuner.pid).children(recursive=True)
    assert any("train" in child.cmdline() for child in family)
    tuner.kill()
    tuner.wait()
    assert gone(family)


@pytest.mark.slow
def test_a_second_tuner_stays_out(tmp_path, data):
    import fcntl

    (tmp_path / "out").mkdir()
    with open(tmp_path / "out" / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ended = run(tmp_path, data, document({}))
    assert ended.returncode == 1
    assert ended.stderr.startswith("tune: failed: another tuner is at work in ")
    assert ended.stderr.count("\n") == 1


def test_a_search_is_bound_to_its_photos(tmp_path, data):
    asked = settings(tmp_path, data, {})
    asked.write()
    other = draw_data(tmp_path / "other")
    with pytest.raises(ValueError, match="holds a search on other photos"):
        settings(tmp_path, other, {}).write()


def test_what_a_dead_process_ran_is_done_again_and_fails_in_the_end(tmp_path, data):
    tuning = settings(tmp_path, data, {"budgets": {"jobs": 2}}).recipe().tuning[0]
    study = make_study(open_storage(tmp_path), tuning, ())
    alive = begin(study, tuning)
    lost = begin(study, tuning, dead())
    for time_lost in range(1, MOST_LOST + 1):
        assert requeue_orphans(study) == ["job-0-002"]
        # The second look finds nothing more to do.
        assert requeue_orphans(study) == []
        # Lost for good it counts, as failed; before that it is only queued.
        assert len(counted(study)) == (2 if time_lost == MOST_LOST else 1)
        if time_lost < MOST_LOST:
            again = begin(study, tuning, dead())
            assert again.params == lost.params
            assert again.user_attrs[NAME] == "job-0-002"
            assert again.user_attrs[LOST] == time_lost
    trials = form(study, tuning, "InProgress").trials
    assert [(trial.name, trial.status) for trial in trials] == [
        ("job-0-001", "InProgress"),
        ("job-0-002", "Failed"),
    ]
    assert (
        trials[1].reason
        == "its process was killed 3 times as it ran, most likely for lack of memory"
    )
    assert alive.number == 0


def test_what_was_queued_and_never_begun_is_queued_again(tmp_path, data):
    grid = {
        "strategy": "Grid",
        "budgets": {},
        "ranges": {"optimizer": ["sgd", "adam"], "lr": ["0.01", "0.02"]},
    }
    tuning = settings(tmp_path, data, grid).recipe().tuning[0]
    study = make_study(open_storage(tmp_path), tuning, ())
    trial = study.ask()
    assert claim(trial, tuning)
    assert not trial.params  # killed here, or after the first of its two hyperparameters
    trial.set_user_attr(OWNER, dead())
    requeue_orphans(study)
    for _ in range(4):
        begin(study, tuning)
    assert (
        len({tuple(sorted(trial.params.items())) for trial in counted(study)})
        == 4
        == len(counted(study))
    )


def test_a_tuner_that_is_killed_as_it_queues_a_trial_queues_it_once(tmp_path, data, monkeypatch):
    tuning = settings(tmp_path, data, {"budgets": {"jobs": 2}}).recipe().tuning[0]
    study = make_study(open_storage(tmp_path), tuning, ())
    lost = begin(study, tuning, dead())
    with monkeypatch.context() as patch:
        # The kill comes after the new trial is queued, before the old one is marked.
        patch.setattr(study, "tell", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            requeue_orphans(study)
    assert requeue_orphans(study) == ["job-0-001"]
    assert [trial.state.name for trial in study.trials] == [
        "FAIL",
        "WAITING",
    ]
    assert begin(study, tuning).params == lost.params
    assert len(counted(study)) == 1


def test_a_process_that_took_a_dead_ones_number_is_not_it(tmp_path, data):
    tuning = settings(tmp_path, data, {"budgets": {"jobs": 2}}).recipe().tuning[0]
    study = make_study(open_storage(tmp_path), tuning, ())
    host, pid, created = process_here()
    # A process of the same number that started earlier.
    begin(study, tuning, [host, pid, created - 100])
    # A number on another machine says nothing about this one.
    begin(study, tuning, ["another-machine/1", pid, created])
    assert requeue_orphans(study) == ["job-0-001"]


def test_a_trial_that_nobody_signed_is_freed_in_time(tmp_path, data):
    tuning = settings(tmp_path, data, {"budgets": {"jobs": 2}}).recipe().tuning[0]
    study = make_study(open_storage(tmp_path), tuning, ())
    study.ask()
    # Somebody may be about to sign it.
    assert requeue_orphans(study) == []
    assert requeue_orphans(study, no_owner_s=0) == ["trial 0"]
    assert counted(study) == []
