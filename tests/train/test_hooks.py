"""The hook in a real training: smdebug reads its files back, and no fault ends the training."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn
from torchvision import tv_tensors

from tests.support.jobs import REPOSITORY
from tests.support.watched_training import photos, read, small_network, warnings_of, watch
from train.job import Job
from train.recording.debug_settings import DebugSettings
from train.recording.hooks import open_hook, set_aside

pytestmark = pytest.mark.training

EVERY = DebugSettings(train_interval=1)
WHOLE = DebugSettings(train_interval=1, sample=0)


def one_step(network, settings=EVERY, root=None, inputs=None, autocast=None, **options):
    """One training step under the hook; smdebug's trial of it."""
    root.mkdir(exist_ok=True)
    hook = open_hook(Job(root), settings, network, **options)
    assert hook is not None
    values, labels = photos(12)
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast is not None):
        logits = network(values if inputs is None else inputs)
    logits = logits["out"] if isinstance(logits, dict) else logits
    loss = nn.functional.cross_entropy(logits.float(), labels)
    hook.record(loss, labels, logits)
    loss.backward()
    hook.close()
    return read(root)


def weight(network: nn.Module, layer: str) -> torch.Tensor:
    return network.get_parameter(f"{layer}.weight")


def gradient_of(network: nn.Module, layer: str) -> torch.Tensor:
    gradient = weight(network, layer).grad
    assert gradient is not None
    return gradient


def test_what_is_saved_is_what_was_there(tmp_path):
    network = small_network()
    before = weight(network, "0").detach().clone()
    trial = one_step(network, root=tmp_path)
    gradient = gradient_of(network, "0")
    assert trial.tensor("gradient/Sequential_0.weight").reduction_value(
        0, "mean", abs=True
    ) == pytest.approx(gradient.abs().mean().item(), rel=1e-6)
    assert (
        trial.tensor("gradient/Sequential_0.weight").reduction_value(0, "max", abs=True)
        == gradient.abs().max().item()
    )
    np.testing.assert_array_equal(
        trial.tensor("Sequential_0.weight").value(0), before.reshape(-1).numpy()
    )
    assert len(trial.tensor("Sequential_3.weight").value(0)) <= 512 < weight(network, "3").numel()
    np.testing.assert_array_equal(trial.tensor("labels").value(0), np.arange(12) % 3)
    assert trial.tensor("predictions").value(0).shape == (12,)
    assert trial.tensor("Sequential_input_0").value(0).shape == (12, 3, 8, 8)
    assert trial.tensor("2.relu_activity_0").value(0).shape == (8,)
    assert trial.tensor("CrossEntropyLoss_output_0").value(0).shape == ()
    assert not [
        name
        for name in trial.tensor_names()
        if name.endswith("bias") and not name.startswith("gradient")
    ]


def test_whole_tensors_where_they_are_asked_for(tmp_path):
    network = small_network()
    trial = one_step(network, WHOLE, tmp_path)
    np.testing.assert_array_equal(
        trial.tensor("Sequential_3.weight").value(0), weight(network, "3").detach().numpy()
    )
    np.testing.assert_array_equal(
        trial.tensor("gradient/Sequential_8.weight").value(0), gradient_of(network, "8").numpy()
    )
    assert trial.tensor("5.relu_output_0").value(0).shape == (12, 8, 4, 4)


def test_an_in_place_relus_input_is_its_input(tmp_path):
    network = small_network()
    trial = one_step(network, WHOLE, tmp_path)
    assert (
        trial.tensor("2.relu_input_0").value(0).min()
        < 0
        <= trial.tensor("2.relu_output_0").value(0).min()
    )
    assert network[2].inplace  # given back as it was


def test_a_watched_training_is_the_same_training(tmp_path):
    plain, watched = small_network(), small_network()
    without = watch(tmp_path / "off", plain, settings=None)
    assert watch(tmp_path / "on", watched, validation=photos(30, 1)) == without
    for ours, theirs in zip(watched.parameters(), plain.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    assert not any(
        part._forward_hooks or part._forward_pre_hooks or hasattr(part, "_module_name")
        for part in watched.modules()
    )
    assert not (tmp_path / "off" / "output").exists()


def test_off_loads_nothing():
    code = """
import sys
from pathlib import Path
from torch import nn
from train.job import Job
from train.recording.hooks import open_hook
assert open_hook(Job(Path(".")), None, nn.Linear(1, 1)) is None
assert not [name for name in sys.modules if name.startswith("smdebug")]
"""
    subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=True)


def test_intervals_of_each_phase_and_what_validation_saves(tmp_path):
    from smdebug.core.modes import ModeKeys

    watch(
        tmp_path,
        small_network(),
        validation=photos(60, 1),
        epochs=2,
        settings=DebugSettings(train_interval=3, eval_interval=2),
    )
    trial = read(tmp_path)
    assert trial.steps(ModeKeys.TRAIN) == [0, 3, 6, 9]
    assert trial.steps(ModeKeys.EVAL) == [0, 2, 4]
    names = set(trial.tensor_names(step=0, mode=ModeKeys.EVAL))
    assert names == {"CrossEntropyLoss_output_0", "labels", "predictions", "Sequential_input_0"}
    assert (
        len(trial.tensor("labels").value(2, ModeKeys.EVAL)) == 12
    )  # the pass's last batch, not the first of the next


def test_frozen_parameters_are_left_out_until_they_are_unfrozen(tmp_path):
    network = small_network()
    for parameter in network[:6].parameters():
        parameter.requires_grad = False

    def unfreeze(step: int) -> None:
        if step == 2:
            network[3].weight.requires_grad = True

    watch(tmp_path, network, epochs=1, after_step=unfreeze)
    trial = read(tmp_path)
    assert not trial.has_tensor("Sequential_0.weight")
    assert trial.tensor("gradient/Sequential_8.weight").steps() == [0, 1, 2, 3, 4]
    assert (
        trial.tensor("gradient/Sequential_3.weight").steps()
        == trial.tensor("Sequential_3.weight").steps()
        == [2, 3, 4]
    )


@pytest.mark.parametrize("settings", [EVERY, WHOLE], ids=["sampled", "whole"])
def test_bfloat16(tmp_path, settings, caplog):
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.Tanh(), nn.Conv2d(4, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3)
    )
    trial = one_step(network, settings, tmp_path, autocast=torch.bfloat16)
    assert warnings_of(caplog) == []
    assert trial.tensor("1.tanh_input_0").value(0).dtype == np.float32
    assert trial.tensor("3.relu_input_0").reduction_value(0, "variance") > 0


def test_tensor_subclasses_and_dictionaries(tmp_path):
    class Wrapped(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = small_network()

        def forward(self, values):
            return {"out": self.inner(values)}

    trial = one_step(Wrapped(), WHOLE, tmp_path, inputs=tv_tensors.Image(photos(12)[0]))
    assert trial.tensor("Wrapped_input_0").value(0).shape == (12, 3, 8, 8)


def test_a_folder_used_again_keeps_the_run_before(tmp_path):
    watch(tmp_path, small_network(), epochs=1)
    watch(tmp_path, small_network(), epochs=2)
    watch(tmp_path, small_network(), epochs=3)
    tensors = tmp_path / "output" / "data" / "tensors"
    assert len(list((tensors / "events").iterdir())) == 15
    assert len(list((tmp_path / "output" / "data" / "tensors.previous" / "events").iterdir())) == 10


def test_what_is_not_smdebugs_stays_in_the_folder(tmp_path):
    (tmp_path / "tensors").mkdir()
    (tmp_path / "tensors" / "mine.txt").write_text("mine")
    set_aside(tmp_path / "tensors")
    assert (tmp_path / "tensors" / "mine.txt").exists()
    assert not (tmp_path / "tensors.previous").exists()


def test_checkpoints_stay_untouched(tmp_path, monkeypatch):
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "config.json").write_text(json.dumps({"LocalPath": str(tmp_path / "checkpoints")}))
    monkeypatch.setenv("CHECKPOINT_CONFIG_FILE_PATH", str(tmp_path / "config.json"))

    def checkpoint(step: int) -> None:
        (tmp_path / "checkpoints" / "checkpoint.pt").write_bytes(b"x" * step)

    watch(tmp_path, small_network(), epochs=1, after_step=checkpoint)
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["checkpoint.pt"]
    assert os.environ["CHECKPOINT_CONFIG_FILE_PATH"] == str(tmp_path / "config.json")


def test_a_scaled_loss_leaves_gradients_as_they_are(tmp_path):
    trials = []
    for folder, scale in (("plain", None), ("scaled", 1024.0)):
        network = small_network()
        (tmp_path / folder).mkdir()
        get_scale = None
        if scale is not None:
            get_scale = torch.amp.grad_scaler.GradScaler("cpu", init_scale=scale).get_scale
        hook = open_hook(Job(tmp_path / folder), EVERY, network, gradient_scale=get_scale)
        assert hook is not None
        values, labels = photos(12)
        for factor in (scale or 1.0, float("inf")):
            if scale or factor == 1.0:
                network.zero_grad()
                (nn.functional.cross_entropy(network(values), labels) * factor).backward()
        hook.close()
        trials.append(read(tmp_path / folder).tensor("gradient/Sequential_8.weight"))
    assert trials[1].reduction_value(0, "mean", abs=True) == pytest.approx(
        trials[0].reduction_value(0, "mean", abs=True), rel=1e-5
    )
    assert trials[1].steps() == [0]  # the second, endless, is one that the scaler skips


def test_rows_of_one_label_are_classes_and_several_labels_are_not_saved(tmp_path):
    network = small_network()
    hook = open_hook(Job(tmp_path), EVERY, network)
    assert hook is not None
    values, labels = photos(6)
    for wanted in (nn.functional.one_hot(labels, 3).float(), torch.ones(6, 3)):
        hook.record(None, wanted, network(values))
    hook.close()
    assert read(tmp_path).tensor("labels").steps() == [0]


def test_distributed_networks_are_watched_by_the_first_process_alone(tmp_path, monkeypatch):
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path / 'rendezvous'}", rank=0, world_size=1
    )
    try:
        trial = one_step(nn.parallel.DistributedDataParallel(small_network()), root=tmp_path)
        assert trial.has_tensor("gradient/Sequential_0.weight")
        assert trial.has_tensor("Sequential_0.weight")
        monkeypatch.setattr(torch.distributed, "get_rank", lambda: 1)
        assert open_hook(Job(tmp_path), EVERY, small_network()) is None
    finally:
        torch.distributed.destroy_process_group()


def test_smdebug_loads_quietly(tmp_path, capfd):
    watch(tmp_path, small_network(), epochs=1)
    assert capfd.readouterr().out == ""
