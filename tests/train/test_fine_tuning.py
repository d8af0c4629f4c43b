"""Incremental training from an earlier artifact.

Shows what the artifact sets, what is taken over by the classes' names, and what is refused.
"""

import io
import json
import re
import shutil
import tarfile
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import nn

from artifact.model import read_description
from artifact.networks.network import build
from recipes.hyperparameters import Hyperparameters
from tests.support.jobs import COLOURS, draw_channel, failure, run_main
from train.job import Job, JobError
from train.model.incremental import EarlierArtifact, load_earlier_weights

pytestmark = pytest.mark.training

PURPLE = (150, 40, 180)
# The rate is next to nothing, so that answers stay those of the earlier training.
SETTINGS = {"epochs": 1, "batch_size": 8, "augmentation": "none", "quantize": "false", "lr": 1e-9}


def incremental_job(root: Path, classes: dict = COLOURS, **hyperparameters: object) -> Job:
    """A job without a `model` channel; only the given hyperparameters are set."""
    (root / "input/config").mkdir(parents=True)
    for number, (name, count) in enumerate({"train": 6, "validation": 3}.items()):
        draw_channel(root / "input/data" / name, count, seed=500 + number * 100, classes=classes)
    texts = {name: str(value) for name, value in {**SETTINGS, **hyperparameters}.items()}
    (root / "input/config/hyperparameters.json").write_text(json.dumps(texts))
    return Job(root)


def put_artifact(job: Job, artifact: Path) -> None:
    shutil.copytree(artifact, job.root / "input/data/model")


def put_archive(job: Job, artifact: Path) -> None:
    """As SageMaker delivers the artifact."""
    channel = job.root / "input/data/model"
    channel.mkdir()
    with tarfile.open(channel / "model.tar.gz", "w:gz") as tar:
        # The files themselves, not a folder around them.
        for path in artifact.iterdir():
            tar.add(path, path.name)


@pytest.mark.parametrize("put", [put_artifact, put_archive])
def test_the_same_classes_go_on_where_the_earlier_training_ended(tmp_path, capsys, trained, put):
    """With a rate of next to nothing the new artifact answers as the old one.

    Sizes, model and head come from it.
    """
    job = incremental_job(tmp_path)
    put(job, trained.model)
    code, out = run_main(job, capsys)
    assert code == 0, out
    old = read_description(trained.model)
    new = read_description(job.model)
    assert new.architecture == "shufflenet_v2_x0_5"
    assert new.preprocessing == old.preprocessing
    assert new.preprocessing.crop == 32
    assert "head: 3 of 3 classes are taken over" in out
    assert new.accuracy["validation"] > 0.8
    assert new.provenance["weights"].startswith(
        "the earlier artifact in the channel 'model' (shufflenet_v2_x0_5, 3 classes, SHA-256 "
    )
    earlier = new.provenance["earlier"]
    assert earlier["classes_taken_over"] == 3
    assert earlier["weights"] == "random weights"
    assert earlier["data"] == old.provenance["data"]


def test_other_classes_keep_the_rows_of_those_that_both_have(tmp_path, capsys, trained):
    """`azure` comes first and `red` is gone: every row moves."""
    classes = {"azure": PURPLE, "blue": COLOURS["blue"], "green": COLOURS["green"]}
    job = incremental_job(tmp_path, classes, optimizer="sgd", lr=0)
    put_artifact(job, trained.model)
    code, out = run_main(job, capsys)
    assert code == 0, out
    assert (
        "head: 2 of 3 classes are taken over from the earlier artifact, "
        "1 start fresh, 1 of its classes are gone"
    ) in out
    old = safetensors.torch.load_file(trained.model / "model.safetensors")
    new = safetensors.torch.load_file(job.model / "model.safetensors")
    # blue and green have moved down by one.
    for name in ("fc.weight", "fc.bias"):
        assert torch.equal(new[name][1:], old[name][:2])
        # A new class must not inherit another's row.
        assert not torch.equal(new[name][0], old[name][2])
    assert torch.equal(new["conv1.0.weight"], old["conv1.0.weight"])


@pytest.mark.parametrize(
    "model, head", [("resnet18", (8, 6)), ("squeezenet1_1", ()), ("vit_b_32", (8,))]
)
def test_heads_of_every_kind_are_matched_by_class(model, head, trained):
    """Another order and another size of photos.

    Hidden layers are taken whole, the last one row by row.
    """
    torch.manual_seed(3)
    old = build(model, 3, head, 64)
    new = build(model, 4, head, 96)
    description = read_description(trained.model)
    # The class is frozen.
    object.__setattr__(description, "head", head)
    weights = {name: value.clone() for name, value in old.state_dict().items()}
    earlier = EarlierArtifact(description, weights, "f" * 64)
    classes = ("red", "violet", "blue", "green")
    load_earlier_weights(new, Hyperparameters(model=model, head=head), earlier, classes)
    *old_hidden, old_last = head_layers(old)
    *new_hidden, new_last = head_layers(new)
    # blue, green and red at their new places.
    assert torch.equal(new_last["weight"][[2, 3, 0]], old_last["weight"])
    assert torch.equal(new_last["bias"][[2, 3, 0]], old_last["bias"])
    assert len(new_hidden) == len(head)
    for ours, theirs in zip(new_hidden, old_hidden, strict=True):
        assert torch.equal(ours["weight"], theirs["weight"])


def head_layers(network: nn.Module) -> list[dict[str, torch.Tensor]]:
    """The parameters of each layer of a network's head."""
    modules = network.get_submodule(str(network.head_name)).modules()
    layers = [module for module in modules if isinstance(module, (nn.Linear, nn.Conv2d))]
    return [dict(layer.named_parameters()) for layer in layers]


def test_hyperparameters_may_set_other_sizes_and_another_head(tmp_path, capsys, trained):
    job = incremental_job(tmp_path, image_size=48, head="8")
    put_artifact(job, trained.model)
    code, out = run_main(job, capsys)
    description = read_description(job.model)
    assert code == 0
    assert "head: starts fresh" in out
    assert description.preprocessing.crop == 48
    assert description.preprocessing.resize == 54
    assert description.head == (8,)


def test_a_channel_of_plain_weights_may_be_called_model(tmp_path, capsys):
    job = incremental_job(tmp_path, model="shufflenet_v2_x0_5", weights="model", image_size=32)
    channel = tmp_path / "input/data/model"
    channel.mkdir()
    torch.save(build("shufflenet_v2_x0_5", 1000).state_dict(), channel / "weights.pth")
    code, _ = run_main(job, capsys)
    assert code == 0
    assert "earlier" not in read_description(job.model).provenance


def cut_off_archive(folder: Path) -> None:
    replace_by_archive(folder)
    archive = folder / "model.tar.gz"
    # Torn, as by a connection that broke.
    archive.write_bytes(archive.read_bytes()[:2000])


def evil_archive(folder: Path) -> None:
    replace_by_archive(folder, member="../../evil")


def replace_by_archive(folder: Path, member: str | None = None) -> None:
    """Put the artifact into an archive, with one more member if given."""
    with tarfile.open(folder / "model.tar.gz", "w:gz") as tar:
        for path in folder.glob("model.[jos]*"):
            tar.add(path, path.name)
        if member:
            entry = tarfile.TarInfo(member)
            entry.size = 4
            tar.addfile(entry, io.BytesIO(b"evil"))
    (folder / "model.json").unlink()


REFUSED = [
    (
        {"model": "resnet18"},
        None,
        "hyperparameter model is 'resnet18', but the earlier artifact in the channel 'model' "
        "is a shufflenet_v2_x0_5",
    ),
    (
        {"weights": "imagenet"},
        None,
        "hyperparameter weights is 'imagenet', but the channel 'model' holds an earlier artifact",
    ),
    (
        {},
        lambda folder: (folder / "model.json").unlink(),
        "holds neither model.json nor model.tar.gz",
    ),
    ({}, lambda folder: (folder / "model.safetensors").unlink(), "holds no model.safetensors"),
    (
        {},
        lambda folder: (folder / "model.safetensors").write_bytes(b"x" * 50),
        "is not a file of weights",
    ),
    ({}, lambda folder: (folder / "model.json").write_text("{}"), "has format_version None"),
    ({}, cut_off_archive, "model.tar.gz' cannot be unpacked"),
    ({}, evil_archive, "'../../evil' would lie outside the folder"),
]


@pytest.mark.parametrize(
    "settings, spoil, words", REFUSED, ids=[words[:40] for _, _, words in REFUSED]
)
def test_an_artifact_that_cannot_be_gone_on_from_is_one_clear_sentence(
    tmp_path, capsys, trained, settings, spoil, words
):
    job = incremental_job(tmp_path / "ml", **settings)
    put_artifact(job, trained.model)
    if spoil:
        spoil(tmp_path / "ml/input/data/model")
    code, out = run_main(job, capsys)
    assert code == 1
    assert words in failure(job)
    assert "\n" not in failure(job)
    assert "Traceback" not in out
    # Nothing of the archive came outside.
    assert not list(tmp_path.rglob("evil"))
    # It failed before it began to train.
    assert not job.checkpoints.exists()


@pytest.mark.parametrize(
    "name, value, words",
    [
        (
            "fc.bias",
            torch.zeros(7),
            "'fc.bias' of its model.safetensors is missing or of another shape",
        ),
        ("conv1.0.weight", torch.zeros(1), "does not fit model shufflenet_v2_x0_5: 1 of "),
    ],
)
def test_weights_that_contradict_their_description_are_refused(trained, name, value, words):
    state = safetensors.torch.load_file(trained.model / "model.safetensors")
    earlier = EarlierArtifact(read_description(trained.model), state | {name: value}, "")
    with pytest.raises(JobError, match=re.escape(words)):
        load_earlier_weights(
            build("shufflenet_v2_x0_5", 3),
            Hyperparameters(model="shufflenet_v2_x0_5"),
            earlier,
            ("blue", "green", "red"),
        )
