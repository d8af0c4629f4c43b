"""torch.compile in training: the same learning, and a clear sentence without a compiler.

Under the debugger's hook the network is not compiled.
"""

import copy
import shutil

import pytest
import torch
from torch import nn

from tests.support.jobs import failure, make_job, run_main
from train.device import compiled

pytestmark = pytest.mark.training

SETTINGS = {
    "model": "squeezenet1_1",
    "image_size": 64,
    "resize": 72,
    "epochs": 1,
    "compile": "true",
    "precision": "float32",
}


@pytest.mark.skipif(not shutil.which("g++"), reason="needs a C++ compiler")
@pytest.mark.filterwarnings("ignore")  # of torch's compiler, about its own modules
@pytest.mark.verify
def test_compiled_steps_learn_the_same_dropout_included():
    torch.manual_seed(0)
    eager = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Dropout(0.5), nn.Flatten(), nn.Linear(144, 3)
    )
    # As training has both: the order in memory is that in which dropout's numbers are drawn.
    last = torch.channels_last
    eager.to(memory_format=last)  # type: ignore[call-overload]  # torch's
    photos = torch.randn(8, 3, 8, 8).contiguous(memory_format=last)
    labels = torch.randint(3, (8,))

    def losses(network: nn.Module, step_module: nn.Module) -> list[float]:
        torch.manual_seed(1)
        optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
        values = []
        for _ in range(3):
            loss = nn.functional.cross_entropy(step_module(photos), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            values.append(loss.item())
        return values

    other = copy.deepcopy(eager)
    assert losses(other, compiled(other)) == pytest.approx(losses(eager, eager), rel=1e-4)


def test_no_compiler_is_one_clear_sentence(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    job = make_job(tmp_path / "job", {"train": 4, "validation": 2}, **SETTINGS)
    assert run_main(job, capsys)[0] == 1
    assert "compile=true needs a C++ compiler" in failure(job)


def test_the_hook_goes_before(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    photos = {"train": 4, "validation": 2}
    job = make_job(tmp_path / "job", photos, **SETTINGS, debug="true")
    code, output = run_main(job, capsys)
    assert code == 0
    assert "compile: left out" in output
