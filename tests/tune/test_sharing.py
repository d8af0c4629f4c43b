"""What several processes and machines share: studies, cores, GPUs, reasons, no passwords."""

import sqlite3
import subprocess

import optuna
import pytest

from artifact.host.machine import cpu_count
from tests.support.jobs import REPOSITORY
from tests.support.tuning import LIMIT_S, begin, command, dead, document, settings
from tests.support.warm_processes import WarmPopen
from tune.checks import count_workers
from tune.results import Trial, read_results
from tune.search_settings import read_settings
from tune.storage import STUDY_FILE, open_storage
from tune.study import make_study
from tune.trial_states import (
    REASON,
    counted,
    form,
    requeue_orphans,
)


def test_a_study_that_was_being_filled_is_made_anew(tmp_path, data):
    warm = {"parents": ["job-0"], "warm_start": "TransferLearning"}
    first, second = settings(tmp_path, data, {}, warm).recipe().tuning
    storage = open_storage(tmp_path)
    optuna.create_study(storage=storage, study_name="job-1").add_trial(
        optuna.trial.create_trial(value=1.0)
    )
    carried = [("job-0", Trial("job-0-001", "Completed", {"lr": "0.01"}, ("lr",), 0.5))]
    assert [trial.value for trial in make_study(storage, second, carried).trials] == [0.5]
    assert len(make_study(open_storage(tmp_path), second, carried).trials) == 1


@pytest.mark.training
def test_two_machines_share_a_database(tmp_path, data):
    recipe, url = (
        document({"budgets": {"jobs": 4, "parallel": 2}}, epochs=2),
        f"sqlite:///{tmp_path}/shared.db",
    )
    machines = [
        WarmPopen(
            command(tmp_path / name, data, recipe, "--workers", 1, "--storage", url),
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for name in ("a", "b")
    ]
    shown = [machine.communicate(timeout=LIMIT_S)[0] for machine in machines]
    assert [machine.returncode for machine in machines] == [0, 0], shown
    a, b = (read_results(tmp_path / name / "out" / "tuning.json") for name in ("a", "b"))
    assert a == b
    assert [trial.status for trial in a[0].trials] == ["Completed"] * 4
    assert not (tmp_path / "a" / "out" / STUDY_FILE).exists()


def test_a_machine_that_falls_silent_leaves_its_trial_to_the_others(tmp_path, data):
    """Killed at any moment after it took the trial, before its first heartbeat was due, too."""
    tuning = settings(tmp_path, data, {"budgets": {"jobs": 1}}).recipe().tuning[0]
    study = make_study(open_storage(tmp_path, f"sqlite:///{tmp_path}/shared.db"), tuning, ())
    trial = begin(study, tuning, ["another machine", 1, 1.0])
    assert requeue_orphans(study) == []
    with sqlite3.connect(tmp_path / "shared.db") as database:
        changed = database.execute("UPDATE trial_heartbeats SET heartbeat = '2000-01-01 00:00:00'")
        assert changed.rowcount == 1
    requeue_orphans(study)
    requeue_orphans(study)
    ended, waiting = study.get_trials()
    assert (ended.state.name, waiting.state.name) == ("FAIL", "WAITING")
    assert counted(study) == []
    assert "owner" not in waiting.user_attrs
    again = begin(study, tuning)
    assert again.params == trial.params
    assert [found.name for found in form(study, tuning, "").trials] == ["job-0-001"]


def test_workers_never_exceed_the_cores_or_gpus(tmp_path, data, capsys, monkeypatch):
    recipe = settings(tmp_path, data, {"budgets": {"jobs": 9, "parallel": 7}}).recipe()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert count_workers(None, recipe) == (min(7, cpu_count()), [])
    assert count_workers(1, recipe) == (1, [])
    assert count_workers(999, recipe) == (cpu_count(), [])
    assert f"999 workers are too many for {cpu_count()} cores" in capsys.readouterr().out
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,3")
    assert count_workers(None, recipe) == (2, ["2", "3"])
    assert count_workers(3, recipe)[0] == 2


def test_a_reason_is_kept_with_the_trial(tmp_path, data):
    tuning = settings(tmp_path, data, {"budgets": {"jobs": 1}}).recipe().tuning[0]
    study = make_study(open_storage(tmp_path), tuning, ())
    trial = begin(study, tuning, dead())
    trial.set_user_attr(REASON, "it failed")  # and its process was killed before it could say so
    assert requeue_orphans(study) == ["job-0-001"]
    assert len(counted(study)) == 1
    assert form(study, tuning, "Completed").trials[0].reason == "it failed"


def test_a_password_is_kept_nowhere(tmp_path, data):
    asked = settings(tmp_path, data, {}, storage="sqlite:////secret@nowhere/study.db")
    asked.write()
    assert "secret" not in (tmp_path / "search.json").read_text()
    assert read_settings(tmp_path, asked.storage) == asked
