"""How much each searched hyperparameter mattered for a good objective: Optuna's PED-ANOVA (IJCAI 2023), which needs no other library.

It asks how much the best trials' values of a hyperparameter differ from those of all trials, in the ranges that were tried. It says nothing of
causes: what a search tried seldom, or together with something else, it cannot tell apart.
"""

import warnings

from tune.ranking import Ranking, number
from tune.scales import Scale, scale_of

FEWEST = 10  # trials: half of them are the best five, which the method asks for
BEST_FEWEST, BEST_SHARE = 5, 0.1


def importances(ranking: Ranking) -> tuple[dict[str, float], str]:
    """Shares by hyperparameter, the largest first, 1 in all; empty with a sentence that says why there are none."""
    ended = [
        entry
        for entry in ranking.told
        if entry.ended and (ranking.comparable or entry.job is ranking.last)
    ]
    scales = {name: scale_of(ranking, name) for name in ranking.columns}
    rows = [
        (entry, values)
        for entry in ended
        if None
        not in (
            values := {name: _value(entry.setting(name), scale) for name, scale in scales.items()}
        ).values()
    ]
    if not scales:
        return {}, "Nothing was searched."
    if len(rows) < FEWEST:
        return (
            {},
            f"{len(rows)} trial{' has' if len(rows) == 1 else 's have'} a value: {FEWEST} or more are needed to tell what mattered.",
        )
    if len({entry.value for entry, _ in rows}) == 1:
        return {}, "All trials have the same objective: nothing mattered."
    shares = _evaluate(
        [(values, entry.value) for entry, values in rows], scales, ranking.last.direction
    )
    whole = sum(shares.values())
    if not whole > 0:
        return {}, "The best trials' hyperparameters do not differ from the others'."
    return dict(
        sorted(((name, share / whole) for name, share in shares.items()), key=lambda pair: -pair[1])
    ), ""


def _value(text: str, scale: Scale) -> float | str | None:
    if scale.categories:
        return text if text in scale.categories else None
    return number(text)


def _evaluate(
    rows: list[tuple[dict, float]], scales: dict[str, Scale], direction: str
) -> dict[str, float]:
    import optuna
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    distributions = {
        name: CategoricalDistribution(scale.categories)
        if scale.categories
        else FloatDistribution(scale.low, scale.high, log=scale.name == "Logarithmic")
        for name, scale in scales.items()
    }
    trials = [
        optuna.trial.create_trial(params=values, distributions=distributions, value=value)
        for values, value in rows
    ]
    share = min(0.5, max(BEST_SHARE, BEST_FEWEST / len(rows)))
    loud = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # of its own about equal shares, which end in a sentence above
            study = optuna.create_study(direction=direction.lower())
            study.add_trials(trials)
            evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=share)
            return optuna.importance.get_param_importances(
                study, evaluator=evaluator, normalize=False
            )
    finally:
        optuna.logging.set_verbosity(loud)
