"""slipway compare A B …: trainings beside each other, as compare.html.

Each is a project's folder, an /opt/ml tree or its output/data. The page has their curves over each
other, the hyperparameters that differ, and how many photos each one answers that the first does
not, with the interval of that difference.
"""

import argparse
import base64
import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from artifact.host.os_errors import sentence_of
from artifact.pages.line_chart import LEFT, MARGIN, RIGHT, Chart, line_chart
from artifact.pages.page import write_page
from artifact.pages.plot import linear_axis, tick_words
from artifact.pages.project_index import refresh_above
from artifact.pages.project_pages import About
from artifact.photos.decoder import decode
from artifact.photos.jpeg_writing import encode_jpeg
from artifact.photos.kinds import PhotoError
from artifact.text.names import printable
from artifact.text.numbers import counted, duration, percent, percent_tick
from recipes.command_line import CommandLine
from runtime.errors import RunError
from slipway.project import OUT
from slipway.trainings import Paired, Training, changed, paired, read_training

FAILED = 1
MOST = 5  # trainings: as many as there are colours
SURE_P = 0.05  # a difference that luck makes less often counts as one
MOST_PICTURES = 24  # of each list of photos
SIDE = 160  # pixels of a picture
CURVES = {"Validation loss": "validation_loss", "Validation accuracy": "validation_accuracy"}
TABLE = {
    "test accuracy": "test_accuracy",
    "validation accuracy": "validation_accuracy",
    "test loss": "test_loss",
    "epochs": "epochs",
    "time": "seconds",
}


def main(arguments: list[str] | None = None) -> int:
    """Write the page; the exit code: 0, 1 after one sentence, 2 for a wrong option."""
    options = parsed(arguments)
    try:
        names = short_names(options.trainings)
        given = zip(options.trainings, names, strict=True)
        trainings = [read_training(path, name) for path, name in given]
        pairs = [paired(trainings[0], other) for other in trainings[1:]]
        write_comparison(options.page, trainings, pairs)
        refresh_above(options.page)
    except (RunError, OSError, ValueError) as error:
        print(f"compare: failed: {printable(sentence_of(error))}", file=sys.stderr)
        return FAILED
    for other, pair in zip(trainings[1:], pairs, strict=True):
        line = f"compare: {trainings[0].name} and {other.name}: {words_of(pair)}"
        print(printable(line))
    print(f"compare: {printable(options.page)}")
    return 0


def short_names(paths: Sequence[Path]) -> list[str]:
    """The parts of the paths in which they differ. RunError for two that are the same."""
    whole = [path.resolve() for path in paths]
    if len(set(whole)) < len(whole):
        raise RunError("the same training is given twice")
    common = os.path.commonpath(whole)
    return [os.path.relpath(path, common) for path in whole]


def words_of(pair: Paired | None) -> str:
    """A comparison in one sentence."""
    if pair is None:
        return "no photo in common"
    if not pair.won and not pair.lost:
        return f"both are right on the same of {counted(pair.photos, 'photo')}"
    return (
        f"the second alone is right on {counted(len(pair.won), 'photo')}, the first alone on "
        f"{len(pair.lost)}, of {pair.photos}; "
        f"difference {100 * pair.difference:+.1f} points "
        f"(95 % interval {100 * pair.low:+.1f} to {100 * pair.high:+.1f}), p={pair.p:.3f}"
    )


def write_comparison(
    page: Path, trainings: Sequence[Training], pairs: Sequence[Paired | None]
) -> None:
    """Write the page. pairs: of each training but the first with that one."""
    write_page(
        page,
        Path(__file__).with_name("compare.html.j2"),
        {"counted": counted},
        about=About("comparison", {"trainings": ", ".join(one.name for one in trainings)}),
        title="Trainings compared",
        names=[training.name for training in trainings],
        charts=[chart(trainings, name, column) for name, column in CURVES.items()],
        rows=measured(trainings),
        changed={name: list(map(_shown, values)) for name, values in changed(trainings).items()},
        pairs=[
            _pair(trainings[0], other, pair)
            for other, pair in zip(trainings[1:], pairs, strict=True)
        ],
    )


def chart(trainings: Sequence[Training], title: str, column: str) -> Chart:
    """The values of the template for one plot: a line per training, over its epochs."""
    longest = max([1, *(len(one.history) for one in trainings)])
    axis = linear_axis(1, longest, LEFT + MARGIN, RIGHT - MARGIN, 6, exact=True, whole=True)
    lines = {}
    for one in trainings:
        values = np.array([row.get(column, math.nan) for row in one.history], float)
        lines[one.name] = (np.arange(1.0, len(values) + 1), values)
    words = percent_tick if column.endswith("accuracy") else tick_words
    return line_chart(title, "epoch", axis, lines, words=words)


def measured(trainings: Sequence[Training]) -> dict[str, list[str]]:
    """The words of each measure that one of the trainings has at least, by its name."""
    rows = {name: [_measured(key, one) for one in trainings] for name, key in TABLE.items()}
    return {name: words for name, words in rows.items() if any(words)}


def is_sure(pair: Paired) -> bool:
    """Whether the difference is more than luck: by its interval, and by the exact test."""
    return not pair.low <= 0 <= pair.high and pair.p < SURE_P


def _pair(first: Training, second: Training, pair: Paired | None) -> dict[str, object]:
    sides = {}
    if pair is not None:
        sides = {
            f"{second.name} has right and {first.name} wrong": _photos(first, second, pair.won),
            f"{first.name} has right and {second.name} wrong": _photos(first, second, pair.lost),
        }
    return {
        "words": words_of(pair),
        "names": f"{first.name} and {second.name}",
        "sure": pair is not None and is_sure(pair),
        "differ": pair is not None and bool(pair.won or pair.lost),
        "sides": sides,
    }


def _photos(first: Training, second: Training, names: Sequence[str]) -> dict[str, object]:
    shown = []
    for name in names[:MOST_PICTURES]:
        photo = first.answers[name].photo
        shown.append(
            {
                "name": name,
                "picture": picture(photo) or picture(second.answers[name].photo),
                "label": first.answers[name].label,
                "first": first.answers[name].predicted,
                "second": second.answers[name].predicted,
                "other": second.name,
            }
        )
    return {"count": len(names), "shown": shown}


def picture(path: Path) -> str | None:
    """A small JPEG of a photo, as a data: URL; None where the photo is not there any more."""
    try:
        image = decode(path.read_bytes())
    except (OSError, PhotoError):
        return None
    image.thumbnail((SIDE, SIDE))
    return "data:image/jpeg;base64," + base64.b64encode(encode_jpeg(image)).decode()


def _measured(key: str, training: Training) -> str:
    value = training.metrics.get(key)
    if key.endswith("accuracy") and isinstance(value, float):
        return percent(value)
    if key == "seconds" and isinstance(value, int | float):
        return duration(value)
    return _shown(value)


def _shown(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str("" if value is None else value)


def parsed(arguments: list[str] | None) -> argparse.Namespace:
    parser = CommandLine(prog="compare", description=__doc__)
    parser.add_argument(
        "trainings", nargs="+", type=Path, metavar="TRAINING", help=f"two to {MOST} of them"
    )
    parser.add_argument(
        "--page",
        type=Path,
        default=OUT / "compare.html",
        metavar="FILE",
        help="the page (default: out/compare.html)",
    )
    options = parser.parse_args(arguments)
    if not 2 <= len(options.trainings) <= MOST:
        parser.error(f"give 2 to {MOST} trainings; found {len(options.trainings)}")
    return options


if __name__ == "__main__":
    sys.exit(main())
