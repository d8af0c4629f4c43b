"""The scale of a searched hyperparameter over all jobs of a chain: a range, or categories."""

from dataclasses import dataclass

from tune.ranking import Ranking, number

# Times its low end: from there on a range with scale Auto is shown on a logarithmic scale.
WIDE = 1000


@dataclass(frozen=True)
class Scale:
    """name: Linear, Logarithmic or ReverseLogarithmic, from low to high; or Categorical, with the
    categories in order."""

    name: str
    low: float = 0.0
    high: float = 0.0
    categories: tuple[str, ...] = ()


def scale_of(ranking: Ranking, name: str) -> Scale:
    """The scale that holds every job's range and every tried value of the hyperparameter.

    Categories where a value is not a number.
    """
    searches = [job.ranges[name] for job in ranking.jobs if name in job.ranges]
    settings = [entry.setting(name) for entry in ranking.entries]
    tried = [text for text in settings if text != ""]
    numeric = [search for search in searches if search.get("type") != "Categorical"]
    ends: list[str] = []
    for search in numeric:
        ends += [str(search.get("min")), str(search.get("max"))]
    values = _numbers([*tried, *ends])
    if len(numeric) < len(searches) or not values:
        listed: list[str] = []
        for search in searches:
            listed += map(str, search.get("values", ()))
        return Scale("Categorical", categories=_in_order([*listed, *tried]))
    if not searches:
        return Scale("Categorical", categories=_in_order(tried))
    low = min(values)
    high = max(values)
    asked = {str(search.get("scale")) for search in searches}
    wide = "Auto" in asked and high > WIDE * low  # SageMaker does not say what Auto chose
    if low > 0 and ("Logarithmic" in asked or wide):
        return Scale("Logarithmic", low, high)
    if "ReverseLogarithmic" in asked and low >= 0 and high < 1:
        return Scale("ReverseLogarithmic", low, high)
    return Scale("Linear", low, high)


def _numbers(texts: list[str]) -> list[float]:
    """The texts as numbers; none where one of them is not a number."""
    values = []
    for text in texts:
        value = number(text)
        if value is None:
            return []
        values.append(value)
    return values


def _in_order(texts: list[str]) -> tuple[str, ...]:
    """Each once: numbers by size, all else in the order of its appearance."""
    once = list(dict.fromkeys(texts))
    if _numbers(once):
        once.sort(key=float)
    return tuple(once)
