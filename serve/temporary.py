"""The server's temporary files: in one folder, which is removed when the server ends."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

from artifact.archives.owned_folder import discard_leftovers, owned_folder

PREFIX = "slipway-"


def keep_in_one_folder() -> None:
    """Give this process and its children a folder of their own for temporary files.

    It is removed when this process ends, even if a child was killed. What a killed server left is
    removed now. Where nothing can be written, nothing changes.
    """
    try:
        parent = Path(tempfile.gettempdir())
        discard_leftovers(parent, PREFIX)
        folder = owned_folder(parent, PREFIX)
    except OSError:
        return
    tempfile.tempdir = str(folder)
    atexit.register(_remove, folder, os.getpid())


def _remove(folder: Path, owner: int) -> None:
    # Worker processes inherit this call, and must not remove the folder that others still use.
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)
