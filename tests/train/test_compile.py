"""torch.compile in training: the same learning, a clear sentence without a compiler, and none of it under the debugger's hook."""

import copy
import shutil

import pytest
import torch
from torch import nn

from tests.support.jobs import failure, make_job, run_main
from train.model.device import compiled

SETTINGS = {
    "model": "squeezenet1_1",
    "image_size": 64,
    "resize": 72,
    "epochs": 1,
    "compile": "true",
    "precision": "float32",
}


@pytest.mark.skipif(not shutil.which("g++"), reason="there is no C++ compiler here")
@pytest.mark.filterwarnings("ignore")  # of torch's compiler, about its own modules
def test_compiled_steps_learn_the_same_dropout_included():
    torch.manual_seed(0)
    eager = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Dropout(0.5), nn.Flatten(), nn.Linear(144, 3)
    )
    photos, labels = torch.randn(8, 3, 8, 8), torch.randint(3, (8,))

    def losses(network: nn.Module, stepping: nn.Module) -> list[float]:
        torch.manual_seed(1)
        optimizer, told = torch.optim.SGD(network.parameters(), lr=0.1), []
        for _ in range(3):
            loss = nn.functional.cross_entropy(stepping(photos), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            told.append(loss.item())
        return told

    other = copy.deepcopy(eager)
    assert losses(other, compiled(other)) == pytest.approx(losses(eager, eager), rel=1e-4)


def test_no_compiler_is_one_clear_sentence(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    job = make_job(tmp_path / "job", {"train": 4, "validation": 2}, **SETTINGS)
    assert run_main(job, capsys)[0] == 1
    assert "compile=true needs a C++ compiler" in failure(job)


def test_the_hook_goes_before(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    code, output = run_main(
        make_job(tmp_path / "job", {"train": 4, "validation": 2}, **SETTINGS, debug="true"), capsys
    )
    assert code == 0 and "compile: left out" in output
