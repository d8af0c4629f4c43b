"""notebooks/: each runs whole against local SageMaker, in the environment that `make` gives it."""

import ast
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.environments_made import not_made
from tests.support.jobs import REPOSITORY

NOTEBOOKS = sorted((REPOSITORY / "notebooks").glob("*.ipynb"))


def cells(path: Path, kind: str) -> list[str]:
    notebook = json.loads(path.read_text(encoding="utf-8"))
    return ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == kind]


def python_of(cell: str) -> str:
    """A cell without the lines that IPython alone reads."""
    lines = cell.splitlines()
    return "\n".join(
        f"{line[: len(line) - len(line.lstrip())]}pass" if line.lstrip()[:1] in ("!", "%") else line
        for line in lines
    )


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_is_clean_and_its_cells_are_python(path):
    notebook = json.loads(path.read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        assert not cell.get("outputs"), "run results are not kept"
    for cell in cells(path, "code"):
        ast.parse(python_of(cell))
        assert max(map(len, cell.splitlines())) <= 100, cell
    assert cells(path, "markdown")[0].startswith("# ")


@pytest.mark.verify
def test_all_notebooks_run_in_their_order(tmp_path):
    made = subprocess.run(
        ["make", "--no-print-directory", ".venv/.notebooks"],
        cwd=REPOSITORY, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if made.returncode:
        not_made("the notebooks", made.stdout + made.stderr)
    folder = tmp_path / "notebooks"
    folder.mkdir()
    for path in NOTEBOOKS:
        shutil.copy(path, folder)
    python = REPOSITORY / ".venv-notebooks/bin/python"
    done = subprocess.run(
        [REPOSITORY / "slipway/with_sagemaker.sh", python, "-m", "tests.notebooks", folder],
        cwd=REPOSITORY,
        env={**os.environ, "STATE": str(tmp_path / "state"), "ENGINE": "process"},
        capture_output=True,
        text=True,
        check=False,
    )
    print(done.stdout)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    assert done.stdout.count("seconds=") == len(NOTEBOOKS)
