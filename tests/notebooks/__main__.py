"""python -m tests.notebooks FOLDER: run all notebooks of a folder, in the order of their names.

It runs in the notebooks' own environment. One line per notebook says its seconds; a cell that fails
is shown with its error, and the exit code is 1.
"""

import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

CELL_S = 1800  # a search on a busy machine
KERNEL_S = 300  # until a kernel answers, on a busy machine


def run(path: Path) -> None:
    """Run a notebook in its folder, and write what its cells have given into it."""
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=CELL_S,
        startup_timeout=KERNEL_S,
        kernel_name="python3",
        resources={"metadata": {"path": str(path.parent)}},
    )
    try:
        client.execute()
    finally:
        nbformat.write(notebook, path)


def main(folder: Path) -> int:
    for path in sorted(folder.glob("*.ipynb")):
        began = time.monotonic()
        try:
            run(path)
        except CellExecutionError as error:
            print(f"notebook: {path.name}: {error}", flush=True)
            return 1
        print(f"notebook: {path.name} seconds={time.monotonic() - began:.0f}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
