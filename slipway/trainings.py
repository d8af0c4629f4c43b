"""What a training left, read for a comparison, and how two trainings differ on the same photos."""

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from artifact.text.intervals import Z_95
from artifact.text.json_text import read_json
from runtime.errors import RunError

OUTPUT = Path("output/data")
PLACES = (OUTPUT, Path("ml") / OUTPUT, Path("out/ml") / OUTPUT, Path("."))
HISTORY = "history.csv"
METRICS = "metrics.json"
PREDICTIONS = "predictions.csv"
DESCRIPTION = "model/model.json"


@dataclass(frozen=True)
class Answered:
    """A photo's true label, the answer to it, and where the photo was."""

    label: str
    predicted: str
    photo: Path

    @property
    def is_right(self) -> bool:
        return self.label == self.predicted


@dataclass(frozen=True)
class Training:
    """name: for people. history: numbers of each epoch. answers: by photo, as label/file."""

    name: str
    hyperparameters: Mapping[str, object]
    history: Sequence[Mapping[str, float]]
    metrics: Mapping[str, object]
    answers: Mapping[str, Answered]


@dataclass(frozen=True)
class Paired:
    """A second training against a first, on the photos of both.

    difference: of the shares that are right, second less first; low and high: its 95 % interval.
    p: of as much or more by luck (exact McNemar test). won and lost: photos that the second alone
    has right, and wrong.
    """

    photos: int
    difference: float
    low: float
    high: float
    p: float
    won: list[str]
    lost: list[str]


def read_training(given: Path, name: str) -> Training:
    """The training of a project's folder, an /opt/ml tree, or its output/data. RunError without."""
    for place in PLACES:
        folder = given / place
        if (folder / METRICS).is_file():
            return Training(
                name,
                _hyperparameters(folder),
                _history(folder / HISTORY),
                read_json((folder / METRICS).read_text(encoding="utf-8")),
                _answers(folder / PREDICTIONS),
            )
    if not given.exists():
        raise RunError(f"there is no folder '{given}'")
    raise RunError(f"'{given}' holds no finished training: no {OUTPUT / METRICS}")


def _hyperparameters(folder: Path) -> dict[str, object]:
    """Those that model.json names; none where the model lies elsewhere."""
    path = folder.parent.parent / DESCRIPTION
    if not path.is_file():
        return {}
    provenance = read_json(path.read_text(encoding="utf-8")).get("provenance", {})
    found: dict[str, object] = provenance.get("hyperparameters", {})
    return found


def _history(path: Path) -> list[dict[str, float]]:
    if not path.is_file():
        return []
    with open(path, newline="", encoding="utf-8") as file:
        return [_numbers(row) for row in csv.DictReader(file)]


def _numbers(row: dict[str, str]) -> dict[str, float]:
    """A row's numbers; an empty cell is NaN."""
    return {name: float(text or math.nan) for name, text in row.items()}


def _answers(path: Path) -> dict[str, Answered]:
    if not path.is_file():
        return {}
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    found = {}
    for row in rows:
        photo = Path(row["photo"])
        here = _photo_here(photo, path)
        found["/".join(photo.parts[-2:])] = Answered(row["label"], row["predicted"], here)
    return found


def _photo_here(photo: Path, predictions: Path) -> Path:
    """Where a photo lies now: a tree is moved when it is whole, and a container has its own path.

    predictions: OUTPUT / PREDICTIONS of the job's tree.
    """
    parts = photo.parts
    if photo.exists() or "input" not in parts:
        return photo
    below = len(parts) - 1 - parts[::-1].index("input")
    return predictions.parents[2] / Path(*parts[below:])


def paired(first: Training, second: Training) -> Paired | None:
    """None where they have no photo in common.

    Sources: McNemar 1947, by the binomial distribution; the interval by Agresti and Min 2005,
    which adds half a photo to each of the four counts.
    """
    common = sorted(first.answers.keys() & second.answers.keys())
    if not common:
        return None
    won = [
        name
        for name in common
        if second.answers[name].is_right and not first.answers[name].is_right
    ]
    lost = [
        name
        for name in common
        if first.answers[name].is_right and not second.answers[name].is_right
    ]
    gained = len(won) + 0.5
    gone = len(lost) + 0.5
    count = len(common) + 2.0
    middle = (gained - gone) / count
    spread = math.sqrt(gained + gone - (gained - gone) ** 2 / count) / count
    return Paired(
        len(common),
        (len(won) - len(lost)) / len(common),
        middle - Z_95 * spread,
        middle + Z_95 * spread,
        mcnemar(len(won), len(lost)),
        won,
        lost,
    )


def mcnemar(won: int, lost: int) -> float:
    """The two-sided p of the exact test: that as few of won and lost are on one side by luck."""
    discordant = won + lost
    if not discordant:
        return 1.0
    few = min(won, lost)
    tail: float = sum(math.comb(discordant, k) for k in range(few + 1)) / 2**discordant
    return min(1.0, 2 * tail)


def changed(trainings: Sequence[Training]) -> dict[str, list[object]]:
    """The hyperparameters that are not the same in all, each with its values in order."""
    names: dict[str, None] = {}
    for training in trainings:
        names |= dict.fromkeys(training.hyperparameters)
    found = {}
    for name in names:
        values = [training.hyperparameters.get(name, "") for training in trainings]
        if any(value != values[0] for value in values):
            found[name] = values
    return found
