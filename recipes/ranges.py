"""The ranges that a tuning job searches, with SageMaker's own rules for them."""

from collections.abc import Mapping
from dataclasses import dataclass

from recipes.errors import RecipeError
from recipes.sections import check_names
from recipes.suggestion import hint
from recipes.values import number, quoted, text_of

SCALES = ("Auto", "Linear", "Logarithmic", "ReverseLogarithmic")
# SageMaker's limits: ParameterRange and HyperParameterValue of its API,
# docs.aws.amazon.com/sagemaker/latest/APIReference/API_CategoricalParameterRange.html
MOST_VALUES = 30  # of a categorical range
NAME_LENGTH = 256  # characters of a hyperparameter's name
VALUE_LENGTH = 2500  # characters of a hyperparameter's value
CATEGORICAL_KEYS = {
    "type": "`Categorical`; may be left out",
    "values": "the values, as a list. A list alone in place of the range means the same",
}
NUMERIC_KEYS = {
    "type": "`Continuous` or `Integer`",
    "min": "lowest value",
    "max": "highest value",
    "scale": "`Auto`, `Linear`, `Logarithmic` or `ReverseLogarithmic`; `Auto` where not given",
}
# SageMaker does not publish how Auto chooses a scale. Ours is logarithmic from this ratio of the
# ends on.
AUTO_RATIO = 100


@dataclass(frozen=True)
class Continuous:
    """Numbers between two ends, both included."""

    name: str
    low: float
    high: float
    scale: str = "Auto"

    kind = "Continuous"

    def __post_init__(self) -> None:
        _check_ends(self)
        # A reverse logarithmic scale is the logarithm of the distance to 1.
        if self.scale == "ReverseLogarithmic" and not 0 <= self.low < self.high < 1:
            raise RecipeError(
                f"range of {self.name}: ReverseLogarithmic needs ends of at least 0 and below 1; "
                f"found {self.low:g} to {self.high:g}"
            )

    def holds(self, text: str) -> bool:
        """Whether a value lies within."""
        value = number(text)
        return value is not None and self.low <= value <= self.high

    def form(self) -> dict[str, object]:
        """The range as files of tuning results hold it."""
        return {"type": self.kind, "min": self.low, "max": self.high, "scale": self.scale}

    def request(self) -> dict[str, object]:
        """As CreateHyperParameterTuningJob has it."""
        return {
            "Name": self.name,
            "MinValue": f"{self.low!r}",  # the API takes texts; repr loses no digit
            "MaxValue": f"{self.high!r}",
            "ScalingType": self.scale,
        }

    def logarithmic(self) -> bool:
        """Whether the search steps by ratios; Auto does where the ends lie far apart."""
        if self.scale != "Auto":
            return self.scale == "Logarithmic"
        return self.low > 0 and self.high / self.low >= AUTO_RATIO


@dataclass(frozen=True)
class Integer(Continuous):
    """Whole numbers between two ends, both included."""

    low: int
    high: int

    kind = "Integer"

    def __post_init__(self) -> None:
        if self.scale == "ReverseLogarithmic":
            raise RecipeError(
                f"range of {self.name}: ReverseLogarithmic is for Continuous ranges only, "
                "this one is Integer"
            )
        _check_ends(self)

    def holds(self, text: str) -> bool:
        """Whether a value is whole and lies within."""
        value = number(text)
        return value is not None and value == int(value) and self.low <= value <= self.high


@dataclass(frozen=True)
class Categorical:
    """One of some texts."""

    name: str
    values: tuple[str, ...]

    kind = "Categorical"

    def __post_init__(self) -> None:
        if not 1 <= len(self.values) <= MOST_VALUES:
            raise RecipeError(
                f"range of {self.name}: a Categorical range has 1 to {MOST_VALUES} values; "
                f"found {len(self.values)}"
            )
        # 1 and 1.0 would be one training twice.
        if len({_as_number(value) for value in self.values}) < len(self.values):
            raise RecipeError(
                f"range of {self.name}: a value stands there twice; found {', '.join(self.values)}"
            )
        for value in self.values:
            check_length(self.name, value)

    def holds(self, text: str) -> bool:
        """Whether a value is one of them."""
        return text in self.values

    def form(self) -> dict[str, object]:
        """The range as files of tuning results hold it."""
        return {"type": self.kind, "values": list(self.values)}

    def request(self) -> dict[str, object]:
        """As CreateHyperParameterTuningJob has it."""
        return {"Name": self.name, "Values": list(self.values)}


Range = Continuous | Integer | Categorical


def read_range(name: object, entry: object) -> Range:
    """A range from its YAML: {values: [...]}, or {type, min, max, scale}. RecipeError for others.

    A list alone is taken for values. type: Continuous or Integer.
    """
    known_name = check_name(name)
    if isinstance(entry, list):
        return _categorical(known_name, {"values": entry})
    if not isinstance(entry, dict):
        raise RecipeError(
            f"range of {known_name}: expected min and max, or values; found {quoted(entry)}"
        )
    if "values" in entry:
        return _categorical(known_name, entry)
    return _numeric(known_name, entry)


def _categorical(name: str, entry: Mapping[str, object]) -> Categorical:
    check_names(entry, CATEGORICAL_KEYS, f"range of {name}")
    one_of(f"range of {name}: type", entry.get("type", "Categorical"), ("Categorical",))
    values = entry["values"]
    if not isinstance(values, list):
        raise RecipeError(f"range of {name}: values must be a list; found {quoted(values)}")
    texts = [text_of(value, f"range of {name}: a value") for value in values]
    return Categorical(name, tuple(texts))


def _numeric(name: str, entry: Mapping[str, object]) -> Continuous | Integer:
    check_names(entry, NUMERIC_KEYS, f"range of {name}")
    missing = [key for key in ("max", "min", "type") if key not in entry]
    if missing:
        raise RecipeError(
            f"range of {name}: {' and '.join(missing)} missing; "
            "a range is type, min, max and scale, or values"
        )
    kind = one_of(f"range of {name}: type", entry["type"], ("Continuous", "Integer"))
    scale = one_of(f"range of {name}: scale", entry.get("scale", "Auto"), SCALES)
    low = number(entry["min"])
    high = number(entry["max"])
    if low is None or high is None:
        raise RecipeError(
            f"range of {name}: min and max must be numbers; "
            f"found {quoted(entry['min'])} and {quoted(entry['max'])}"
        )
    if kind == "Continuous":
        return Continuous(name, low, high, scale)
    for end in (low, high):
        if end != int(end):
            raise RecipeError(
                f"range of {name}: an Integer range needs whole numbers; found {end:g}"
            )
    return Integer(name, int(low), int(high), scale)


def check_name(name: object) -> str:
    """A hyperparameter's name. RecipeError when SageMaker would not take it."""
    if not isinstance(name, str) or not 1 <= len(name) <= NAME_LENGTH:
        raise RecipeError(
            f"a hyperparameter's name is a text of 1 to {NAME_LENGTH} characters; "
            f"found {quoted(name)}"
        )
    return name


def check_length(name: str, text: str) -> str:
    """A hyperparameter's value. RecipeError when SageMaker would not take it."""
    if len(text) > VALUE_LENGTH:
        raise RecipeError(
            f"hyperparameter {name}: a value has at most {VALUE_LENGTH} characters; "
            f"found {len(text)}"
        )
    return text


def one_of(what: str, found: object, known: tuple[str, ...]) -> str:
    """The word as SageMaker writes it, in whatever case it was given. RecipeError for others."""
    for word in known:
        if str(found).lower() == word.lower():
            return word
    guess = hint(str(found), known)
    raise RecipeError(f"{what} must be one of {', '.join(known)}; found {quoted(found)}{guess}")


def _as_number(text: str) -> float | str:
    """A text's number where it is one: what two ways of writing one value share."""
    value = number(text)
    if value is None:
        return text
    return value


def _check_ends(entry: Continuous) -> None:
    if entry.low == entry.high:
        raise RecipeError(
            f"range of {entry.name} has the one value {entry.low:g}; make it static: "
            "give it under hyperparameters"
        )
    if not entry.low < entry.high:
        raise RecipeError(
            f"range of {entry.name} is empty: min {entry.low:g} must be below max {entry.high:g}"
        )
    if entry.scale == "Logarithmic" and entry.low <= 0:
        raise RecipeError(
            f"range of {entry.name}: Logarithmic needs ends above 0; "
            f"found {entry.low:g} to {entry.high:g}"
        )
