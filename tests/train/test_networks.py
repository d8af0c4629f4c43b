"""Networks shared by the trainings of one process: what each gets does not depend on the ones before it."""

import pytest
import torch

from recipes.hyperparameters import parse
from tests.support.jobs import make_job
from train.model.networks import Networks
from train.run import run
from train.stop import Stop

FROZEN = {"trainable": "stage4", "epochs": 2, "augmentation": "crop", "precision": "float32"}


def learned_after(job, networks: Networks | None = None) -> tuple[dict, list[str]]:
    """What the last checkpoint holds, and the history without its times."""
    run(job, parse(job.hyperparameters()), Stop(), networks=networks, export=False)
    saved = torch.load(max(job.checkpoints.glob("*.pt")), weights_only=True)
    return saved["network"], [
        {name: value for name, value in row.items() if name != "seconds"}
        for row in saved["history"]
    ]


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
    for number, settings in enumerate((first, second, second)):
        job = make_job(
            tmp_path / str(number), {"train": 5, "validation": 2}, **{**FROZEN, **settings}
        )
        if settings.get("weights") == "start":
            (job.root / "input/data/start").symlink_to(trained.model)
        jobs.append(job)
    networks = Networks()
    learned_after(jobs[0], networks)
    shared, alone = learned_after(jobs[1], networks), learned_after(jobs[2])
    assert shared[1] == alone[1]
    for name, value in alone[0].items():
        torch.testing.assert_close(shared[0][name], value, rtol=0, atol=0, msg=name)


def test_a_training_without_its_artifact_can_be_exported_later(tmp_path):
    job = make_job(tmp_path, {"train": 5, "validation": 2}, **FROZEN)
    assert (
        run(job, parse(job.hyperparameters()), Stop(), export=False) is None
        and not job.model.exists()
    )
    assert (
        run(job, parse(job.hyperparameters()), Stop()).provenance["epochs"] == 2
        and (job.model / "model.json").exists()
    )
