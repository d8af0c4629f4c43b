"""The server's temporary files: in one folder, which is removed when the server ends."""

import atexit
import os
import shutil
import tempfile


def keep_in_one_folder() -> None:
    """Give this process and its children a folder of their own for temporary files.

    It is removed when this process ends, even if a child was killed. Where nothing can be written,
    nothing changes.
    """
    try:
        folder = tempfile.mkdtemp(prefix="slipway-")
    except OSError:
        return
    tempfile.tempdir = folder
    atexit.register(_remove, folder, os.getpid())


def _remove(folder: str, owner: int) -> None:
    # Worker processes inherit this call, and must not remove the folder that others still use.
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)
