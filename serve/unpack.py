"""The folder of an artifact, wherever SageMaker or a user put it: unpacked, or still a model.tar.gz."""

import atexit
import os
import shutil
import tarfile
import tempfile
from pathlib import Path

from artifact.model import DESCRIPTION_FILE, ArtifactError

ARCHIVE = "model.tar.gz"
PREFIX = "slipway-model-"


def artifact_folder(path: Path) -> Path:
    """The folder that holds model.json: `path` itself, or a temporary one into which its model.tar.gz is unpacked.

    path may also name the archive. The temporary folder is removed when the process ends. ArtifactError for an archive
    that cannot be read or does not fit on the disk; a folder without either is left for the reader to complain of.
    """
    archive = path if path.is_file() else path / ARCHIVE
    if (path / DESCRIPTION_FILE).is_file() or not archive.is_file():
        return path
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    atexit.register(_discard_at_exit, folder, os.getpid())
    try:
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")
    except (OSError, EOFError, tarfile.TarError) as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise ArtifactError(f"'{archive}' cannot be unpacked ({error}); expected a tar archive with {DESCRIPTION_FILE} at its top") from error
    return folder


def discard(folder: Path) -> None:
    """Remove a folder that `artifact_folder` made; any other stays."""
    if folder.name.startswith(PREFIX) and folder.parent == Path(tempfile.gettempdir()):
        shutil.rmtree(folder, ignore_errors=True)


def _discard_at_exit(folder: Path, owner: int) -> None:
    if os.getpid() == owner:  # a worker process inherits this, and must not pull the folder from under the others
        discard(folder)
