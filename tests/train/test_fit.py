"""The epochs of a training with scripted answers: best one, early stopping, checkpoints, stops."""

import csv
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from artifact.photos.preprocessing import Preprocessing
from recipes.hyperparameters import Hyperparameters
from train.data.photos import PhotoArrays
from train.job import Job, JobError
from train.learning.fit import Fit, best_row, fit, metric_line, stalled
from train.learning.loop import Learner

# logits of two photos, of classes 0 and 1
BOTH_RIGHT = [[2.0, -2.0], [-2.0, 2.0]]
SURER = [[4.0, -4.0], [-4.0, 4.0]]
ONE_RIGHT = [[2.0, -2.0], [2.0, -2.0]]
NONE_RIGHT = [[-2.0, 2.0], [2.0, -2.0]]


class Scaling(torch.nn.Module):
    """Its logits are the samples, in training times a weight."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        return samples * self.weight if self.training else samples


class Script:
    """A loader whose k-th pass gives the k-th samples of two photos; the last ones repeat."""

    owners = None

    def __init__(self, *passes: list[list[float]]) -> None:
        self.passes = passes
        self.begun = 0

    def __len__(self) -> int:
        return 2

    def prepare(self, epoch, stop) -> bool:
        return not stop()

    def batches(self, epoch, order):
        samples = torch.tensor(self.passes[min(self.begun, len(self.passes) - 1)])
        self.begun += 1
        for indices in order:
            yield torch.from_numpy(indices), (samples[indices],)


def plan(root: Path, validation: Script | None, train: Script | None = None, **settings) -> Fit:
    hp = Hyperparameters(**{"lr": 0.5, "epochs": 3, "optimizer": "sgd", "momentum": 0, **settings})
    network = Scaling()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    cpu = torch.device("cpu")
    learner = Learner(network, 2, [], optimizer, hp, Preprocessing(), cpu)
    labels = torch.tensor([[0], [1]])
    validation_labels = labels if validation else labels[:0]
    loader = train or Script(BOTH_RIGHT)
    photos = PhotoArrays([], Preprocessing().pixels, 224)
    parts = (loader, labels, validation or Script(), validation_labels, photos)
    return Fit(Job(root), learner, *parts, {"lr": hp.lr})  # type: ignore[arg-type]  # Script


def never() -> bool:
    return False


@pytest.mark.parametrize(
    "answers, best",
    [
        ([ONE_RIGHT, BOTH_RIGHT, ONE_RIGHT], 2),
        # of equal accuracies the lower loss, of equal losses the earlier epoch
        ([BOTH_RIGHT, SURER, BOTH_RIGHT], 2),
        ([BOTH_RIGHT, BOTH_RIGHT, BOTH_RIGHT], 1),
        ([ONE_RIGHT, ONE_RIGHT, BOTH_RIGHT], 3),
    ],
)
def test_the_best_epoch_has_the_highest_accuracy_then_the_lowest_loss(tmp_path, answers, best):
    training = plan(tmp_path, Script(*answers))
    fit(training, never)
    assert training.state.epoch == 3
    assert training.state.best_epoch == best
    assert list(training.state.best) == ["weight"]


@pytest.mark.parametrize(
    "accuracies, best",
    [([0.9, 0.9], 0), ([0.8, 0.92], 2), ([0.92, 0.92], 2), ([None, None], 2)],
)
def test_a_solved_head_stays_where_no_epoch_is_more_accurate(accuracies, best):
    """Each epoch has a lower loss than the one before."""
    known = accuracies[0] is not None
    start = {"epoch": 0, "validation_accuracy": 0.9 if known else None, "validation_loss": 0.5}
    history = []
    for epoch, accuracy in enumerate(accuracies, 1):
        loss = 0.5 - 0.1 * epoch
        history.append({"epoch": epoch, "validation_accuracy": accuracy, "validation_loss": loss})
    assert best_row(start, history)["epoch"] == best


def test_without_validation_photos_the_last_epoch_is_the_best(tmp_path, capsys):
    training = plan(tmp_path, None)
    fit(training, never)
    assert training.state.best_epoch == 3
    row = training.state.history[0]
    assert row["validation_loss"] is None
    assert row["validation_accuracy"] is None
    line = capsys.readouterr().out.splitlines()[0]
    assert "validation" not in line


def test_the_best_values_stay_those_of_their_epoch(tmp_path):
    training = plan(tmp_path, Script(BOTH_RIGHT, ONE_RIGHT, ONE_RIGHT))
    fit(training, never)
    last = training.learner.network.get_parameter("weight")
    assert training.state.best["weight"] != last


@pytest.mark.parametrize(
    "frequency, epochs, files",
    [
        (1, 3, ["checkpoint-2.pt", "checkpoint-3.pt"]),
        (2, 3, ["checkpoint-2.pt", "checkpoint-3.pt"]),  # the last one always
        (2, 5, ["checkpoint-4.pt", "checkpoint-5.pt"]),
        (3, 4, ["checkpoint-3.pt", "checkpoint-4.pt"]),
        (9, 3, ["checkpoint-3.pt"]),
    ],
)
def test_checkpoints_come_as_often_as_asked(tmp_path, frequency, epochs, files):
    script = Script(BOTH_RIGHT)
    fit(plan(tmp_path, script, checkpoint_frequency=frequency, epochs=epochs), never)
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == files


def test_an_ended_training_is_not_trained_again_and_its_history_is_written(tmp_path, capsys):
    fit(plan(tmp_path, Script(BOTH_RIGHT)), never)
    (tmp_path / "output/data/history.csv").unlink()
    capsys.readouterr()
    again = plan(tmp_path, Script(BOTH_RIGHT))
    fit(again, never)
    assert capsys.readouterr().out == "going on from the checkpoint of epoch 3\n"
    assert again.state.epoch == 3
    table = (tmp_path / "output/data/history.csv").read_text()
    rows = list(csv.DictReader(table.splitlines()))
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]


def test_a_folder_without_room_for_checkpoints_is_an_error_before_the_first_epoch(tmp_path):
    (tmp_path / "checkpoints").write_text("a file")
    train = Script(BOTH_RIGHT)
    with pytest.raises(OSError, match="checkpoints"):
        fit(plan(tmp_path, Script(BOTH_RIGHT), train), never)
    assert train.begun == 0


def test_a_stop_within_an_epoch_saves_the_whole_epoch_before_it(tmp_path):
    train = Script(BOTH_RIGHT)
    training = plan(tmp_path, Script(BOTH_RIGHT), train, checkpoint_frequency=9)
    fit(training, lambda: train.begun == 2)
    assert training.state.epoch == 1
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["checkpoint-1.pt"]
    resumed = plan(tmp_path, Script(BOTH_RIGHT))
    fit(resumed, never)
    assert resumed.state.epoch == 3
    uninterrupted = plan(tmp_path / "other", Script(BOTH_RIGHT))
    fit(uninterrupted, never)
    weights = [one.learner.network.get_parameter("weight") for one in (resumed, uninterrupted)]
    assert torch.equal(*weights)


def test_a_stop_between_two_epochs_saves_a_checkpoint(tmp_path):
    training = plan(tmp_path, Script(BOTH_RIGHT), checkpoint_frequency=9)

    def stop() -> bool:
        return training.state.epoch == 1

    fit(training, stop)
    assert training.state.epoch == 1
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["checkpoint-1.pt"]


def test_a_stop_before_the_first_epoch_leaves_no_checkpoint(tmp_path):
    training = plan(tmp_path, Script(BOTH_RIGHT))
    fit(training, lambda: True)
    assert training.state.epoch == 0
    assert list((tmp_path / "checkpoints").iterdir()) == []


INFINITE = [[math.inf, 0.0], [0.0, 1.0]]


def test_a_training_loss_that_is_not_finite_names_the_epoch_and_the_rate(tmp_path):
    training = plan(tmp_path, Script(BOTH_RIGHT), Script(BOTH_RIGHT, INFINITE))
    with pytest.raises(JobError) as caught:
        fit(training, never)
    assert str(caught.value) == (
        "the training loss became nan in epoch 2; a lower lr (now 0.5) may help"
    )


def test_a_validation_loss_that_is_not_finite_names_the_epoch_and_the_rate(tmp_path):
    training = plan(tmp_path, Script(INFINITE))
    with pytest.raises(JobError) as caught:
        fit(training, never)
    assert str(caught.value) == (
        "the validation loss became nan in epoch 1; a lower lr (now 0.5) may help"
    )


def test_each_epoch_learns_at_its_own_rate(tmp_path):
    training = plan(
        tmp_path,
        Script(BOTH_RIGHT),
        schedule="plateau",
        lr_scheduler_patience=1,
        lr_scheduler_factor=0.1,
    )
    fit(training, never)
    rates = [row["lr"] for row in training.state.history]
    np.testing.assert_allclose(rates, [0.5, 0.5, 0.05])  # type: ignore[arg-type]  # no None
    assert training.learner.optimizer.param_groups[0]["lr"] == pytest.approx(0.05)


def early(accuracies: list[float | None], **settings) -> bool:
    hp = Hyperparameters(**{"early_stopping": True, "early_stopping_min_epochs": 1, **settings})
    return stalled([{"validation_accuracy": value} for value in accuracies], hp)


@pytest.mark.parametrize(
    "accuracies, settings, expected",
    [
        ([0.5, 0.5, 0.5], {"early_stopping_patience": 2}, True),
        ([0.5, 0.5], {"early_stopping_patience": 2}, False),
        ([0.5, 0.6, 0.5], {"early_stopping_patience": 2}, False),
        ([0.5, 0.4, 0.3, 0.6], {"early_stopping_patience": 3}, False),
        ([0.5, 0.4, 0.3, 0.2], {"early_stopping_patience": 3}, True),
        # not before the fewest epochs
        ([0.5, 0.5, 0.5], {"early_stopping_patience": 1, "early_stopping_min_epochs": 4}, False),
        ([0.5, 0.5, 0.5], {"early_stopping_patience": 1, "early_stopping_min_epochs": 3}, True),
        # the tolerance is a share of the best: 0.5 to 0.55 is a rise of a tenth
        ([0.5, 0.55], {"early_stopping_patience": 1, "early_stopping_tolerance": 0.09}, False),
        ([0.5, 0.55], {"early_stopping_patience": 1, "early_stopping_tolerance": 0.11}, True),
        ([0.5, 0.75], {"early_stopping_patience": 1, "early_stopping_tolerance": 0.5}, True),
        # from nothing, any rise counts, and none is none
        ([0.0, 0.01], {"early_stopping_patience": 1, "early_stopping_tolerance": 0.9}, False),
        ([0.0, 0.0], {"early_stopping_patience": 1}, True),
        ([0.0], {"early_stopping_patience": 1}, False),
        # epochs without validation photos do not count
        ([None, None, None], {"early_stopping_patience": 1}, False),
        ([0.5, 0.5, 0.5], {"early_stopping_patience": 1, "early_stopping": False}, False),
    ],
)
def test_early_stopping(accuracies, settings, expected):
    assert early(accuracies, **settings) is expected


def test_early_stopping_ends_a_training(tmp_path):
    training = plan(
        tmp_path,
        Script(ONE_RIGHT, BOTH_RIGHT),
        epochs=9,
        early_stopping=True,
        early_stopping_min_epochs=1,
        early_stopping_patience=2,
        checkpoint_frequency=9,
    )
    fit(training, never)
    assert training.state.epoch == 4
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["checkpoint-4.pt"]


def test_a_metric_line_names_losses_accuracies_rate_and_time():
    row = {
        "epoch": 3,
        "train_loss": 0.512344,
        "train_accuracy": 1.0,
        "validation_loss": None,
        "validation_accuracy": None,
        "validation_top_5_accuracy": 0.25,
        "lr": 0.000123456789,
        "seconds": 12.345,
    }
    assert metric_line(row) == (
        "epoch=3 train_loss=0.51234 train_accuracy=1.00000 validation_top_5_accuracy=0.25000 "
        "lr=0.000123457 seconds=12.3"
    )
