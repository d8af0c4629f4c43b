"""python -m bench.gpu: its table is always there, and without a GPU its dry run does all of it."""

import subprocess
import sys
from pathlib import Path

import pytest

from bench.gpu import NO_GPU, all_cells, main
from bench.on_gpu.cells import Bench, Cell, LeftOut, Sizes, run_cells
from bench.on_gpu.results import bars, table
from tests.support.jobs import REPOSITORY


def opened(tmp_path: Path, cores: int = 16) -> Bench:
    return Bench("cuda", tmp_path, Sizes(), cores)


def test_a_cell_that_fails_leaves_its_figures_out_and_the_others_go_on(tmp_path):
    def fails(bench: Bench) -> dict[str, float]:
        raise RuntimeError("the engine ended with code -11")

    def cannot(bench: Bench) -> dict[str, float]:
        raise LeftOut("NCCL needs two GPUs, and 1 is here")

    cells = [
        Cell("one", {"a": "row a", "b": "row b"}, lambda bench: {"a": 1234.5}),
        Cell("two", {"c": "row c"}, fails),
        Cell("three", {"d": "row d"}, cannot),
        Cell("four", {"e": "row e"}, lambda bench: {"e": bench.figures["a"]}),
    ]
    bench = opened(tmp_path)
    run_cells(bench, cells)
    text = table(bench, cells)
    assert "| row a | 1234 |" in text
    assert "| row e | 1234 |" in text
    assert "- its cell does not give it here: row b" in text
    assert "- the engine ended with code -11: row c" in text
    assert "- NCCL needs two GPUs, and 1 is here: row d" in text


@pytest.mark.parametrize("cores, names", [(16, 4), (2, 3)])
def test_the_bar_of_decoding_wants_cores(tmp_path, cores, names):
    bench = opened(tmp_path, cores)
    bench.figures = {"jpegs_vs_reference": 1.3, "server_of_engine": 0.7, "jpegs_of_step": 0.95}
    bench.figures["p99_256"] = 19.0
    found = bars(bench)
    assert len(found) == names
    assert [name for name, bar in found.items() if not bar.met] == ["server_of_engine"]


def test_without_a_gpu_every_row_is_left_out(tmp_path, monkeypatch, capsys):
    file = tmp_path / "RESULTS.md"
    words = ["bench-gpu", "--out", str(tmp_path), "--results", str(file)]
    monkeypatch.setattr(sys, "argv", words)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert main() == 0
    rows = sum(len(cell.rows) for cell in all_cells(Sizes()))
    assert capsys.readouterr().out.endswith(f"bench-gpu: figures=0 left_out={rows}\n")
    assert f"- {NO_GPU}: device; GPUs; " in file.read_text()


@pytest.mark.training
@pytest.mark.verify
def test_a_dry_run_measures_every_row_but_those_of_a_gpu(tmp_path):
    command = [sys.executable, "-m", "bench.gpu", "--dry-run", "--out", str(tmp_path)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    left_out = done.stdout.partition("Left out:")[2].splitlines()[2:-1]
    names = [name for line in left_out for name in line.partition(": ")[2].split("; ")]
    allowed = {"its GPU in use, by its profile, %", "server's memory on the GPU, GiB"}
    allowed.add("synthetic, as a share of the device's bfloat16 limit, %")
    assert set(names) <= allowed, done.stdout
