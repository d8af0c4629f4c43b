"""What TensorBoard gets at a training's end: hyperparameters, confusion and mistakes."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from tensorboardX import SummaryWriter
from tensorboardX.summary import hparams

from artifact.model import Description
from artifact.photos.kinds import PhotoError
from artifact.photos.preprocessing import Preprocessing
from artifact.text.names import printable
from recipes.hyperparameters import Hyperparameters
from train.result.training_report import ReportedAnswers

# Pixels of the pictures
TILE = 160
CAPTION = 18
MATRIX = 640
MARGIN = 110  # for the names of classes
MOST_NAMED = 24  # classes; more names could not be read
MOST_MISTAKES = 24
COLUMNS = 6
DARK = (33, 83, 120)
WRONG = (170, 30, 30)


def write_results(
    folder: Path,
    hp: Hyperparameters,
    figures: Mapping[str, object],
    answers: ReportedAnswers | None,
    description: Description,
    epoch: int,
) -> None:
    """What the end of a training adds. figures: of metrics.json. epoch: the best one."""
    final = {
        name: float(value)
        for name, value in figures.items()
        if name.endswith(("_accuracy", "_loss")) and isinstance(value, float)
    }
    settings = {
        name: value if isinstance(value, bool | int | float | str) else str(value)
        for name, value in dataclasses.asdict(hp).items()
    }
    with SummaryWriter(str(folder)) as writer:
        if final:
            for summary in hparams(settings, final):
                writer.file_writer.add_summary(summary)
        for name, value in final.items():
            writer.add_scalar(name, value, epoch)
        if answers is None:
            return
        classes = description.classes
        matrix = confusion_picture(answers, classes)
        writer.add_image(f"{answers.channel}/confusion", matrix, epoch, dataformats="HWC")
        mistakes = mistakes_picture(answers, classes, description.preprocessing)
        if mistakes is not None:
            writer.add_image(f"{answers.channel}/mistakes", mistakes, epoch, dataformats="HWC")


def confusion_picture(answers: ReportedAnswers, classes: Sequence[str]) -> NDArray[np.uint8]:
    """The confusion matrix, a row for each label, uint8 [H, W, 3]; dark is many of a label."""
    count = len(classes)
    counts = np.zeros((count, count))
    np.add.at(counts, (answers.labels, answers.probabilities.argmax(axis=1)), 1)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    white = np.full(3, 255.0)
    colours = white + shares[..., None] * (np.array(DARK) - white)
    side = max(MATRIX // count, 1)
    cells = Image.fromarray(colours.astype(np.uint8)).resize(
        (count * side, count * side), Image.Resampling.NEAREST
    )
    named = count <= MOST_NAMED
    margin = MARGIN if named else 0
    below = CAPTION if named else 0
    picture = Image.new("RGB", (cells.width + margin, cells.height + below), "white")
    picture.paste(cells, (margin, 0))
    if named:
        _name_cells(picture, counts, shares, classes, side)
    return np.asarray(picture)


def _name_cells(
    picture: Image.Image,
    counts: NDArray[np.float64],
    shares: NDArray[np.float64],
    classes: Sequence[str],
    side: int,
) -> None:
    """The labels beside the rows, and the counts in the cells."""
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(12)
    for row, name in enumerate(classes):
        draw.text((4, row * side + side // 2 - 6), printable(name)[:16], "black", font)
        for column in range(len(classes)):
            if counts[row, column]:
                colour = "white" if shares[row, column] > 0.5 else "black"
                place = (MARGIN + column * side + side // 2 - 6, row * side + side // 2 - 6)
                draw.text(place, f"{counts[row, column]:.0f}", colour, font)
    draw.text((4, picture.height - CAPTION + 2), "rows: label; columns: answer", "black", font)


def mistakes_picture(
    answers: ReportedAnswers, classes: Sequence[str], preprocessing: Preprocessing
) -> NDArray[np.uint8] | None:
    """The wrong answers, the surest first, as tiles, uint8 [H, W, 3]; None without any."""
    best = answers.probabilities.argmax(axis=1)
    wrong = np.flatnonzero(best != answers.labels)
    order = wrong[np.argsort(-answers.probabilities[wrong, best[wrong]], kind="stable")]
    shown = order[:MOST_MISTAKES]
    if not len(shown):
        return None
    rows = -(-len(shown) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * TILE, rows * (TILE + 2 * CAPTION)), "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(12)
    for place, index in enumerate(shown):
        x = place % COLUMNS * TILE
        y = place // COLUMNS * (TILE + 2 * CAPTION)
        try:
            photo = Image.fromarray(preprocessing.network_pixels(answers.paths[index]))
        except (PhotoError, OSError):  # it was there when it was measured
            continue
        sheet.paste(photo.resize((TILE - 4, TILE - 4)), (x + 2, y + 2))
        share = answers.probabilities[index, best[index]]
        label = printable(classes[int(answers.labels[index])])[:22]
        answer = printable(classes[int(best[index])])[:15]
        draw.text((x + 4, y + TILE), label, "black", font)
        draw.text(
            (x + 4, y + TILE + CAPTION - 2), f"answered {answer} {share:.2f}", (170, 30, 30), font
        )
    return np.asarray(sheet)
