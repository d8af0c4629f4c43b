"""The folder of an artifact, which SageMaker or a user gives unpacked or as a model.tar.gz."""

import errno
import shutil
import tarfile
import tempfile
from pathlib import Path

from artifact.model import DESCRIPTION_FILE, ArtifactError

ARCHIVE = "model.tar.gz"
PREFIX = "slipway-model-"


def artifact_folder(path: Path) -> Path:
    """The folder that holds model.json: `path`, or a temporary one with its archive unpacked.

    path may also name the archive. Raises ArtifactError for an archive that cannot be read,
    MemoryError for one that does not fit on the disk. A folder without either is returned as it is:
    the reader of model.json then says what is missing.
    """
    archive = path if path.is_file() else path / ARCHIVE
    if (path / DESCRIPTION_FILE).is_file() or not archive.is_file():
        return path
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    try:
        extract(archive, folder)
    except (OSError, ValueError) as error:
        shutil.rmtree(folder, ignore_errors=True)
        if getattr(error, "errno", None) == errno.ENOSPC:
            raise MemoryError(
                f"'{archive}' does not fit into {tempfile.gettempdir()} when it is unpacked"
            ) from error
        raise ArtifactError(
            f"'{archive}' cannot be unpacked ({error}); "
            f"expected a tar archive with {DESCRIPTION_FILE} at its top"
        ) from error
    return folder


def extract(archive: Path, folder: Path, strict: bool = True) -> None:
    """Write a tar archive's ordinary files below a folder: no links, no devices.

    A file that would lie outside is left out, or with `strict` refused. Raises ValueError for that
    and for a file that is not a tar archive, OSError when reading or writing fails.
    """
    # by hand, because Debian's Python 3.11 has no filters for extractall yet
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                if member.isfile() and (strict or _below(member, folder)):
                    _write(tar, member, folder)
    except (EOFError, tarfile.TarError) as error:
        raise ValueError(str(error) or "it ends too early") from error


def _below(member: tarfile.TarInfo, folder: Path) -> bool:
    return (folder / member.name).resolve().is_relative_to(folder.resolve())


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> None:
    target = (folder / member.name).resolve()
    if not _below(member, folder):
        raise ValueError(f"'{member.name}' would lie outside the folder")
    target.parent.mkdir(parents=True, exist_ok=True)
    source = tar.extractfile(member)
    assert source is not None, "an ordinary file has contents"
    with source, target.open("wb") as copy:
        shutil.copyfileobj(source, copy)


def discard(folder: Path) -> None:
    """Remove a folder that `artifact_folder` made; any other stays."""
    if folder.name.startswith(PREFIX) and folder.parent == Path(tempfile.gettempdir()):
        shutil.rmtree(folder, ignore_errors=True)
