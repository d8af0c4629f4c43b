"""The ranges that a tuning job searches, with SageMaker's own rules for them. Pure: no torch, no Optuna, nothing of train."""

import math
from dataclasses import dataclass

SCALES = ("Auto", "Linear", "Logarithmic", "ReverseLogarithmic")
MOST_VALUES = 30  # of a categorical range
NAME_LENGTH, VALUE_LENGTH = 256, 2500  # characters of a hyperparameter
AUTO_RATIO = 100  # SageMaker keeps its choice of a scale to itself; ours is logarithmic from this ratio of the ends on


class SearchError(ValueError):
    """Why a search cannot be: one sentence for the user, who can mend it."""


@dataclass(frozen=True)
class Continuous:
    """Numbers between two ends, both included."""

    name: str
    low: float
    high: float
    scale: str = "Auto"

    kind = "Continuous"

    def __post_init__(self):
        _check_ends(self)
        if self.scale == "ReverseLogarithmic" and not 0 <= self.low < self.high < 1:
            raise SearchError(
                f"range of {self.name}: ReverseLogarithmic needs ends of at least 0 and below 1; found {self.low:g} to {self.high:g}"
            )

    def holds(self, text: str) -> bool:
        """Whether a value lies within."""
        value = number(text)
        return value is not None and self.low <= value <= self.high

    def form(self) -> dict:
        """As tune.results has it."""
        return {"type": self.kind, "min": self.low, "max": self.high, "scale": self.scale}

    def request(self) -> dict:
        """As CreateHyperParameterTuningJob has it."""
        return {
            "Name": self.name,
            "MinValue": f"{self.low!r}",
            "MaxValue": f"{self.high!r}",
            "ScalingType": self.scale,
        }

    def logarithmic(self) -> bool:
        """Whether the search steps by ratios; Auto does where the ends lie far apart."""
        return (
            self.scale == "Logarithmic"
            or self.scale == "Auto"
            and self.low > 0
            and self.high / self.low >= AUTO_RATIO
        )


@dataclass(frozen=True)
class Integer(Continuous):
    """Whole numbers between two ends, both included."""

    low: int
    high: int

    kind = "Integer"

    def __post_init__(self):
        for end in (self.low, self.high):
            if end != int(end):
                raise SearchError(
                    f"range of {self.name}: an Integer range needs whole numbers; found {end:g}"
                )
        if self.scale == "ReverseLogarithmic":
            raise SearchError(
                f"range of {self.name}: ReverseLogarithmic is for Continuous ranges only, this one is Integer"
            )
        _check_ends(self)

    def holds(self, text: str) -> bool:
        value = number(text)
        return value is not None and value == int(value) and self.low <= value <= self.high


@dataclass(frozen=True)
class Categorical:
    """One of some texts."""

    name: str
    values: tuple[str, ...]

    kind = "Categorical"

    def __post_init__(self):
        if not 1 <= len(self.values) <= MOST_VALUES:
            raise SearchError(
                f"range of {self.name}: a Categorical range has 1 to {MOST_VALUES} values; found {len(self.values)}"
            )
        if len(set(self.values)) < len(self.values):
            raise SearchError(
                f"range of {self.name}: a value stands there twice; found {', '.join(self.values)}"
            )
        for value in self.values:
            check_text(self.name, value)

    def holds(self, text: str) -> bool:
        """Whether a value is one of them."""
        return text in self.values

    def form(self) -> dict:
        """As tune.results has it."""
        return {"type": self.kind, "values": list(self.values)}

    def request(self) -> dict:
        """As CreateHyperParameterTuningJob has it."""
        return {"Name": self.name, "Values": list(self.values)}


Range = Continuous | Integer | Categorical


def read_range(name: str, entry: object) -> Range:
    """A range from its YAML: {values: [...]}, or {min, max} with a type, Continuous or Integer, and a scale. SearchError when it is none."""
    check_name(name)
    if isinstance(entry, list):
        entry = {"values": entry}
    if not isinstance(entry, dict):
        raise SearchError(f"range of {name}: expected min and max, or values; found {entry!r}")
    if "values" in entry:
        _check_keys(name, entry, {"type", "values"})
        _one_of(name, "type", entry.get("type", "Categorical"), ("Categorical",))
        if not isinstance(entry["values"], list):
            raise SearchError(f"range of {name}: values must be a list; found {entry['values']!r}")
        return Categorical(name, tuple(text_of(name, value) for value in entry["values"]))
    _check_keys(name, entry, {"type", "min", "max", "scale"})
    if missing := {"type", "min", "max"} - entry.keys():
        raise SearchError(
            f"range of {name}: {' and '.join(sorted(missing))} missing; a range is type, min, max and scale, or values"
        )
    kind = _one_of(name, "type", entry["type"], ("Continuous", "Integer"))
    scale = _one_of(name, "scale", entry.get("scale", "Auto"), SCALES)
    ends = [number(entry[end]) for end in ("min", "max")]
    if None in ends:
        raise SearchError(
            f"range of {name}: min and max must be numbers; found {entry['min']!r} and {entry['max']!r}"
        )
    if kind == "Continuous":
        return Continuous(name, *ends, scale)
    return Integer(name, *(int(end) if end == int(end) else end for end in ends), scale)


def text_of(name: str, value: object) -> str:
    """A hyperparameter's value from YAML as the text that SageMaker takes. SearchError for what is no single value."""
    if isinstance(value, bool):
        return str(value).lower()
    if (
        isinstance(value, list)
        and value
        and all(isinstance(part, (int, float, str)) for part in value)
    ):
        return ",".join(map(str, value))
    if not isinstance(value, (str, int, float)):
        raise SearchError(
            f"hyperparameter {name}: a value must be a text, a number, true or false; found {value!r}"
        )
    return check_text(name, str(value))


def check_name(name: object) -> str:
    """A hyperparameter's name. SearchError when SageMaker would not take it."""
    if not isinstance(name, str) or not 1 <= len(name) <= NAME_LENGTH:
        raise SearchError(
            f"a hyperparameter's name is a text of 1 to {NAME_LENGTH} characters; found {str(name)[:40]!r}"
        )
    return name


def check_text(name: str, text: str) -> str:
    """A hyperparameter's value. SearchError when SageMaker would not take it."""
    if len(text) > VALUE_LENGTH:
        raise SearchError(
            f"hyperparameter {name}: a value has at most {VALUE_LENGTH} characters; found {len(text)}"
        )
    return text


def number(text: object) -> float | None:
    """A finite number, or None; YAML reads 1e-3 as a text, so texts are taken, too."""
    try:
        value = float(text) if not isinstance(text, bool) else math.nan
    except (TypeError, ValueError):
        return None
    return value if math.isfinite(value) else None


def _check_ends(entry: Continuous) -> None:
    if not entry.low < entry.high:
        raise SearchError(
            f"range of {entry.name} is empty: min {entry.low:g} must be below max {entry.high:g}"
        )
    if entry.scale == "Logarithmic" and entry.low <= 0:
        raise SearchError(
            f"range of {entry.name}: Logarithmic needs ends above 0; found {entry.low:g} to {entry.high:g}"
        )


def _check_keys(name: str, entry: dict, known: set[str]) -> None:
    if unknown := [str(key) for key in entry if key not in known]:
        raise SearchError(
            f"range of {name}: '{unknown[0]}' is unknown; known: {', '.join(sorted(known))}"
        )


def _one_of(name: str, what: str, found: object, known: tuple[str, ...]) -> str:
    """The word as SageMaker writes it, however it is cased."""
    for word in known:
        if str(found).lower() == word.lower():
            return word
    raise SearchError(f"range of {name}: {what} must be one of {', '.join(known)}; found '{found}'")
