"""A search whose file goes in mid-run: it ends, and goes on with the trials of its results."""

import fcntl
import time
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState

from tests.support.tuning import LIMIT_S, begin, command, document, draw_data, run, settings
from tests.support.warm_processes import WarmPopen
from tests.tune.test_tuner import tuner
from tune.clock import Clock, note_spent
from tune.errors import SearchError
from tune.results import read_results
from tune.storage import STUDY_FILE, FileLock, StudyGone
from tune.study import make_study
from tune.trial_runners import Failed
from tune.trial_states import form
from tune.trials import run_trial
from tune.tuner import Tuner
from tune.worker import Worker

GRID = {
    "strategy": "Grid",
    "budgets": {},
    "ranges": {"optimizer": ["sgd", "adam"], "lr": ["0.01", "0.02"]},
}


def half_done(out: Path, job: dict, storage: str | None = None):
    """A tuner whose tuning job has a trial that ended, one that failed, and one that runs."""
    one = tuner(out, job, storage=storage)
    tuning = one.recipe.tuning[0]
    study = make_study(one.storage, tuning, ())
    one._current = (study, tuning)
    ended = begin(study, tuning)
    for step, value in enumerate((0.25, 0.5), start=1):
        ended.report(value, step)
    study.tell(ended, 0.5)
    failed = begin(study, tuning)
    failed.set_user_attr("reason", "no memory")
    study.tell(failed, state=TrialState.FAIL)
    begin(study, tuning)
    one._look(study, tuning, Clock(study))
    return one, study, tuning


def test_the_seconds_of_a_limit_go_on_in_the_next_study(tmp_path):
    one, study, tuning = half_done(tmp_path, {"budgets": {"jobs": 3, "time_s": 600}})
    note_spent(study, 41.5)
    one._look(study, tuning, Clock(study))
    (tmp_path / STUDY_FILE).unlink()
    again = tuner(tmp_path, {"budgets": {"jobs": 3, "time_s": 600}})._study(tuning, [])
    assert Clock(again).elapsed(counts=True) >= 41.5


@pytest.mark.parametrize("instead", [None, ""])
def test_a_look_at_a_file_that_is_gone_or_another_one_ends_the_search(tmp_path, instead):
    one, study, tuning = half_done(tmp_path, {})
    (tmp_path / STUDY_FILE).rename(tmp_path / "aside")
    if instead is not None:
        (tmp_path / STUDY_FILE).write_text(instead)
    sentence = f"'{tmp_path / STUDY_FILE}' was removed as the search ran; the same command goes on"
    with pytest.raises(StudyGone, match=sentence):
        one._look(study, tuning, Clock(study))
    one.leave()
    (kept,) = read_results(tmp_path / "tuning.json")
    assert kept.status == "Stopped"
    assert [trial.status for trial in kept.trials] == ["Completed", "Failed", "InProgress"]


@pytest.mark.parametrize("job", [{}, GRID])
def test_the_next_run_takes_its_trials_from_the_results(tmp_path, capsys, job):
    one, _, tuning = half_done(tmp_path, job)
    (kept,) = read_results(tmp_path / "tuning.json")
    one._current = None
    (tmp_path / STUDY_FILE).unlink()
    again = tuner(tmp_path, job)
    study = again._study(tuning, [])
    assert f"{STUDY_FILE} is gone; its trials are those of tuning.json" in capsys.readouterr().out
    found = form(study, tuning, "InProgress").trials
    assert found == kept.trials[:2]
    done_again = begin(study, tuning)
    assert done_again.user_attrs["name"] == kept.trials[2].name
    for name in kept.trials[2].tuned:
        assert (
            done_again.user_attrs["hyperparameters"][name] == (kept.trials[2].hyperparameters[name])
        )
    fresh = begin(study, tuning)
    assert fresh.user_attrs["name"] == "job-0-004"
    drawn = [trial.hyperparameters for trial in form(study, tuning, "").trials]
    assert len({str(sorted(texts.items())) for texts in drawn}) == 4


def test_a_database_that_is_gone_loses_no_trial_either(tmp_path, capsys):
    storage = f"sqlite:///{tmp_path}/trials.db"
    one, _, tuning = half_done(tmp_path, {}, storage)
    (kept,) = read_results(tmp_path / "tuning.json")
    one._current = None
    (tmp_path / "trials.db").unlink()
    study = tuner(tmp_path, {}, storage=storage)._study(tuning, [])
    assert "the storage does not hold it any more; its trials are" in capsys.readouterr().out
    assert form(study, tuning, "InProgress").trials == kept.trials[:2]


def test_a_number_that_left_no_trace_stays_free(tmp_path):
    """A trial that was void, or that had just begun, has no result: no other takes its number."""
    one, _, tuning = half_done(tmp_path, {"strategy": "Random"})
    (kept,) = read_results(tmp_path / "tuning.json")
    text = (tmp_path / "tuning.json").read_text()
    (tmp_path / "tuning.json").write_text(text.replace("job-0-002", "job-0-007"))
    (tmp_path / STUDY_FILE).unlink()
    study = tuner(tmp_path, {"strategy": "Random"})._study(tuning, [])
    assert [begin(study, tuning).user_attrs["name"] for _ in range(2)] == [
        "job-0-003",
        "job-0-008",
    ]
    assert len(form(study, tuning, "").trials) == len(kept.trials) + 1


def test_results_of_another_search_are_left_alone(tmp_path):
    half_done(tmp_path, {})
    (tmp_path / STUDY_FILE).unlink()
    before = (tmp_path / "tuning.json").read_bytes()
    other = tuner(tmp_path, {"strategy": "Random"})
    with pytest.raises(SearchError) as caught:
        other._study(other.recipe.tuning[0], [])
    assert str(caught.value) == (
        "the results of tuning job job-0 are of another search: its strategy differ; "
        "name another --out, or remove tuning.json"
    )
    assert (tmp_path / "tuning.json").read_bytes() == before


def test_photos_that_are_gone_end_a_search_and_fail_no_trial(tmp_path):
    """A disk that goes away for a moment would else fail all trials that are left."""
    photos = draw_data(tmp_path / "photos")
    asked = settings(tmp_path / "out", photos, {})
    tuning = asked.recipe().tuning[0]
    worker = Worker(asked, 0)
    study = make_study(worker.storage, tuning, ())
    channels = dict(asked.channels)

    class Unplugged:
        """An engine whose photos go away as it trains."""

        channels_by = "folder"

        def run(self, root: Path, on_line) -> None:
            photos.rename(tmp_path / "aside")
            raise Failed("input/data lacks the channel train")

        def stop(self) -> None: ...

    trial = begin(study, tuning)
    root = asked.tree(tuning.name, "job-0-001")
    unplugged: Any = Unplugged()
    run_trial(trial, tuning, unplugged, root, channels, False, lambda: False)
    assert form(study, tuning, "").trials == ()
    gone = "the photos in '.*' are gone; once they are back, the same command goes on"
    with pytest.raises(SearchError, match=gone):
        worker._take(study, tuning)
    with pytest.raises(SearchError, match=gone):
        Tuner(asked, 0, [])._look(study, tuning, Clock(study))
    (tmp_path / "aside").rename(photos)
    assert begin(study, tuning).user_attrs["name"] == "job-0-001"


def test_the_wait_for_a_lock_ends(tmp_path, monkeypatch):
    monkeypatch.setattr("tune.storage.LOCK_S", 0.0)
    path = tmp_path / "lock"
    with path.open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(SearchError, match="another process has held '.*lock' for 0 s; end it"):
            FileLock(path).acquire()


@pytest.mark.verify
def test_the_command_ends_in_time_and_goes_on(tmp_path, data):
    recipe = document({"budgets": {"jobs": 3}}, epochs=25)
    search = WarmPopen(command(tmp_path, data, recipe, "--workers", 1), text=True, stderr=-1)
    study = tmp_path / "out" / STUDY_FILE
    results = tmp_path / "out" / "tuning.json"
    deadline = time.monotonic() + LIMIT_S
    while not (results.is_file() and '"Completed"' in results.read_text()):
        assert search.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    study.unlink()
    errors = search.communicate(timeout=LIMIT_S)[1]
    assert search.returncode == 1, errors
    assert errors.count("\n") == 1
    assert "was removed as the search ran; the same command goes on" in errors
    (before,) = read_results(results)
    ended = run(tmp_path, data, recipe, "--workers", 1)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    (after,) = read_results(results)
    assert [trial.status for trial in after.trials] == ["Completed"] * 3
    assert before.trials[0] in after.trials
    assert len({trial.hyperparameters["lr"] for trial in after.trials}) == 3
