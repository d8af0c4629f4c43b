"""A head that is solved behind a frozen backbone: when, how well, and what is refused."""

import dataclasses
import functools
import json
from pathlib import Path

import pytest
import torch

from artifact.networks.network import build
from recipes.hyperparameters import Hyperparameters
from tests.support.jobs import SMALL, make_job, run_main
from train.job import Job, JobError
from train.learning.choose_optimizer import GRADIENT_SETTINGS, choose_optimizer
from train.learning.linear_head import Choice, best_of
from train.recording.history import LINEAR_HEAD_FILE
from train.recording.profile import NoProfile

# Of SMALL, what says nothing of gradient descent.
PLAIN = {name: SMALL[name] for name in ("model", "weights", "image_size", "resize")}
FROZEN = Hyperparameters(model="shufflenet_v2_x0_5", weights="none", image_size=32)


@functools.cache
def network(name: str = "shufflenet_v2_x0_5") -> torch.nn.Module:
    return build(name, 3, image_size=64, drawn=False)


def changed(**values: object) -> Hyperparameters:
    return Hyperparameters(**{"model": "shufflenet_v2_x0_5", **values})  # type: ignore[arg-type]


def choose(
    hp: Hyperparameters,
    folder: Path,
    given: str = "epochs",
    photos: int = 100,
    debug: bool = False,
) -> Hyperparameters:
    """By choose_optimizer, for a job that gives the model and one setting more."""
    (folder / "input/config").mkdir(parents=True, exist_ok=True)
    texts = {"model": hp.model, given: str(getattr(hp, given))}
    (folder / "input/config/hyperparameters.json").write_text(json.dumps(texts))
    hp = dataclasses.replace(hp, debug=debug)
    return choose_optimizer(Job(folder), hp, network(hp.model), photos, NoProfile())


def test_a_frozen_backbone_without_settings_of_descent_is_solved(tmp_path):
    chosen = choose(FROZEN, tmp_path)
    assert chosen.optimizer == "lbfgs"
    assert (chosen.epochs, chosen.augmentation, chosen.lr) == (1, "none", 0.0)


def test_a_solved_head_takes_its_features_in_float32(tmp_path):
    asked = dataclasses.replace(FROZEN, precision="bfloat16")
    assert choose(asked, tmp_path, "precision").precision == "float32"
    descending = dataclasses.replace(asked, optimizer="adamw")
    assert choose(descending, tmp_path, "precision").precision == "bfloat16"


def test_losses_alone_leave_the_head_to_be_solved(tmp_path):
    (tmp_path / "input/config").mkdir(parents=True)
    config = tmp_path / "input/config/debughookconfig.json"
    config.write_text(json.dumps({"CollectionConfigurations": []}))
    assert choose(FROZEN, tmp_path).optimizer == "lbfgs"
    config.write_text(json.dumps({"CollectionConfigurations": [{"CollectionName": "weights"}]}))
    assert choose(FROZEN, tmp_path).optimizer == "adamw"


def test_any_setting_of_descent_descends(tmp_path):
    for name in sorted(GRADIENT_SETTINGS - {"lr_scheduler_step"}):
        assert choose(FROZEN, tmp_path, name).optimizer == "adamw", name


@pytest.mark.parametrize(
    "values, debug, sentence",
    [
        ({"trainable": "all"}, False, "needs a frozen backbone"),
        ({"head": (8,)}, False, "leave the hyperparameter head empty"),
        ({"label_smoothing": 0.1}, False, "does not smooth labels"),
        ({}, True, "no steps to observe"),
    ],
)
def test_what_cannot_be_solved_is_refused_or_descends(tmp_path, values, debug, sentence):
    assert choose(changed(**values), tmp_path, debug=debug).optimizer == "adamw"
    with pytest.raises(JobError, match=sentence):
        choose(changed(optimizer="lbfgs", **values), tmp_path, debug=debug)


def test_a_head_that_is_a_convolution_is_refused(tmp_path):
    with pytest.raises(JobError, match="the head of squeezenet1_0 is none"):
        choose(changed(optimizer="lbfgs", model="squeezenet1_0"), tmp_path)


def test_more_photos_than_memory_takes_are_refused(tmp_path):
    with pytest.raises(JobError, match="GB of memory for the features"):
        choose(changed(optimizer="lbfgs"), tmp_path, photos=10**10)


def choice(strength: float, accuracy: float, loss: float) -> Choice:
    none = torch.empty(0)
    return Choice(strength, none, none, 0.0, 1.0, loss, accuracy)


def test_of_equal_accuracies_the_lowest_loss_is_taken():
    path = [choice(1, 0.5, 0.1), choice(0.1, 0.79, 0.6), choice(0.01, 0.8, 0.9)]
    assert best_of(path, 100).strength == 0.1  # 0.79 is within one standard error, 0.04
    assert best_of(path, 10**6).strength == 0.01


@pytest.mark.training
@pytest.mark.parametrize("multi_label", ["false", "true"])
def test_a_training_solves_its_head(tmp_path, capsys, multi_label):
    job = make_job(tmp_path, {"train": 8, "validation": 4})
    settings = {**PLAIN, "quantize": "false", "multi_label": multi_label, "precision": "bfloat16"}
    path = job.root / "input/config/hyperparameters.json"
    path.write_text(json.dumps(settings))
    code, printed = run_main(job, capsys)
    assert code == 0, printed
    lines = [line for line in printed.splitlines() if line.startswith("epoch=")]
    assert len(lines) == 1
    assert "optimizer: lbfgs" in printed
    document = json.loads((job.output_data / LINEAR_HEAD_FILE).read_text())
    assert document["precision"] == "float32"
    assert len(document["path"]) >= 7
    chosen = document["chosen"]
    assert chosen in document["path"]
    # three colours: random features are enough
    assert chosen["validation_accuracy"] > 0.6
    assert f"validation_accuracy={chosen['validation_accuracy']:.5f}" in lines[0]
    # the same command goes on, and finds everything done
    code, printed = run_main(job, capsys)
    assert code == 0, printed
    assert "going on from the checkpoint of epoch 1" in printed
    assert not [line for line in printed.splitlines() if line.startswith("epoch=")]


@pytest.mark.training
def test_the_head_beside_a_training_on_random_views_is_the_solved_one(tmp_path, capsys, trained):
    documents = []
    thresholds = []
    for name, settings in (("solved", {}), ("stepped", {"augmentation": "crop", "epochs": "1"})):
        job = make_job(tmp_path / name, {"train": 4, "validation": 2})
        (job.root / "input/data/start").symlink_to(trained.model)
        texts = {**PLAIN, "weights": "start", "quantize": "false", "precision": "bfloat16"}
        (job.root / "input/config/hyperparameters.json").write_text(json.dumps(texts | settings))
        code, printed = run_main(job, capsys)
        assert code == 0, printed
        document = json.loads((job.output_data / LINEAR_HEAD_FILE).read_text())
        documents.append((document["precision"], document["path"]))
        thresholds.append(json.loads((job.model / "model.json").read_text())["known"]["threshold"])
    assert documents[0] == documents[1]
    # of the same photos as they are, but in bfloat16
    assert thresholds[1] == pytest.approx(thresholds[0], rel=0.1), thresholds


@pytest.mark.training
def test_without_validation_photos_one_penalty_is_taken(tmp_path, capsys):
    job = make_job(tmp_path, {"train": 8})
    settings = {**PLAIN, "quantize": "false", "split": "1,0,0", "class_weights": "balanced"}
    (job.root / "input/config/hyperparameters.json").write_text(json.dumps(settings))
    code, printed = run_main(job, capsys)
    assert code == 0, printed
    document = json.loads((job.output_data / LINEAR_HEAD_FILE).read_text())
    assert len(document["path"]) == 1
    assert document["chosen"]["validation_accuracy"] is None
