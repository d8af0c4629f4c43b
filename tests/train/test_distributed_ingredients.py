"""Each ingredient of a training by two processes: they end as one process with the same batches."""

import json

import numpy as np
import pytest
import safetensors.numpy

from artifact.model import read_description
from tests.support.jobs import make_job, train_job
from tests.support.processes import ended, history, start

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


def figures(job) -> dict:
    """What the linear head reached, by strength of its penalty."""
    path = job.output_data / "linear_head.json"
    return json.loads(path.read_text()) if path.exists() else {}


@pytest.mark.parametrize("name", INGREDIENTS)
def test_two_processes_end_as_one(tmp_path, name):
    settings = EXACT | INGREDIENTS[name]
    one = make_job(tmp_path / "one", PHOTOS, **settings)
    two = make_job(tmp_path / "two", PHOTOS, **settings)
    train_job(one)
    code, out = ended(start(two))
    assert code == 0, out
    assert "Warning" not in out, out
    np.testing.assert_allclose(history(two.root), history(one.root), rtol=1e-3, atol=1e-5)
    ours = safetensors.numpy.load_file(two.model / "model.safetensors")
    theirs = safetensors.numpy.load_file(one.model / "model.safetensors")
    for key, values in theirs.items():
        np.testing.assert_allclose(ours[key], values, rtol=2e-2, atol=2e-4, err_msg=key)
    assert read_description(two.model).accuracy == read_description(one.model).accuracy
    assert figures(two).keys() == figures(one).keys()
