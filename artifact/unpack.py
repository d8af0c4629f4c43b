"""The folder of an artifact, wherever SageMaker or a user put it: unpacked, or still a model.tar.gz."""

import errno
import shutil
import tarfile
import tempfile
from pathlib import Path

from artifact.model import DESCRIPTION_FILE, ArtifactError

ARCHIVE = "model.tar.gz"
PREFIX = "slipway-model-"


def artifact_folder(path: Path) -> Path:
    """The folder that holds model.json: `path` itself, or a temporary one into which its model.tar.gz is unpacked.

    path may also name the archive. ArtifactError for an archive that cannot be read, MemoryError for one that does not fit on
    the disk; a folder without either is left for the reader to complain of.
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
            f"'{archive}' cannot be unpacked ({error}); expected a tar archive with {DESCRIPTION_FILE} at its top"
        ) from error
    return folder


def extract(archive: Path, folder: Path, strict: bool = True) -> None:
    """A tar archive's ordinary files to where they belong below a folder: no links, no devices. (Debian's Python 3.11 has no filters yet.)

    A file that would lie outside is left out, or with `strict` refused. ValueError for that, and for what is no such archive; OSError
    when it cannot be read or written.
    """
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
    with tar.extractfile(member) as source, target.open("wb") as copy:
        shutil.copyfileobj(source, copy)


def discard(folder: Path) -> None:
    """Remove a folder that `artifact_folder` made; any other stays."""
    if folder.name.startswith(PREFIX) and folder.parent == Path(tempfile.gettempdir()):
        shutil.rmtree(folder, ignore_errors=True)
