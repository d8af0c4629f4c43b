"""Hyperparameters in a study's form: their names, ranges and values, and back to texts."""

from collections.abc import Mapping

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from recipes.ranges import Categorical, Continuous, Integer, Range
from recipes.tuning import Tuning

Distribution = CategoricalDistribution | FloatDistribution | IntDistribution


def stored_params(tuning: Tuning, texts: Mapping[str, str]) -> dict[str, float | int | str]:
    """The tuned hyperparameters of a training, as its trial in the study has them."""
    return {stored_name(entry): to_stored(entry, texts[entry.name]) for entry in tuning.ranges}


def stored_distributions(tuning: Tuning) -> dict[str, BaseDistribution]:
    """The ranges of a tuning job, by their names in the study."""
    return {stored_name(entry): distribution(entry) for entry in tuning.ranges}


def stored_name(entry: Range) -> str:
    """A hyperparameter's name in the study.

    One that is searched in reverse is kept, and named, as its distance from 1.
    """
    if _reversed(entry):
        return f"1-{entry.name}"
    return entry.name


def distribution(entry: Range) -> Distribution:
    """Optuna's form of a range."""
    if isinstance(entry, Categorical):
        return CategoricalDistribution(entry.values)
    if isinstance(entry, Integer):
        return IntDistribution(entry.low, entry.high, log=entry.logarithmic())
    if _reversed(entry):
        return FloatDistribution(1 - entry.high, 1 - entry.low, log=True)
    return FloatDistribution(entry.low, entry.high, log=entry.logarithmic())


def to_stored(entry: Range, text: str) -> float | int | str:
    """A hyperparameter's text as the study keeps it."""
    if isinstance(entry, Categorical):
        return text
    if isinstance(entry, Integer):
        return int(float(text))
    if not _reversed(entry):
        return float(text)
    # 1 - x of the ends is rounded: within the distribution, or Optuna refuses the value.
    return min(max(1 - float(text), 1 - entry.high), 1 - entry.low)


def to_text(entry: Range, value: float | int | str) -> str:
    """A value of the study, as a hyperparameter's text."""
    if isinstance(entry, Categorical | Integer):
        return str(value)
    number = float(value)
    if _reversed(entry):
        number = min(max(1 - number, entry.low), entry.high)
    return repr(number)


def _reversed(entry: Range) -> bool:
    return isinstance(entry, Continuous) and entry.scale == "ReverseLogarithmic"
