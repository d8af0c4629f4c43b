"""torch.compile in training: the same learning, a clear sentence without a compiler, and none of it under the debugger's hook."""

import json
import shutil

import pytest

from conftest import failure, make_job, run_main

SETTINGS = {"model": "squeezenet1_1", "image_size": 64, "resize": 72, "epochs": 1, "compile": "true", "precision": "float32"}


def losses(output: str) -> list[float]:
    return [float(line.partition("train_loss=")[2].split()[0]) for line in output.splitlines() if line.startswith("epoch=")]


@pytest.mark.skipif(not shutil.which("g++"), reason="there is no C++ compiler here")
@pytest.mark.filterwarnings("ignore")  # of torch's compiler, about its own modules
def test_a_compiled_step_learns_the_same(tmp_path, capsys):
    code, compiled = run_main(make_job(tmp_path / "compiled", {"train": 8, "validation": 4}, **SETTINGS), capsys)
    assert code == 0
    code, eager = run_main(make_job(tmp_path / "eager", {"train": 8, "validation": 4}, **SETTINGS | {"compile": "false"}), capsys)
    assert code == 0 and losses(compiled) == pytest.approx(losses(eager), rel=1e-3)
    assert json.loads((tmp_path / "compiled" / "model" / "model.json").read_text())["provenance"]["hyperparameters"]["compile"] is True


def test_no_compiler_is_one_clear_sentence(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    job = make_job(tmp_path / "job", {"train": 4, "validation": 2}, **SETTINGS)
    assert run_main(job, capsys)[0] == 1
    assert "compile=true needs a C++ compiler" in failure(job)


def test_the_hook_goes_before(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    code, output = run_main(make_job(tmp_path / "job", {"train": 4, "validation": 2}, **SETTINGS, debug="true"), capsys)
    assert code == 0 and "compile: left out" in output
