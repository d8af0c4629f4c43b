"""TensorBoard's files: two runs in one chart, when each epoch ended, pictures of what was wrong.

tests/clients/test_trackers.py reads them by TensorBoard itself.
"""

import numpy as np
from PIL import Image
from tensorboardX.proto.event_pb2 import Event

from artifact.model import Description
from artifact.photos.preprocessing import Preprocessing
from recipes.hyperparameters import parse
from tests.support.jobs import COLOURS, SMALL, draw_photo
from train.recording.history import write_scalars
from train.result.tensorboard_files import (
    confusion_picture,
    mistakes_picture,
    write_results,
)
from train.result.training_report import ReportedAnswers

HISTORY: list[dict[str, float | None]] = [
    {"epoch": 1, "train_loss": 0.5, "validation_loss": 0.7, "lr": 0.1, "seconds": 2.0},
    {"epoch": 2, "train_loss": 0.4, "validation_loss": None, "lr": 0.1, "seconds": 2.0},
]
TIMES = {1: 1_700_000_000.0, 2: 1_700_086_400.0}
CLASSES = ("blue", "green", "red")
MODEL = Description(CLASSES, Preprocessing(36, 32), "resnet18")


def events(folder) -> list[Event]:
    """Records: length, checksum, event, checksum."""
    data = next(folder.glob("events*")).read_bytes()
    found = []
    position = 0
    while position < len(data):
        length = int.from_bytes(data[position : position + 8], "little")
        found.append(Event.FromString(data[position + 12 : position + 12 + length]))
        position += 16 + length
    return found


def answers(folder) -> ReportedAnswers:
    paths = []
    for seed, (name, colour) in enumerate(sorted(COLOURS.items())):
        paths.append(folder / f"{name}.jpg")
        draw_photo(paths[-1], colour, seed)
    probabilities = np.array([[0.8, 0.1, 0.1], [0.9, 0.1, 0.0], [0.3, 0.6, 0.1]], np.float32)
    return ReportedAnswers("test", paths, np.array([0, 1, 2]), probabilities)


def test_both_runs_have_the_tag_and_the_times(tmp_path):
    write_scalars(tmp_path, HISTORY, TIMES)
    found = {}
    for run in ("train", "validation"):
        for event in events(tmp_path / run):
            for value in event.summary.value:
                found[run, value.tag, event.step] = (event.wall_time, round(value.simple_value, 3))
    assert found["train", "loss", 1] == (TIMES[1], 0.5)
    assert found["train", "loss", 2] == (TIMES[2], 0.4)
    assert found["validation", "loss", 1] == (TIMES[1], 0.7)
    assert ("validation", "loss", 2) not in found
    assert found["train", "lr", 1] == (TIMES[1], 0.1)
    assert not any(tag == "epoch" for _, tag, _ in found)


def test_the_end_adds_hyperparameters_and_pictures(tmp_path):
    figures = {"test_accuracy": 0.5, "seconds": 3.0, "calibration": {}}
    folder = tmp_path / "events"
    write_results(folder, parse(SMALL), figures, answers(tmp_path), MODEL, 2)
    tags = {value.tag for event in events(folder) for value in event.summary.value}
    assert {"test_accuracy", "test/confusion", "test/mistakes"} <= tags
    assert "_hparams_/session_start_info" in tags


def test_the_confusion_is_dark_where_answers_are(tmp_path):
    picture = confusion_picture(answers(tmp_path), CLASSES)
    assert picture[:, :, 0].min() < 60
    many = ReportedAnswers("test", [], np.zeros(0, np.int64), np.zeros((0, 320), np.float32))
    assert confusion_picture(many, ["x"] * 320).shape == (640, 640, 3)


def test_the_surest_mistake_comes_first(tmp_path):
    given = answers(tmp_path)
    sheet = mistakes_picture(given, CLASSES, Preprocessing(36, 32))
    assert sheet is not None
    Image.fromarray(sheet).save(tmp_path / "sheet.png")
    red, green, _ = sheet[80, 80]
    assert green > red  # the green photo, of 0.9
    red, green, _ = sheet[80, 240]
    assert red > green
    right = ReportedAnswers("test", given.paths[:1], given.labels[:1], given.probabilities[:1])
    assert mistakes_picture(right, CLASSES, Preprocessing(36, 32)) is None
