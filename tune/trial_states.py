"""The trials of a study by what became of them: which count, which must be done again, when a tuning job has ended.

A trial that was carried over from a parent, one that a dying process left, and one asked for beyond the budget never count. What
a trial is told is told once: storages refuse to change one that has ended.
"""

import socket
from collections.abc import Sequence
from datetime import datetime

import optuna
import psutil
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState

from recipes.tuning import Tuning
from tune.results import Trial, TuningJob, job_of
from tune.search import IMPORTED, PARENT, curve_of

OWNER, NAME, TEXTS, REASON, VOID, LOST = (
    "owner",
    "name",
    "hyperparameters",
    "reason",
    "void",
    "lost",
)  # user attributes of a trial
QUEUED = "fixed_params"  # system attribute of a trial that Optuna's queue gave: what it is to try
ENDED = "slipway_ended"  # user attribute of a study: why no more trials begin and running ones are to stop
MOST_LOST = 3  # times that a trial may take its process with it
NO_OWNER_S = 30.0  # until a trial that nobody signed is taken for lost
GAIN = 0.01  # of the best value: less is no improvement, as SageMaker has it
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)
STATUS = {
    TrialState.RUNNING: "InProgress",
    TrialState.COMPLETE: "Completed",
    TrialState.PRUNED: "Stopped",
    TrialState.FAIL: "Failed",
}


def counted(study: optuna.Study) -> list[FrozenTrial]:
    """The trials that begun and count against the budget, in the order of their numbers."""
    return [trial for trial in study.get_trials(deepcopy=False) if _counts(trial)]


def _counts(trial: FrozenTrial) -> bool:
    if trial.state == TrialState.WAITING or PARENT in trial.user_attrs or VOID in trial.user_attrs:
        return False
    return trial.state != TrialState.FAIL or REASON in trial.user_attrs


def verdict(trials: Sequence[FrozenTrial], tuning: Tuning, elapsed_s: float = 0.0) -> str | None:
    """Why a tuning job begins no more trials; None while it does."""
    early = ended_early(trials, tuning, elapsed_s)
    return early or (
        f"its {tuning.budgets.jobs} training jobs have begun"
        if len(trials) >= tuning.budgets.jobs
        else None
    )


def ended_early(
    trials: Sequence[FrozenTrial], tuning: Tuning, elapsed_s: float = 0.0
) -> str | None:
    """Why a tuning job is over though trials run, which are then to stop; None where it is not."""
    budgets, sign = tuning.budgets, 1 if tuning.objective.direction == "Maximize" else -1
    if budgets.time_s is not None and elapsed_s >= budgets.time_s:
        return f"its {budgets.time_s} s are over"
    told = sorted(
        (trial for trial in trials if trial.state in FINISHED and trial.value is not None),
        key=lambda trial: trial.datetime_complete,
    )
    if budgets.target is not None and any(
        sign * trial.value >= sign * budgets.target for trial in told
    ):
        return f"its target {budgets.target:g} is reached"
    if budgets.not_improving is None:
        return None
    best, since = None, 0
    for value in (trial.value for trial in told):
        if best is None or sign * (value - best) >= GAIN * abs(best) and value != best:
            best, since = value, 0
        else:
            since += 1
    return (
        f"{since} training jobs in a row did not better its best by 1 %"
        if since >= budgets.not_improving
        else None
    )


def all_ended(trials: Sequence[FrozenTrial]) -> bool:
    """Whether nothing runs any more."""
    return all(trial.state.is_finished() for trial in trials)


def claim(trial: optuna.Trial, tuning: Tuning) -> bool:
    """Put this process down as the owner of a trial that it was given, and its name; False, and the trial void, beyond the budget.

    Numbers are given out one by one, so that of several processes that ask for the last place one gets it.
    """
    study = trial.study
    before = [other for other in counted(study) if other.number < trial.number]
    if len(before) >= tuning.budgets.jobs:
        trial.set_user_attr(VOID, True)
        study.tell(trial, state=TrialState.FAIL)
        return False
    if NAME not in trial.user_attrs:
        trial.set_user_attr(
            NAME, f"{tuning.name}-{trial.number + 1 - study.user_attrs[IMPORTED]:03d}"
        )
    trial.set_user_attr(OWNER, list(process_here()))
    return True


def process_here(pid: int | None = None) -> tuple[str, int, float]:
    """What names a process of any machine, for good: machine and its start, number, the process's start."""
    process = psutil.Process(pid)
    return f"{socket.gethostname()}/{psutil.boot_time():.0f}", process.pid, process.create_time()


def open_mark(tuner: int) -> str:
    """User attribute of a study that a tuner, by its process's number, has opened to its workers: what an earlier run left there is
    brought up to date."""
    host, pid, started = process_here(tuner)
    return f"slipway_open/{host}/{pid}/{started:.2f}"


def requeue_orphans(study: optuna.Study, no_owner_s: float = NO_OWNER_S) -> list[str]:
    """Free the trials whose processes on this machine are gone, to be done again with the same values; their names.

    One that took its process with it MOST_LOST times has failed. Of other machines' trials a database's heartbeat tells.
    """
    if isinstance(study._storage, RDBStorage):
        optuna.storages.fail_stale_trials(study)
    lost = []
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        owner = trial.user_attrs.get(OWNER)
        new = (datetime.now() - trial.datetime_start).total_seconds() < no_owner_s
        if new if owner is None else _alive(owner):
            continue
        if give_up(study, trial):
            lost.append(trial.user_attrs.get(NAME, f"trial {trial.number}"))
    return lost


def give_up(study: optuna.Study, trial: FrozenTrial, blame: bool = True) -> bool:
    """End a trial that did not come to its end, and queue it again; False when another process was quicker. blame: it may be the
    trial's own fault."""
    attributes = trial.user_attrs
    times = attributes.get(LOST, 0) + blame
    params = (
        trial.system_attrs.get(QUEUED, {}) | trial.params
    )  # a process may be killed before it has taken all that was queued for it
    kept = {LOST: times} | {key: attributes[key] for key in (NAME,) if key in attributes}
    try:
        if times >= MOST_LOST and REASON not in attributes:
            reason = (
                f"its process was killed {times} times as it ran, most likely for lack of memory"
            )
            study._storage.set_trial_user_attr(trial._trial_id, REASON, reason)
        elif REASON not in attributes and params and not _queued(study, params, kept):
            study.enqueue_trial(
                params, user_attrs=kept
            )  # before its place is free, lest another takes that
        study.tell(trial.number, state=TrialState.FAIL)
    except (ValueError, optuna.exceptions.UpdateFinishedTrialError):
        return False
    return True


def _queued(study: optuna.Study, params: dict, marks: dict) -> bool:
    """Whether a process that was killed over it had queued the trial already."""
    waiting = study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
    return any(
        (trial.system_attrs.get(QUEUED), trial.user_attrs) == (params, marks) for trial in waiting
    )


def _alive(owner: Sequence) -> bool:
    host, pid, started = owner
    if host != process_here()[0]:
        return True  # not ours to tell
    try:
        process = psutil.Process(pid)
        return abs(process.create_time() - started) < 2 and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def form(study: optuna.Study, tuning: Tuning, status: str) -> TuningJob:
    """The tuning job as table and page read it."""
    trials = sorted(
        (trial for trial in counted(study) if TEXTS in trial.user_attrs),
        key=lambda trial: trial.datetime_start,
    )
    return job_of(tuning, status, tuple(_form(trial, tuning) for trial in trials))


def _form(trial: FrozenTrial, tuning: Tuning) -> Trial:
    curve = curve_of(trial)
    failed = trial.state == TrialState.FAIL
    return Trial(
        trial.user_attrs[NAME],
        STATUS[trial.state],
        trial.user_attrs[TEXTS],
        tuple(entry.name for entry in tuning.ranges),
        curve[-1] if curve and not failed else None,
        curve,
        trial.user_attrs.get(REASON, ""),
        _moment(trial.datetime_start),
        _moment(trial.datetime_complete),
    )


def _moment(when: datetime | None) -> str | None:
    return when.astimezone().isoformat(timespec="milliseconds") if when else None
