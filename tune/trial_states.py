"""The trials of a study by their state: which count, which must be done again, when a job ends.

Never counted: a trial carried over from a parent, one that a dying process left, and one beyond the
budget. Each fact about a trial is written once, since storages refuse to change a trial that ended.
"""

import math
import socket
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import optuna
import psutil
from optuna.trial import FrozenTrial, TrialState

from recipes.tuning import Tuning
from tune.clock import spent_s
from tune.results import Trial, TuningJob, best_value, job_of, sign_of
from tune.search import PARENT, curve_of

# User attributes of a trial
OWNER = "owner"
NAME = "name"
TEXTS = "hyperparameters"
REASON = "reason"
VOID = "void"
UNMATCHED = "unmatched"  # no line of its output held the objective
LOST = "lost"
QUEUED = "fixed_params"  # Optuna's own system attribute: the values that its queue gave a trial
# User attributes of a study
IMPORTED = "slipway_imported"  # how many of its trials come from parents
ENDED = "slipway_ended"  # why no more trials begin and running ones are to stop
MOST_UNMATCHED = 3  # trials without a value until the objective's regex is to blame
MOST_LOST = 3  # times that a trial may take its process with it
NO_OWNER_S = 30.0  # until a trial without an owner counts as lost
GAIN = 0.01  # of the best value: less does not count as improvement, as SageMaker has it
SAME_START_S = 2.0  # a process of the same number that started within this is the same process
REASON_LENGTH = 1024  # characters
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)
STATUS = {
    TrialState.RUNNING: "InProgress",
    TrialState.COMPLETE: "Completed",
    TrialState.PRUNED: "Stopped",
    TrialState.FAIL: "Failed",
}


def counted(study: optuna.Study) -> list[FrozenTrial]:
    """The trials that began and count against the budget, in the order of their numbers."""
    return [trial for trial in study.get_trials(deepcopy=False) if _counts(trial)]


def _counts(trial: FrozenTrial) -> bool:
    if PARENT in trial.user_attrs or VOID in trial.user_attrs:
        return False
    if trial.state == TrialState.WAITING:
        return False
    return trial.state != TrialState.FAIL or REASON in trial.user_attrs


def verdict(trials: Sequence[FrozenTrial], tuning: Tuning, elapsed_s: float = 0.0) -> str | None:
    """Why a tuning job begins no more trials; None while it does."""
    early = ended_early(trials, tuning, elapsed_s)
    if early:
        return early
    if len(trials) >= tuning.budgets.jobs:
        return f"its {tuning.budgets.jobs} training jobs have begun"
    return None


def ended_early(
    trials: Sequence[FrozenTrial], tuning: Tuning, elapsed_s: float = 0.0
) -> str | None:
    """Why a tuning job is over though trials run, which are then to stop; None where it is not."""
    budgets = tuning.budgets
    unmatched = sum(UNMATCHED in trial.user_attrs for trial in trials)
    if unmatched >= MOST_UNMATCHED and not any(trial.intermediate_values for trial in trials):
        return f"the output of {unmatched} training jobs never matched the objective's regex"
    if budgets.time_s is not None and elapsed_s >= budgets.time_s:
        return f"its {budgets.time_s} s are over"
    # Higher is better from here on, whatever the direction.
    sign = sign_of(tuning.objective.direction)
    found = _values_in_order(trials, tuning.objective.direction)
    values = [sign * value for value in found]
    best = max(values, default=-math.inf)
    if budgets.target is not None and best >= sign * budgets.target:
        return f"its target {budgets.target:g} is reached"
    if budgets.not_improving is None:
        return None
    since = _without_gain(values)
    if since >= budgets.not_improving:
        return f"{since} training jobs in a row did not better its best by 1 %"
    return None


def _values_in_order(trials: Sequence[FrozenTrial], direction: str) -> list[float]:
    """The objectives of the trials that ended with one, in the order of their ends."""
    ended: list[tuple[datetime, float]] = []
    for trial in trials:
        when = trial.datetime_complete
        # Optuna gives a stopped trial its last value, not its best.
        value = best_value(curve_of(trial), direction)
        if value is None:
            value = trial.value
        if trial.state in FINISHED and value is not None and when is not None:
            ended.append((when, value))
    ended.sort(key=lambda pair: pair[0])
    return [value for _, value in ended]


def _without_gain(values: list[float]) -> int:
    """How many values since the last one that was better than the best before it by GAIN."""
    best: float | None = None
    since = 0
    for value in values:
        if best is None or value > best and value - best >= GAIN * abs(best):
            best = value
            since = 0
        else:
            since += 1
    return since


def all_ended(trials: Sequence[FrozenTrial]) -> bool:
    """Whether nothing runs any more."""
    return all(trial.state.is_finished() for trial in trials)


def claim(trial: optuna.Trial, tuning: Tuning) -> bool:
    """Make this process the owner of a trial that it was given; False, and the trial void, beyond
    the budget.

    Numbers are given out one by one, so that of several processes that ask for the last place one
    gets it.
    """
    study = trial.study
    before = [other for other in counted(study) if other.number < trial.number]
    if len(before) >= tuning.budgets.jobs:
        void(trial)
        return False
    # First: only a trial that has beaten once can fall silent.
    beat(trial)
    if NAME not in trial.user_attrs:
        number = trial.number + 1 - study.user_attrs[IMPORTED]
        trial.set_user_attr(NAME, f"{tuning.name}-{number:03d}")
    trial.set_user_attr(OWNER, list(process_here()))
    return True


def beat(trial: optuna.Trial) -> None:
    """Let a database know that this machine works on the trial. A file needs no heartbeat."""
    record = getattr(trial.study._storage, "record_heartbeat", None)
    if record:
        record(trial._trial_id)


def void(trial: optuna.Trial) -> None:
    """End a trial that nobody trains, so that it counts for nothing."""
    trial.set_user_attr(VOID, True)
    trial.study.tell(trial, state=TrialState.FAIL)


def process_here(pid: int | None = None) -> tuple[str, int, float]:
    """What names a process of any machine for good.

    The machine with its start, the process's number, and the process's start in seconds.
    """
    process = psutil.Process(pid)
    return f"{socket.gethostname()}/{psutil.boot_time():.0f}", process.pid, process.create_time()


def open_mark(tuner: int) -> str:
    """User attribute of a study that a tuner has opened to its workers.

    What an earlier run left there is then up to date. tuner: its process's number.
    """
    host, pid, started = process_here(tuner)
    return f"slipway_open/{host}/{pid}/{started:.2f}"


def requeue_orphans(study: optuna.Study, no_owner_s: float = NO_OWNER_S) -> list[str]:
    """Free the trials whose processes on this machine are gone, to be done again with the same
    values; their names.

    A trial that took its process with it MOST_LOST times has failed. For other machines' trials, a
    database's heartbeat decides.
    """
    if hasattr(study._storage, "record_heartbeat"):  # Optuna wraps a database's storage
        optuna.storages.fail_stale_trials(study)
    lost = []
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        if _is_orphan(trial, no_owner_s) and give_up(study, trial):
            lost.append(trial.user_attrs.get(NAME, f"trial {trial.number}"))
    return lost


def _is_orphan(trial: FrozenTrial, no_owner_s: float) -> bool:
    owner = trial.user_attrs.get(OWNER)
    if owner is not None:
        return not _alive(owner)
    started = trial.datetime_start
    if started is None:
        return True
    waited = datetime.now() - started
    return waited.total_seconds() >= no_owner_s


def requeue_silent(study: optuna.Study, trial: FrozenTrial) -> None:
    """Queue a trial again whose machine has fallen silent. Optuna has ended it.

    The new one has no owner: it is this one's, until it is taken.
    """
    attributes = trial.user_attrs
    params = trial.system_attrs.get(QUEUED, {}) | trial.params
    if REASON in attributes or not params:
        return
    kept = {LOST: attributes.get(LOST, 0)}
    if NAME in attributes:
        kept[NAME] = attributes[NAME]
    study.enqueue_trial(params, user_attrs=kept)


def give_up(study: optuna.Study, trial: FrozenTrial, blame: bool = True) -> bool:
    """End a trial that did not come to its end, and queue it again.

    False when another process was quicker. blame: it may be the trial's own fault.
    """
    attributes = trial.user_attrs
    times = attributes.get(LOST, 0) + blame
    # A process may be killed before it has taken all that was queued for it.
    params = trial.system_attrs.get(QUEUED, {}) | trial.params
    kept = {LOST: times}
    if NAME in attributes:
        kept[NAME] = attributes[NAME]
    try:
        if times >= MOST_LOST and REASON not in attributes:
            reason = (
                f"its process was killed {times} times as it ran, most likely for lack of memory"
            )
            study._storage.set_trial_user_attr(trial._trial_id, REASON, reason)
        elif REASON not in attributes and params and not _queued(study, params, kept):
            # Before its place is free, lest another trial takes that.
            study.enqueue_trial(params, user_attrs=kept)
        study.tell(trial.number, state=TrialState.FAIL)
    except (ValueError, optuna.exceptions.UpdateFinishedTrialError):
        return False
    return True


def _queued(study: optuna.Study, params: dict[str, object], marks: dict[str, object]) -> bool:
    """Whether a process that was killed over it had queued the trial already."""
    for trial in study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
        if trial.system_attrs.get(QUEUED) == params and trial.user_attrs == marks:
            return True
    return False


def _alive(owner: tuple[str, int, float]) -> bool:
    host, pid, started = owner
    if host != process_here()[0]:
        return True  # another machine's trials are not judged here
    try:
        process = psutil.Process(pid)
        same = abs(process.create_time() - started) < SAME_START_S
        return same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def form(study: optuna.Study, tuning: Tuning, status: str) -> TuningJob:
    """The tuning job as table and page read it."""
    begun = [trial for trial in counted(study) if TEXTS in trial.user_attrs]
    begun.sort(key=lambda trial: trial.datetime_start or datetime.max)
    found = job_of(tuning, status, tuple(_form(trial, tuning) for trial in begun))
    return replace(found, spent_s=round(spent_s(study), 1))


def _form(trial: FrozenTrial, tuning: Tuning) -> Trial:
    curve = curve_of(trial)
    objective = None
    if trial.state != TrialState.FAIL:
        objective = best_value(curve, tuning.objective.direction)
    return Trial(
        name=trial.user_attrs[NAME],
        status=STATUS[trial.state],
        hyperparameters=trial.user_attrs[TEXTS],
        tuned=tuple(entry.name for entry in tuning.ranges),
        objective=objective,
        curve=curve,
        reason=trial.user_attrs.get(REASON, ""),
        started=_moment(trial.datetime_start),
        ended=_moment(trial.datetime_complete),
    )


def _moment(when: datetime | None) -> str | None:
    if when is None:
        return None
    return when.astimezone().isoformat(timespec="milliseconds")
