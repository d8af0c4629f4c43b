"""A tuning job as an Optuna study: made, filled, and found again."""

import json
import time
from collections.abc import Mapping, Sequence

import optuna
from optuna.storages import BaseStorage, RDBStorage
from optuna.study import StudyDirection

from recipes.tuning import Tuning
from tune.clock import note_spent
from tune.errors import SearchError
from tune.initial_trials import initial_trials
from tune.results import Trial, TuningJob, job_of
from tune.search import PARENT
from tune.stored_values import stored_distributions, stored_params
from tune.trial_states import IMPORTED

STORAGE_VERSION = 1
READY_S = 30.0  # in which another machine fills a study that it has made
# User attributes of a study
READY = "slipway_ready"
SEARCH = "slipway_search"


def make_study(
    storage: BaseStorage,
    tuning: Tuning,
    imported: Sequence[tuple[str, Trial]],
    first: Mapping[str, str] | None = None,
    kept: TuningJob | None = None,
) -> optuna.Study:
    """The tuning job's study, made and filled, or found again as it was left.

    imported: the parents' names and legal trials. first: the values that the first trial takes.
    kept: what is left of a study that is gone. SearchError when a study of this name is of another
    search.
    """
    direction = StudyDirection[tuning.objective.direction.upper()]
    try:
        study = optuna.create_study(storage=storage, study_name=tuning.name, direction=direction)
    except optuna.exceptions.DuplicatedStudyError:
        return _found_again(storage, tuning, imported, first, kept)
    study.set_user_attr(SEARCH, _identity(tuning))
    study.set_user_attr(IMPORTED, len(imported))
    study.add_trials([_carried(tuning, parent, trial) for parent, trial in imported])
    study.add_trials(initial_trials(tuning, first, kept))
    if kept and kept.spent_s:
        note_spent(study, kept.spent_s)
    study.set_user_attr(READY, STORAGE_VERSION)
    return study


def _found_again(
    storage: BaseStorage,
    tuning: Tuning,
    imported: Sequence[tuple[str, Trial]],
    first: Mapping[str, str] | None,
    kept: TuningJob | None,
) -> optuna.Study:
    deadline = time.monotonic()
    if isinstance(storage, RDBStorage):  # another machine may be filling it just now
        deadline += READY_S
    study = load_study(storage, tuning)
    while study is None:
        if time.monotonic() > deadline:
            # Its maker was killed before the study was filled, so no trial of it can have begun.
            optuna.delete_study(study_name=tuning.name, storage=storage)
            return make_study(storage, tuning, imported, first, kept)
        time.sleep(0.2)
        study = load_study(storage, tuning)
    return study


def load_study(storage: BaseStorage, tuning: Tuning) -> optuna.Study | None:
    """The tuning job's study once it is filled, else None.

    SearchError when it is of another search or version.
    """
    try:
        study = optuna.load_study(study_name=tuning.name, storage=storage)
    except KeyError:
        return None
    attributes = study.user_attrs
    if READY not in attributes:
        return None
    if attributes[READY] != STORAGE_VERSION:
        raise SearchError(
            f"the storage's tuning job {tuning.name} is of version {attributes[READY]!r}, "
            f"this is {STORAGE_VERSION}; name another --out or --storage"
        )
    theirs = attributes.get(SEARCH, {})
    ours = _identity(tuning)
    if theirs != ours:
        other = sorted(name for name in ours if theirs.get(name) != ours[name])
        raise SearchError(
            f"the storage's tuning job {tuning.name} is of another search: "
            f"its {' and '.join(other)} differ; name another --out or --storage"
        )
    return study


def _identity(tuning: Tuning) -> dict[str, object]:
    """The parts that must stay when a search goes on; budgets may change."""
    form = job_of(tuning)
    parts = {
        "objective": [form.objective, tuning.objective.regex, form.direction],
        "strategy": form.strategy,
        "ranges": form.ranges,
        "static hyperparameters": form.static,
        "parents": [form.parents, form.warm_start],
        "seed": tuning.seed,
    }
    # As a storage gives it back: tuples become lists.
    read_back: dict[str, object] = json.loads(json.dumps(parts))
    return read_back


def _carried(tuning: Tuning, parent: str, trial: Trial) -> optuna.trial.FrozenTrial:
    """A parent's trial as one that was done here; its curve stays behind."""
    return optuna.trial.create_trial(
        params=stored_params(tuning, trial.hyperparameters),
        distributions=stored_distributions(tuning),
        value=trial.objective,
        user_attrs={PARENT: parent},
    )
