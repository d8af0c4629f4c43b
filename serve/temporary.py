"""Where the server's temporary files lie: in one folder, which goes when the server does."""

import atexit
import os
import shutil
import tempfile


def keep_in_one_folder() -> None:
    """Have this process and those that it forks make temporary files in a folder of their own, removed when this one ends,
    whatever became of the others. Where nothing can be written, nothing changes."""
    try:
        folder = tempfile.mkdtemp(prefix="slipway-")
    except OSError:
        return
    tempfile.tempdir = folder
    atexit.register(_remove, folder, os.getpid())


def _remove(folder: str, owner: int) -> None:
    if (
        os.getpid() == owner
    ):  # a worker process inherits this, and must not pull the folder from under the others
        shutil.rmtree(folder, ignore_errors=True)
