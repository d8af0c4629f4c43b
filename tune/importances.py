"""How much each searched hyperparameter mattered for a good objective, by Optuna's PED-ANOVA.

It measures how much the best trials' values of a hyperparameter differ from those of all trials, in
the ranges that were tried (Watanabe et al., IJCAI 2023). It knows no causes: values that were tried
seldom, or together with something else, look alike.
"""

import warnings
from typing import TYPE_CHECKING

from tune.ranking import Ranking, number
from tune.scales import Scale, scale_of

if TYPE_CHECKING:  # optuna takes a second to load, and a table needs none of it
    from optuna.distributions import BaseDistribution

FEWEST = 10  # trials: half of them are the best five, which the method asks for
BEST_FEWEST = 5  # trials that count as the best
BEST_SHARE = 0.1  # of all trials, where that is more

Row = tuple[dict[str, float | str], float]  # a trial's hyperparameters, and its objective


def importances(ranking: Ranking) -> tuple[dict[str, float], str]:
    """Shares by hyperparameter, the largest first, 1 in all.

    Empty, with a sentence that says why, when they cannot be computed.
    """
    scales = {name: scale_of(ranking, name) for name in ranking.columns}
    rows = _rows(ranking, scales)
    if not scales:
        return {}, "Nothing was searched."
    if len(rows) < FEWEST:
        have = "trials have"
        if len(rows) == 1:
            have = "trial has"
        needed = f"{FEWEST} or more are needed to see what mattered."
        return {}, f"{len(rows)} {have} a value: {needed}"
    if len({value for _, value in rows}) == 1:
        return {}, "All trials have the same objective: nothing mattered."
    shares = _evaluate(rows, scales, ranking.last.direction)
    whole = sum(shares.values())
    if not whole > 0:
        return {}, "The best trials' hyperparameters do not differ from the others'."
    largest_first = sorted(shares, key=shares.__getitem__, reverse=True)
    return {name: shares[name] / whole for name in largest_first}, ""


def _rows(ranking: Ranking, scales: dict[str, Scale]) -> list[Row]:
    """The trials that ended, compare with the last job's, and have every hyperparameter."""
    rows: list[Row] = []
    for entry in ranking.ranked:
        compares = ranking.comparable or entry.job is ranking.last
        if not entry.ended or not compares:
            continue
        values: dict[str, float | str] = {}
        for name, scale in scales.items():
            value = _value(entry.setting(name), scale)
            if value is not None:
                values[name] = value
        if len(values) == len(scales):
            rows.append((values, entry.score))
    return rows


def _value(text: str, scale: Scale) -> float | str | None:
    if not scale.categories:
        return number(text)
    if text not in scale.categories:
        return None
    return text


def _evaluate(rows: list[Row], scales: dict[str, Scale], direction: str) -> dict[str, float]:
    import optuna
    from optuna.study import StudyDirection

    distributions = {name: _distribution(scale) for name, scale in scales.items()}
    trials = [
        optuna.trial.create_trial(params=values, distributions=distributions, value=value)
        for values, value in rows
    ]
    share = max(BEST_SHARE, BEST_FEWEST / len(rows))  # a half at most: see FEWEST
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        with warnings.catch_warnings():
            # Its own about equal shares; importances() has a sentence for them.
            warnings.simplefilter("ignore")
            study = optuna.create_study(direction=StudyDirection[direction.upper()])
            study.add_trials(trials)
            evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=share)
            return optuna.importance.get_param_importances(
                study,
                evaluator=evaluator,
                normalize=False,  # Optuna divides by a sum that may be 0
            )
    finally:
        optuna.logging.set_verbosity(verbosity)


def _distribution(scale: Scale) -> "BaseDistribution":
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    if scale.categories:
        return CategoricalDistribution(scale.categories)
    by_ratio = scale.name == "Logarithmic"
    return FloatDistribution(scale.low, scale.high, log=by_ratio)
