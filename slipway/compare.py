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
from itertools import zip_longest
from pathlib import Path

import numpy as np

from artifact.jpeg_writing import encode_jpeg
from artifact.names import printable
from artifact.page import write_page
from artifact.page_text import percent, percent_tick
from artifact.photo_kinds import PhotoError
from artifact.plot import dots, line_path, linear_axis, value_axis
from artifact.preprocessing import decode
from artifact.project_index import refresh_above
from artifact.project_pages import About
from recipes.command_line import CommandLine
from runtime.errors import RunError
from slipway.project import OUT
from slipway.trainings import Paired, Training, changed, paired, read_training

FAILED = 1
MOST = 5  # trainings: as many as there are colours
MOST_PICTURES = 24  # of each list of photos
SIDE = 160  # pixels of a picture
PLOT = {"width": 460, "height": 262, "left": 58, "right": 448, "top": 26, "bottom": 226}
MARGIN = 8  # SVG units between the plot's sides and the first and last epoch
MOST_DOTS = 40
CURVES = {"Validation loss": "validation_loss", "Validation accuracy": "validation_accuracy"}
TABLE = {
    "test accuracy": "test_accuracy",
    "validation accuracy": "validation_accuracy",
    "test loss": "test_loss",
    "epochs": "epochs",
    "seconds": "seconds",
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
        print(f"compare: failed: {printable(error)}", file=sys.stderr)
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
    return (
        f"{len(pair.won)} photos won, {len(pair.lost)} lost of {pair.photos}; "
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
        about=About("comparison", {"trainings": ", ".join(one.name for one in trainings)}),
        title="Trainings compared",
        names=[training.name for training in trainings],
        plot=PLOT,
        charts=[chart(trainings, name, column) for name, column in CURVES.items()],
        rows={name: [_measured(key, one) for one in trainings] for name, key in TABLE.items()},
        changed={name: list(map(_shown, values)) for name, values in changed(trainings).items()},
        pairs=[
            _pair(trainings[0], other, pair)
            for other, pair in zip(trainings[1:], pairs, strict=True)
        ],
    )


def chart(trainings: Sequence[Training], name: str, column: str) -> dict[str, object]:
    """The values of the template for one plot: a line per training, over its epochs."""
    series = [[row.get(column, math.nan) for row in one.history] for one in trainings]
    longest = max(map(len, series), default=0)
    values = np.array(list(zip_longest(*series, fillvalue=math.nan)), float).T
    x = linear_axis(
        1, max(longest, 1), PLOT["left"] + MARGIN, PLOT["right"] - MARGIN, 6, exact=True, whole=True
    )
    y = value_axis(np.append(values.ravel(), np.nan), PLOT["bottom"], PLOT["top"])
    places = x.place(np.arange(1, longest + 1))
    lines = []
    for number, (training, row) in enumerate(zip(trainings, values, strict=True)):
        heights = y.place(row)
        lines.append(
            {
                "name": training.name,
                "number": number,
                "path": line_path(places, heights),
                "dots": dots(places, heights, MOST_DOTS),
            }
        )
    y_ticks = y.marks(percent_tick) if column.endswith("accuracy") else y.marks()
    return {"name": name, "x_ticks": x.marks(), "y_ticks": y_ticks, "lines": lines}


def _pair(first: Training, second: Training, pair: Paired | None) -> dict[str, object]:
    sides = {}
    if pair is not None:
        sides = {
            f"{second.name} is right and {first.name} is wrong": _photos(first, second, pair.won),
            f"{first.name} is right and {second.name} is wrong": _photos(first, second, pair.lost),
        }
    return {
        "words": words_of(pair),
        "names": f"{first.name} and {second.name}",
        "sure": pair is not None and not pair.low <= 0 <= pair.high,
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
