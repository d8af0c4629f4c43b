"""What a searched hyperparameter's values look like over all jobs of a chain: a range with its scale, or categories."""

from dataclasses import dataclass

from tune.ranking import Ranking, number

WIDE = 1000  # times its low end: from there on a range of SageMaker's own choice is shown on a logarithmic scale


@dataclass(frozen=True)
class Scale:
    """name: Linear, Logarithmic or ReverseLogarithmic, over low to high; or Categorical, with the categories in order."""

    name: str
    low: float = 0.0
    high: float = 0.0
    categories: tuple[str, ...] = ()


def scale_of(ranking: Ranking, name: str) -> Scale:
    """The scale that holds every job's range and every value tried of the hyperparameter. Categories where a value is no number."""
    searches = [job.ranges[name] for job in ranking.jobs if name in job.ranges]
    tried = [text for entry in ranking.entries if (text := entry.setting(name)) != ""]
    values = [number(text) for text in tried]
    ends = [
        number(str(search.get(end)))
        for search in searches
        for end in ("min", "max")
        if search.get("type") != "Categorical"
    ]
    if (
        any(search.get("type") == "Categorical" for search in searches)
        or None in values
        or None in ends
        or not values + ends
    ):
        listed = [str(value) for search in searches for value in search.get("values", ())]
        return Scale("Categorical", categories=_in_order([*listed, *tried]))
    if not searches:
        return Scale("Categorical", categories=_in_order(tried))
    low, high = min(values + ends), max(values + ends)
    asked = {str(search.get("scale")) for search in searches}
    if low > 0 and ("Logarithmic" in asked or ("Auto" in asked and high > WIDE * low)):
        return Scale("Logarithmic", low, high)
    if "ReverseLogarithmic" in asked and low >= 0 and high < 1:
        return Scale("ReverseLogarithmic", low, high)
    return Scale("Linear", low, high)


def _in_order(texts: list[str]) -> tuple[str, ...]:
    """Each once: numbers by size, all else as it came."""
    once = list(dict.fromkeys(texts))
    numbers = [number(text) for text in once]
    return tuple(once) if None in numbers else tuple(sorted(once, key=float))
