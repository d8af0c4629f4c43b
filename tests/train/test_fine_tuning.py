"""Fine-tuning again from an earlier artifact: what it sets, what is taken over by the classes' names, and what is refused."""

import io
import json
import re
import shutil
import tarfile
from pathlib import Path

import pytest
import safetensors.torch
import torch

from artifact.model import read_description
from artifact.network import build
from recipes.hyperparameters import Hyperparameters
from tests.support.jobs import COLOURS, draw_channel, failure, run_main
from train.job import Job, JobError
from train.learning.incremental import EarlierArtifact, load_earlier_weights

PURPLE = (150, 40, 180)


def again(
    root: Path,
    artifact: Path | None,
    packed: bool = False,
    classes: dict = COLOURS,
    **hyperparameters: object,
) -> Job:
    """A job whose `model` channel holds an artifact, unpacked or as SageMaker delivers it; only what is given is set."""
    (root / "input/config").mkdir(parents=True)
    for number, (name, count) in enumerate({"train": 6, "validation": 3}.items()):
        draw_channel(root / "input/data" / name, count, seed=500 + number * 100, classes=classes)
    texts = {
        "epochs": 1,
        "batch_size": 8,
        "augmentation": "none",
        "quantize": "false",
        "lr": 1e-9,
        **hyperparameters,
    }
    (root / "input/config/hyperparameters.json").write_text(
        json.dumps({name: str(value) for name, value in texts.items()})
    )
    channel = root / "input/data/model"
    if packed:
        channel.mkdir()
        with tarfile.open(channel / "model.tar.gz", "w:gz") as tar:
            for path in artifact.iterdir():
                tar.add(path, path.name)
    elif artifact:
        shutil.copytree(artifact, channel)
    return Job(root)


@pytest.mark.parametrize("packed", [False, True])
def test_the_same_classes_go_on_where_the_earlier_training_ended(tmp_path, capsys, trained, packed):
    """With a rate of next to nothing the new artifact answers as the old one; sizes, model and head come from it."""
    job = again(tmp_path, trained.model, packed)
    code, out = run_main(job, capsys)
    assert code == 0, out
    old, new = read_description(trained.model), read_description(job.model)
    assert (
        new.architecture == "shufflenet_v2_x0_5"
        and new.preprocessing == old.preprocessing
        and new.preprocessing.crop == 32
    )
    assert "head: 3 of 3 classes are taken over" in out and new.accuracy["validation"] > 0.8
    assert new.provenance["weights"].startswith(
        "the earlier artifact in the channel 'model' (shufflenet_v2_x0_5, 3 classes, SHA-256 "
    )
    assert (
        new.provenance["earlier"]["classes_taken_over"] == 3
        and new.provenance["earlier"]["weights"] == "random weights"
    )
    assert new.provenance["earlier"]["data"] == old.provenance["data"]


def test_other_classes_keep_the_rows_of_those_that_both_have(tmp_path, capsys, trained):
    """`azure` comes first and `red` is gone: every row moves."""
    job = again(
        tmp_path,
        trained.model,
        classes={"azure": PURPLE, "blue": COLOURS["blue"], "green": COLOURS["green"]},
        optimizer="sgd",
        lr=0,
    )
    code, out = run_main(job, capsys)
    assert (
        code == 0
        and "head: 2 of 3 classes are taken over from the earlier artifact, 1 start fresh, 1 of its classes are gone"
        in out
    ), out
    old, new = (
        safetensors.torch.load_file(folder / "model.safetensors")
        for folder in (trained.model, job.model)
    )
    for name in ("fc.weight", "fc.bias"):
        assert torch.equal(new[name][1:], old[name][:2]) and not torch.equal(
            new[name][0], old[name][2]
        )
    assert torch.equal(new["conv1.0.weight"], old["conv1.0.weight"])


@pytest.mark.parametrize(
    "model, head", [("resnet18", (8, 6)), ("squeezenet1_1", ()), ("vit_b_32", (8,))]
)
def test_heads_of_every_kind_are_matched_by_class(model, head, trained):
    """Another order and another size of photos; hidden layers are taken whole, the last one row by row."""
    torch.manual_seed(3)
    old, new = build(model, 3, head, 64), build(model, 4, head, 96)
    description = read_description(trained.model)
    earlier = EarlierArtifact(
        description, {name: value.clone() for name, value in old.state_dict().items()}, "f" * 64
    )
    object.__setattr__(description, "head", head)
    load_earlier_weights(
        new, Hyperparameters(model=model, head=head), earlier, ("red", "violet", "blue", "green")
    )
    *hidden, last = [
        module
        for module in new.get_submodule(new.head_name).modules()
        if isinstance(module, (torch.nn.Linear, torch.nn.Conv2d))
    ]
    *before, first = [
        module
        for module in old.get_submodule(old.head_name).modules()
        if isinstance(module, (torch.nn.Linear, torch.nn.Conv2d))
    ]
    assert torch.equal(last.weight[[2, 3, 0]], first.weight) and torch.equal(
        last.bias[[2, 3, 0]], first.bias
    )
    assert len(hidden) == len(head) and all(
        torch.equal(ours.weight, theirs.weight) for ours, theirs in zip(hidden, before)
    )


def test_hyperparameters_may_set_other_sizes_and_another_head(tmp_path, capsys, trained):
    job = again(tmp_path, trained.model, image_size=48, head="8")
    code, out = run_main(job, capsys)
    description = read_description(job.model)
    assert code == 0 and "head: starts fresh" in out
    assert (
        description.preprocessing.crop == 48
        and description.preprocessing.resize == 54
        and description.head == (8,)
    )


def test_a_channel_of_plain_weights_may_be_called_model(tmp_path, capsys):
    job = again(tmp_path, None, model="shufflenet_v2_x0_5", weights="model", image_size=32)
    (tmp_path / "input/data/model").mkdir()
    torch.save(
        build("shufflenet_v2_x0_5", 1000).state_dict(), tmp_path / "input/data/model/weights.pth"
    )
    code, _ = run_main(job, capsys)
    assert code == 0 and "earlier" not in read_description(job.model).provenance


REFUSED = [
    (
        {"model": "resnet18"},
        None,
        "hyperparameter model is 'resnet18', but the earlier artifact in the channel 'model' is a shufflenet_v2_x0_5",
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
    ({}, lambda folder: tear(folder, cut=2000), "model.tar.gz' cannot be unpacked"),
    (
        {},
        lambda folder: tear(folder, member="../../evil"),
        "'../../evil' would lie outside the folder",
    ),
]


def tear(folder: Path, cut: int | None = None, member: str | None = None) -> None:
    """In place of the artifact its archive, cut off or with one member more."""
    with tarfile.open(folder / "model.tar.gz", "w:gz") as tar:
        for path in folder.glob("model.[jos]*"):
            tar.add(path, path.name)
        if member:
            entry = tarfile.TarInfo(member)
            entry.size = 4
            tar.addfile(entry, io.BytesIO(b"evil"))
    if cut:
        (folder / "model.tar.gz").write_bytes((folder / "model.tar.gz").read_bytes()[:cut])
    (folder / "model.json").unlink()


@pytest.mark.parametrize(
    "settings, spoil, words", REFUSED, ids=[words[:40] for _, _, words in REFUSED]
)
def test_what_cannot_be_gone_on_from_is_one_clear_sentence(
    tmp_path, capsys, trained, settings, spoil, words
):
    job = again(tmp_path / "ml", trained.model, **settings)
    if spoil:
        spoil(tmp_path / "ml/input/data/model")
    code, out = run_main(job, capsys)
    assert (
        code == 1 and words in failure(job) and "\n" not in failure(job) and "Traceback" not in out
    )
    assert not list(tmp_path.rglob("evil")) and not job.checkpoints.exists()


def test_weights_that_contradict_their_description_are_refused(trained):
    network = build("shufflenet_v2_x0_5", 3)
    state = safetensors.torch.load_file(trained.model / "model.safetensors")
    for name, value, words in (
        (
            "fc.bias",
            torch.zeros(7),
            "'fc.bias' of its model.safetensors is missing or of another shape",
        ),
        ("conv1.0.weight", torch.zeros(1), "does not fit model shufflenet_v2_x0_5: 1 of "),
    ):
        with pytest.raises(JobError, match=re.escape(words)):
            load_earlier_weights(
                network,
                Hyperparameters(model="shufflenet_v2_x0_5"),
                EarlierArtifact(read_description(trained.model), state | {name: value}, ""),
                ("blue", "green", "red"),
            )
