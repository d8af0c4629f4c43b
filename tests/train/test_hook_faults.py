"""A fault of the hook ends the saving, never the training."""

import os

import pytest
import torch
from torch import nn

from tests.support.watched_training import read, small_network, warnings_of, watch
from train.job import Job
from train.recording.debug_settings import DebugSettings
from train.recording.hooks import open_hook

pytestmark = pytest.mark.training

EVERY = DebugSettings(train_interval=1)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_a_full_disk_ends_the_saving_and_not_the_training(tmp_path, caplog):
    def fill(step: int) -> None:
        if step == 3:
            for path in (tmp_path / "output" / "data" / "tensors" / "events").glob("*"):
                last = path
            following = last.parent / "000000000003"
            following.mkdir()
            (following / "000000000003_worker_0.tfevents.tmp").symlink_to("/dev/full")

    plain = watch(tmp_path / "plain", small_network(), settings=None)
    assert watch(tmp_path, small_network(), after_step=fill) == plain
    assert len(warnings_of(caplog)) == 1
    assert "No space left" in warnings_of(caplog)[0]
    assert read(tmp_path).steps() == [0, 1, 2]


class Odd(nn.Module):
    """A network with numbers inside that smdebug's format has no word for."""

    def __init__(self):
        super().__init__()
        self.network, self.odd = small_network(), nn.Identity()

    def forward(self, values):
        logits = self.network(values)
        self.odd(logits.detach().to(torch.float8_e5m2))
        return logits


def test_a_fault_in_the_middle_ends_the_saving_and_not_the_training(tmp_path, caplog):
    config = tmp_path / "input" / "config"
    config.mkdir(parents=True)
    (config / "debughookconfig.json").write_text(
        '{"HookParameters": {"save_all": "true", "save_interval": "1"}}'
    )
    torch.manual_seed(0)
    plain = watch(tmp_path / "plain", Odd(), settings=None)
    network = Odd()
    assert watch(tmp_path, network, settings=None) == plain
    assert len(warnings_of(caplog)) == 1
    assert "Float8" in warnings_of(caplog)[0]
    assert not network.odd._forward_hooks


def test_a_compiled_network_is_not_watched(tmp_path, caplog):
    compiled = torch.compile(small_network(), backend="eager")
    assert isinstance(compiled, nn.Module)
    assert open_hook(Job(tmp_path), EVERY, compiled) is None
    assert "compile" in warnings_of(caplog)[0]
