"""Checkpoints: a job that is killed at any moment and started again ends as one never killed.

Torn and foreign checkpoints are recognised.
"""

import csv
import itertools
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from artifact.photos.preprocessing import Preprocessing
from recipes.hyperparameters import Hyperparameters
from tests.support.jobs import REPOSITORY, failure, make_job, run_main, train_job
from train.job import Job
from train.learning.checkpoint import load_checkpoint, save_checkpoint
from train.learning.loop import Learner
from train.learning.state import State

pytestmark = pytest.mark.training

PLAIN = {"PATH": os.environ["PATH"], "OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY)}
TRAININGS = [
    {
        "optimizer": "adamw",
        "augmentation": "strong",
        "schedule": "plateau",
        "lr_scheduler_patience": 1,
        "early_stopping": "true",
        "early_stopping_min_epochs": 4,
        "early_stopping_patience": 2,
        "epochs": 9,
    },
    {
        "model": "squeezenet1_1",  # has dropout
        "image_size": 36,
        "optimizer": "sgd",
        "lr": "0.01",
        "augmentation": "crop",
        "schedule": "cosine",
        "epochs": 4,
    },
    {
        "trainable": "conv5",
        "feature_views": 2,
        "augmentation": "crop",
        "checkpoint_frequency": 2,
        "epochs": 5,
    },
]


def outcome(job: Job) -> dict[str, object]:
    """All that a job leaves, but for times."""
    history = list(csv.DictReader((job.output_data / "history.csv").read_text().splitlines()))
    metrics = json.loads((job.output_data / "metrics.json").read_text())
    for row in (*history, metrics):
        del row["seconds"]
    description = json.loads((job.model / "model.json").read_text())
    del description["provenance"]["speed"]
    return {
        "history": history,
        "metrics": metrics,
        "predictions": (job.output_data / "predictions.csv").read_bytes(),
        "description": description,
        "weights": (job.model / "model.safetensors").read_bytes(),
        "graph": (job.model / "model.onnx").read_bytes(),
    }


@pytest.fixture(scope="module")
def kill():
    """kill(job, kills, seed): run a job to its end in spite of this many kills.

    It returns the exit code and where the kills hit.
    """
    with subprocess.Popen(
        [sys.executable, "tests/support/killing.py"],
        cwd=REPOSITORY,
        env=PLAIN,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as killer:
        assert killer.stdin is not None
        assert killer.stdout is not None

        def ask(job: Job, kills: int, seed: int = 0) -> dict:
            assert killer.stdin is not None
            assert killer.stdout is not None
            killer.stdin.write(f"{job.root} {kills} {seed}\n")
            killer.stdin.flush()
            return json.loads(killer.stdout.readline())

        yield ask
        killer.stdin.close()


@pytest.mark.parametrize(
    "settings",
    [pytest.param(TRAININGS[0], marks=pytest.mark.verify), *TRAININGS[1:]],
    ids=["plateau-early-stop", "dropout-sgd", "kept-features"],
)
def test_killed_at_any_moment_a_job_ends_as_one_never_killed(tmp_path, kill, settings):
    """Real SIGKILLs: during writes of a checkpoint, the artifact and the history, and at random."""
    job = make_job(tmp_path, {"train": 6, "validation": 3, "test": 2}, **settings)
    assert kill(job, 0)["code"] == 0
    unharmed = outcome(job)
    for folder in (job.model, job.output_data, job.checkpoints):
        shutil.rmtree(folder)
    result = kill(job, 4, seed=len(settings))
    assert result["code"] == 0, (job.root / "log").read_text()[-2000:]
    assert len(result["hits"]) >= 2
    left = itertools.chain.from_iterable(hit["left"] for hit in result["hits"])
    # A kill has hit a file that was being written.
    assert any("slipway-tmp" in name for name in left)
    harmed = outcome(job)
    for part in unharmed:
        assert harmed[part] == unharmed[part], part
    # A later start has cleared it away.
    assert not list(job.root.rglob("*slipway-tmp"))
    assert len(list(job.checkpoints.iterdir())) in (1, 2)
    assert "going on from the checkpoint" in (job.root / "log").read_text()


@pytest.fixture(scope="module")
def four_epochs(tmp_path_factory: pytest.TempPathFactory) -> Job:
    """A job that has trained four epochs of six; copy it."""
    job = make_job(tmp_path_factory.mktemp("four") / "ml", {"train": 4, "validation": 2}, epochs=4)
    train_job(job)
    return job


def going_on(job: Job, root: Path, **settings: object) -> Job:
    shutil.copytree(job.root, root)
    config = root / "input/config/hyperparameters.json"
    texts = {name: str(value) for name, value in settings.items()}
    whole = {**json.loads(config.read_text()), "epochs": "6", **texts}
    config.write_text(json.dumps(whole))
    return Job(root)


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory, four_epochs: Job) -> Path:
    """A whole checkpoint of another training on the same photos."""
    other = going_on(four_epochs, tmp_path_factory.mktemp("other") / "ml", lr=0.5, epochs=1)
    shutil.rmtree(other.checkpoints)
    train_job(other)
    return other.checkpoints / "checkpoint-1.pt"


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def contents_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def flip(path: Path) -> None:
    """One bit, in the middle of a tensor."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_the_newest_two_are_kept_and_an_epoch_is_stored_once(four_epochs):
    paths = list(four_epochs.checkpoints.iterdir())
    assert names_in(four_epochs.checkpoints) == {"checkpoint-3.pt", "checkpoint-4.pt"}
    for path in paths:
        checkpoint = torch.load(path, weights_only=True)
        network_bytes = sum(value.nbytes for value in checkpoint["network"].values())
        copies = 3  # the network, and the two numbers per weight that adamw keeps
        if checkpoint["best_epoch"] != checkpoint["epoch"]:
            copies += 1
        assert path.stat().st_size < (copies + 0.4) * network_bytes


DAMAGES = [
    (lambda path: path.write_bytes(path.read_bytes()[:-1000]), "torn: its end is missing"),
    (lambda path: path.write_bytes(b""), "torn: its end is missing"),
    (flip, "damaged: its bytes are not those that were written"),
    (
        lambda path: shutil.copy(path.parent / "checkpoint-99.pt", path),
        "is of another training: its lr is 0.5, this job's 0.005",
    ),
]


@pytest.mark.parametrize("damage, words", DAMAGES, ids=["cut", "empty", "flipped", "foreign"])
def test_a_checkpoint_that_cannot_be_used_is_named_and_the_one_before_it_used(
    tmp_path, capsys, four_epochs, foreign, damage, words
):
    job = going_on(four_epochs, tmp_path / "ml", epochs=5)
    for path in (
        job.checkpoints / "metadata.json",
        # A platform's mark on what it has uploaded.
        job.checkpoints / "checkpoint-4.pt.sagemaker-uploaded",
        job.checkpoints / "checkpoint-x.pt",
    ):
        path.write_text("of the platform")
    # Newest by its number, and of another training.
    shutil.copy(foreign, job.checkpoints / "checkpoint-99.pt")
    damage(job.checkpoints / "checkpoint-4.pt")
    code, out = run_main(job, capsys)
    assert code == 0, out
    refused = [line for line in out.splitlines() if line.startswith("checkpoint refused: ")]
    assert len(refused) == 2
    assert "checkpoint-99.pt" in refused[0]
    assert words in refused[1]
    assert refused[1].endswith("going back to 'checkpoint-3.pt'")
    assert "going on from the checkpoint of epoch 3" in out
    assert "epoch=4 " in out
    assert "epoch=3 " not in out
    assert names_in(job.checkpoints) == {
        "checkpoint-4.pt",
        "checkpoint-5.pt",
        "checkpoint-99.pt",
        "checkpoint-x.pt",
        "metadata.json",
        "checkpoint-4.pt.sagemaker-uploaded",
    }


def test_when_none_can_be_used_the_job_says_so_and_deletes_nothing(tmp_path, capsys, four_epochs):
    job = going_on(four_epochs, tmp_path / "ml")
    for path in job.checkpoints.iterdir():
        flip(path)
    before = contents_of(job.checkpoints)
    code, out = run_main(job, capsys)
    assert code == 1
    assert "checkpoint-4.pt' is not a checkpoint (damaged" in failure(job)
    assert "(nor can the 1 older ones be used); empty the" in failure(job)
    assert contents_of(job.checkpoints) == before
    assert "Traceback" not in out


def test_the_one_checkpoint_of_earlier_versions_is_gone_on_from(tmp_path, capsys, four_epochs):
    job = going_on(four_epochs, tmp_path / "ml")
    saved = torch.load(job.checkpoints / "checkpoint-4.pt", weights_only=True)
    # Earlier versions had no scaler.
    del saved["scaler"]
    for path in job.checkpoints.iterdir():
        path.unlink()
    torch.save(saved, job.checkpoints / "checkpoint.pt")
    code, out = run_main(job, capsys)
    assert code == 0
    assert "going on from the checkpoint of epoch 4" in out
    assert names_in(job.checkpoints) == {"checkpoint-5.pt", "checkpoint-6.pt"}


def test_a_new_machine_without_outputs_has_the_whole_history(tmp_path, capsys, four_epochs):
    """As a spot restart: only the checkpoints come back."""
    job = going_on(four_epochs, tmp_path / "ml", epochs=4)
    shutil.rmtree(job.output_data)
    shutil.rmtree(job.model)
    code, out = run_main(job, capsys)
    assert code == 0
    # All four epochs are done: nothing is trained.
    assert "epoch=" not in out
    assert len((job.output_data / "history.csv").read_text().splitlines()) == 5


def test_the_scale_of_float16_gradients_is_remembered(tmp_path):
    """Without a GPU: the scaler itself is the same."""
    first = float16_learner()
    second = float16_learner()
    # The first use makes the scale.
    first.scaler.scale(torch.ones(1))
    first.scaler.update(512.0)
    best = {name: value.clone() for name, value in first.learned().items()}
    state = State(1, [{"epoch": 1}], 1, best)
    save_checkpoint(Job(tmp_path), state, first, {"lr": 1})
    assert load_checkpoint(Job(tmp_path), second, {"lr": 1}).epoch == 1
    assert second.scaler.get_scale() == 512.0
    weights = [learner.network.get_parameter("weight") for learner in (first, second)]
    assert torch.equal(*weights)


def float16_learner() -> Learner:
    network = torch.nn.Linear(2, 2)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    settings = (Hyperparameters(), Preprocessing(), torch.device("cpu"), torch.float16)
    return Learner(network, 2, [], optimizer, *settings)
