"""Networks that the trainings of one process share.

A training gets the same network whichever ones came before it.
"""

import pytest
import torch

from recipes.hyperparameters import parse
from tests.support.jobs import make_job
from train.model.networks import Networks
from train.run import run
from train.stop import Stop

pytestmark = pytest.mark.training

FROZEN = {"trainable": "stage4", "epochs": 2, "augmentation": "crop", "precision": "float32"}


def learned_after(job, networks: Networks | None = None):
    """The last checkpoint's values, and the history without its times."""
    run(job, parse(job.hyperparameters()), Stop(), networks=networks, export=False)
    saved = torch.load(max(job.checkpoints.glob("*.pt")), weights_only=True)
    history = saved["history"]
    # Times differ from run to run.
    for row in history:
        del row["seconds"]
    return saved["network"], history


@pytest.mark.parametrize(
    "first, second",
    [
        ({"lr": 0.02}, {"lr": 0.001}),
        ({"weights": "start", "lr": 0.02, "seed": 1}, {"weights": "start", "seed": 2}),
        ({"seed": 1}, {"seed": 2}),
        ({"trainable": "all"}, {"trainable": "all", "optimizer": "sgd"}),
        ({"image_size": 64, "resize": 64}, {}),
    ],
    ids=["lr", "seed-with-weights", "seed", "whole-network", "other-size"],
)
def test_a_second_training_is_as_in_a_process_of_its_own(tmp_path, trained, first, second):
    jobs = []
    # The second and third are alike: one shares, the other is alone.
    for number, settings in enumerate((first, second, second)):
        photos = {"train": 5, "validation": 2}
        job = make_job(tmp_path / str(number), photos, **{**FROZEN, **settings})
        if settings.get("weights") == "start":
            (job.root / "input/data/start").symlink_to(trained.model)
        jobs.append(job)
    networks = Networks()
    learned_after(jobs[0], networks)
    shared, shared_history = learned_after(jobs[1], networks)
    alone, history_alone = learned_after(jobs[2])
    assert shared_history == history_alone
    # To the last bit.
    for name, value in alone.items():
        torch.testing.assert_close(shared[name], value, rtol=0, atol=0, msg=name)


def test_a_training_without_its_artifact_can_be_exported_later(tmp_path):
    job = make_job(tmp_path, {"train": 5, "validation": 2}, **FROZEN)
    hyperparameters = parse(job.hyperparameters())
    assert run(job, hyperparameters, Stop(), export=False) is None
    assert not job.model.exists()
    description = run(job, hyperparameters, Stop())
    assert description is not None
    assert description.provenance["epochs"] == 2
    assert (job.model / "model.json").exists()
