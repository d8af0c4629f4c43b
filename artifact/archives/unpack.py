"""The folder of an artifact, which SageMaker or a user gives unpacked or as a model.tar.gz.

An archive may come from anyone: it is unpacked within bounds, beside its place, and takes its place
as a whole or not at all.
"""

import contextlib
import errno
import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from artifact.archives.compressed_tar import STARTS
from artifact.archives.owned_folder import discard_leftovers, owned_folder, release
from artifact.archives.tar_archive import ArchiveFile
from artifact.archives.zip_archive import ZIP_STARTS, ZipArchive
from artifact.host.machine import folder_room
from artifact.model import DESCRIPTION_FILE, TEMPORARY_SUFFIX, ArtifactError

ARCHIVE = "model.tar.gz"
PREFIX = "slipway-model-"
TAR_MAGIC = b"ustar"
TAR_MAGIC_AT = 257
MIB = 1024 * 1024
# A name that is too long, a folder's, or below a file's.
NO_PLACE = (errno.ENAMETOOLONG, errno.EISDIR, errno.ENOTDIR, errno.EEXIST)
MOST_LEFT_OUT = 10_000  # members that are named


@dataclass(frozen=True)
class ArchiveBounds:
    """What an archive may hold: members of all kinds, levels of folders, bytes when unpacked."""

    members: int = 1000
    levels: int = 16
    size: int = 10_240 * MIB


MODEL_BOUNDS = ArchiveBounds()
# A job's output may hold a file for each step that saved tensors.
OUTPUT_BOUNDS = ArchiveBounds(members=200_000)


def artifact_folder(path: Path, bounds: ArchiveBounds = MODEL_BOUNDS) -> Path:
    """The folder that holds model.json: `path`, or a temporary one with its archive unpacked.

    path may also name the archive. Raises ArtifactError for an archive that cannot be read or goes
    beyond the bounds, MemoryError for one that does not fit on the disk. A folder without either is
    returned as it is: the reader of model.json then says what is missing.

    A temporary folder that a process left when it was killed is removed by the next call.
    """
    archive = path if path.is_file() else path / ARCHIVE
    if (path / DESCRIPTION_FILE).is_file() or not archive.is_file():
        return path
    discard_unpacked()
    try:
        folder = owned_folder(Path(tempfile.gettempdir()), PREFIX)
    except OSError as error:
        raise ArtifactError(
            f"'{archive}' cannot be unpacked: there is no folder for temporary files ({error}); "
            "with --read-only give --tmpfs /tmp"
        ) from error
    try:
        _unpack(archive, folder, _Rules(bounds))
    except BaseException as error:
        discard(folder)
        if getattr(error, "errno", None) == errno.ENOSPC:
            raise MemoryError(
                f"'{archive}' does not fit into {tempfile.gettempdir()} when it is unpacked"
            ) from error
        if not isinstance(error, OSError | ValueError):
            raise
        raise ArtifactError(
            f"'{archive}' cannot be unpacked ({error}); "
            f"expected a tar archive with {DESCRIPTION_FILE} at its top"
        ) from error
    return folder


def is_archive(path: Path) -> bool:
    """Whether a file begins as a tar archive, plain or compressed, or as a zip archive."""
    with path.open("rb") as file:
        start = file.read(TAR_MAGIC_AT + len(TAR_MAGIC))
    in_tar = start.endswith(TAR_MAGIC) or path.suffix.lower() == ".tar"
    return in_tar or start.startswith((*STARTS, *ZIP_STARTS))


def extract(
    archive: Path, folder: Path, bounds: ArchiveBounds = MODEL_BOUNDS, strict: bool = True
) -> None:
    """Write a tar archive's ordinary files below a folder: no links, no devices.

    The archive may be compressed by gzip. A file that would lie outside is left out, or with
    `strict` refused. The folder stays as it is until all files are written beside it.

    Raises ValueError for a file outside, one that is not a tar archive, and for more than the
    bounds allow; OSError when reading or writing fails, ENOSPC before a file that does not fit.
    """
    with _placed(folder) as part:
        _unpack(archive, part, _Rules(bounds, strict))


def extract_photos(archive: Path, folder: Path, bounds: ArchiveBounds) -> dict[str, str]:
    """As `extract`, of a tar archive in gzip, bzip2 or xz, or of a zip archive.

    A hard link to a file before it becomes that file once more. The result: what is left out, by
    its path, with the reason; of very many the first ones.
    """
    rules = _Rules(bounds, strict=False, any_kind=True)
    with _placed(folder) as part:
        _unpack(archive, part, rules)
    return rules.left_out


@dataclass
class _Rules:
    """How an archive is unpacked. left_out: what was not written, with any_kind alone."""

    bounds: ArchiveBounds
    strict: bool = True
    any_kind: bool = False
    left_out: dict[str, str] = field(default_factory=dict)

    def leave_out(self, name: str, reason: str) -> None:
        if self.any_kind and len(self.left_out) < MOST_LEFT_OUT:
            self.left_out[os.path.normpath(name)] = reason


@contextlib.contextmanager
def _placed(folder: Path) -> Iterator[Path]:
    """An empty folder whose files get their places below another one when all is well."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{folder.name}.unpack-"
    discard_leftovers(folder.parent, prefix)
    part = owned_folder(folder.parent, prefix)
    try:
        yield part
        part.chmod(0o755)  # it was private
        _move(part, folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
        release(part)


def _move(source: Path, folder: Path) -> None:
    """Give a folder's files their places below another one, on the same disk."""
    with contextlib.suppress(OSError):  # that one holds files already, or is a link
        source.rename(folder)
        return
    for path in sorted(source.rglob("*")):
        target = folder / path.relative_to(source)
        if path.is_dir():
            target.mkdir(parents=True, exist_ok=True)
        else:
            path.replace(target)


def _unpack(archive: Path, folder: Path, rules: _Rules) -> None:
    """As `extract`, into a folder that is empty and private."""
    # by hand, because Debian's Python 3.11 has no filters for extractall yet
    try:
        with _open(archive, rules) as opened:
            _write_members(opened, folder, rules)
    except (OSError, ValueError, MemoryError):
        raise
    except RecursionError as error:
        raise ValueError("its headers refer to each other without end") from error
    except Exception as error:  # tarfile and zlib raise nearly anything on damaged files
        raise ValueError(str(error) or "it ends too early") from error


def _open(archive: Path, rules: _Rules) -> ArchiveFile | ZipArchive:
    with archive.open("rb") as file:
        start = file.read(len(ZIP_STARTS[0]))
    if rules.any_kind and start in ZIP_STARTS:
        return ZipArchive(archive, rules.bounds.members)
    return ArchiveFile(archive, rules.any_kind)


def _write_members(opened: ArchiveFile | ZipArchive, folder: Path, rules: _Rules) -> None:
    size = 0
    room = folder_room(folder)
    for member in bounded_members(opened, rules.bounds):
        if not rules.strict:
            member.name = member.name.lstrip("/")  # as tar does
        size += member.size
        if size > room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if not rules.strict and not _below(member.name, folder):
            rules.leave_out(member.name, "it would lie outside the folder")
        elif member.isfile():
            _place(opened, member, folder, rules)
        elif rules.any_kind and not member.isdir():
            reason = _link(member, folder)
            if reason:
                rules.leave_out(member.name, reason)


def bounded_members(
    opened: ArchiveFile | ZipArchive, bounds: ArchiveBounds
) -> Iterator[tarfile.TarInfo]:
    """An archive's members, as they come. Raises ValueError for what goes beyond the bounds."""
    size = 0
    for number, member in enumerate(opened.members(), 1):
        size += member.size
        _check(member, bounds)
        if number > bounds.members:
            raise ValueError(f"it holds more than {bounds.members:,} members")
        if size > bounds.size:
            raise ValueError(f"its files have more than {bounds.size / MIB:,.0f} MB in all")
        yield member


def _place(
    opened: ArchiveFile | ZipArchive, member: tarfile.TarInfo, folder: Path, rules: _Rules
) -> None:
    """Write a file; of photos, leave out one whose name the disk cannot take."""
    try:
        _write(opened, member, folder)
    except OSError as error:
        if error.errno not in NO_PLACE:
            raise
        reason = f"its name has no place on this disk ({error.strerror})"
        if not rules.any_kind:
            raise ValueError(f"of {member.name[:100]!r}: {reason}") from error
        rules.leave_out(member.name, reason)


def _link(member: tarfile.TarInfo, folder: Path) -> str:
    """Make a hard link to a file that is there; why not, "" where it is made."""
    if member.issym():
        return "it is a symbolic link in an archive; pack the files themselves (tar --dereference)"
    if not member.islnk():
        return "it is not a regular file"
    original = (folder / member.linkname).resolve()
    if not _below(member.linkname, folder) or not original.is_file():
        return f"it is a hard link to '{member.linkname[:200]}', which the archive lacks before it"
    target = (folder / member.name).resolve()
    if target == original:
        return ""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        os.link(original, target)
    except OSError as error:
        return f"it is a hard link, and cannot be made ({error.strerror})"
    return ""


def _check(member: tarfile.TarInfo, bounds: ArchiveBounds) -> None:
    """Raise ValueError for a member that no archive of ours has."""
    name = member.name[:100]
    if member.issparse():
        raise ValueError(f"{name!r} is a sparse file; pack its files whole")
    if member.size < 0:
        raise ValueError(f"{name!r} has a size below 0")
    if len(PurePosixPath(member.name).parts) > bounds.levels:
        raise ValueError(f"{name!r} lies more than {bounds.levels} levels deep")


def _below(name: str, folder: Path) -> bool:
    return (folder / name).resolve().is_relative_to(folder.resolve())


def _write(opened: ArchiveFile | ZipArchive, member: tarfile.TarInfo, folder: Path) -> None:
    target = (folder / member.name).resolve()
    if not _below(member.name, folder):
        raise ValueError(f"{member.name[:100]!r} would lie outside the folder")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)  # it may be a hard link to another member
    with opened.contents(member) as source, target.open("wb") as copy:
        shutil.copyfileobj(source, copy)


def discard(folder: Path) -> None:
    """Remove a folder that `artifact_folder` made; any other stays."""
    is_own = folder.name.startswith(PREFIX) and folder.suffix == TEMPORARY_SUFFIX
    if is_own and folder.parent == Path(tempfile.gettempdir()):
        shutil.rmtree(folder, ignore_errors=True)
        release(folder)


def discard_unpacked() -> None:
    """Remove the folders of `artifact_folder` whose processes have ended."""
    with contextlib.suppress(OSError):  # no place for temporary files has none of them
        discard_leftovers(Path(tempfile.gettempdir()), PREFIX)
