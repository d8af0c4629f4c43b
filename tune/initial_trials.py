"""The trials that a new study begins with: those to do first, and those of a study that is gone.

Results outlive the study's file: where a cleaner of temporary files took it, its trials come from
the results that stand beside it.
"""

from collections.abc import Mapping
from datetime import datetime

from optuna.trial import FrozenTrial, TrialState, create_trial

from recipes.tuning import Tuning
from tune.configurations import configurations
from tune.errors import SearchError
from tune.results import Trial, TuningJob, job_of
from tune.stored_values import stored_distributions, stored_params
from tune.trial_states import NAME, QUEUED, REASON, STATUS, TEXTS, VOID

STATES = {status: state for state, status in STATUS.items()}
# The parts that make two results those of one search
SAME = ("objective", "direction", "strategy", "ranges", "static", "parents", "warm_start")


def check_same_search(tuning: Tuning, kept: TuningJob) -> None:
    """SearchError when results of this name are of another search."""
    ours = job_of(tuning)
    other = [name for name in SAME if getattr(kept, name) != getattr(ours, name)]
    if other:
        raise SearchError(
            f"the results of tuning job {tuning.name} are of another search: "
            f"its {' and '.join(other)} differ; name another --out, or remove tuning.json"
        )


def initial_trials(
    tuning: Tuning, first: Mapping[str, str] | None, kept: TuningJob | None
) -> list[FrozenTrial]:
    """A new study's trials, in order.

    first: the values that the first trial takes. kept: results of a study that is gone. Each of
    its trials gets the number again that it had, so that no later one draws the same.
    """
    left = _by_number(tuning, kept)
    done = [_params(tuning, trial) for trial in left.values()]
    queued = [params for params in _to_do_first(tuning, first) if params not in done]
    trials = []
    for number in range(1, max(left, default=0) + 1):
        if number in left:
            trials.append(_as_it_was(tuning, left[number]))
        elif queued:
            trials.append(_waiting(queued.pop(0)))
        else:
            trials.append(create_trial(state=TrialState.FAIL, user_attrs={VOID: True}))
    return trials + [_waiting(params) for params in queued]


def _to_do_first(tuning: Tuning, first: Mapping[str, str] | None) -> list[dict[str, object]]:
    """The values of the trials that need no sampler: a grid's, or the one that goes first."""
    texts: list[Mapping[str, str]] = []
    if tuning.strategy == "Grid":
        texts += sorted(configurations(tuning), key=lambda one: one != first)
    elif first:
        texts.append(first)
    return [dict(stored_params(tuning, one)) for one in texts]


def _by_number(tuning: Tuning, kept: TuningJob | None) -> dict[int, Trial]:
    """The trials that are kept, by the number in their names, from 1."""
    if kept is None:
        return {}
    found = {}
    for trial in kept.trials:
        number = trial.name.removeprefix(f"{tuning.name}-")
        holds = all(
            entry.holds(trial.hyperparameters.get(entry.name, "")) for entry in tuning.ranges
        )
        if number.isdecimal() and int(number) and holds:
            found[int(number)] = trial
    return found


def _params(tuning: Tuning, trial: Trial) -> dict[str, object]:
    return dict(stored_params(tuning, trial.hyperparameters))


def _waiting(params: Mapping[str, object], name: str = "") -> FrozenTrial:
    """A trial in the queue. name: where it was begun before."""
    attributes = {NAME: name} if name else {}
    return create_trial(
        state=TrialState.WAITING, system_attrs={QUEUED: dict(params)}, user_attrs=attributes
    )


def _as_it_was(tuning: Tuning, trial: Trial) -> FrozenTrial:
    """A trial that ended, as it ended. One that ran is to be done again."""
    if trial.status == "InProgress":
        return _waiting(_params(tuning, trial), trial.name)
    state = STATES[trial.status]
    attributes: dict[str, object] = {NAME: trial.name, TEXTS: trial.hyperparameters}
    if trial.reason or state == TrialState.FAIL:
        attributes[REASON] = trial.reason
    found: FrozenTrial = create_trial(
        state=state,
        value=None if state == TrialState.FAIL else trial.objective,
        params=_params(tuning, trial),
        distributions=stored_distributions(tuning),
        intermediate_values=dict(enumerate(trial.curve, start=1)),
        user_attrs=attributes,
    )
    found.datetime_start = _moment(trial.started) or found.datetime_start
    found.datetime_complete = _moment(trial.ended) or found.datetime_complete
    return found


def _moment(text: str | None) -> datetime | None:
    """A time of the results as the study has it: of this machine's zone, without a name."""
    if not text:
        return None
    return datetime.fromisoformat(text).astimezone().replace(tzinfo=None)
