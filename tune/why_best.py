"""Why a trial is the best of a search, in sentences."""

from tune.ranking import Entry, Ranking, counted_trials, short

MOST_NAMED = 4  # hyperparameters in which the best and the next differ


def why_best(ranking: Ranking) -> list[str]:
    """The sentences; none without a best."""
    best = ranking.best
    if best is None:
        return []
    rivals = [
        entry
        for entry in ranking.ranked
        if entry.ended and (ranking.comparable or entry.job is ranking.last)
    ]
    sentences = [_first(ranking, best, len(rivals)), *_when(best)]
    others = [entry for entry in rivals if entry is not best]
    if others:
        sentences += _against(ranking, best, others)
    leading = ranking.ranked[0]
    if not leading.ended and _better(ranking, leading.score, best.score):
        sentences.append(
            f"{leading.trial.name} still runs, and has {leading.score:.6g}: it counts once it ends."
        )
    return sentences


def _first(ranking: Ranking, best: Entry, count: int) -> str:
    most = "highest" if ranking.last.direction == "Maximize" else "lowest"
    found = f"{best.trial.name} has the {most} {ranking.last.objective}, {best.score:.6g}"
    if count == 1:
        return f"{found}. It is the only trial that ended with a value."
    return f"{found}, of {counted_trials(count)} that ended with a value."


def _when(best: Entry) -> list[str]:
    """Where on its curve the value stands."""
    curve = best.trial.curve
    if len(curve) < 2 or best.score not in curve:
        return []
    place = curve.index(best.score) + 1
    return [f"Of the {len(curve)} values that it printed, this is number {place}."]


def _against(ranking: Ranking, best: Entry, others: list[Entry]) -> list[str]:
    """How it stands to the next one, and in what the two differ."""
    equal = [entry for entry in others if entry.score == best.score]
    if equal:
        them = "Another trial has" if len(equal) == 1 else f"{len(equal)} other trials have"
        return [f"{them} the same value; of equal ones the first to start counts."]
    following = others[0]
    less = "more" if best.score < following.score else "less"
    gap = abs(best.score - following.score)
    sentence = f"The next, {following.trial.name}, has {following.score:.6g}, {gap:.3g} {less}"
    different = [
        f"{name} {short(following.setting(name)) or 'none'} in place of "
        f"{short(best.setting(name)) or 'none'}"
        for name in ranking.columns
        if following.setting(name) != best.setting(name)
    ]
    if not different:
        return [f"{sentence}, with the same hyperparameters."]
    named = ", ".join(different[:MOST_NAMED])
    more = len(different) - MOST_NAMED
    tail = f", and {more} more" if more > 0 else ""
    return [f"{sentence}; it ran with {named}{tail}."]


def _better(ranking: Ranking, value: float, other: float) -> bool:
    if ranking.last.direction == "Maximize":
        return value > other
    return value < other
