"""A tar archive that may be hostile: Python's tarfile, which reads no more of it than is sensible.

tarfile reads some headers into memory as a whole, whatever size they claim, and looks through them
in quadratic time (CVE-2024-6232). A header of a size below 0 made it read for ever (CVE-2025-8194).
"""

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path
from tarfile import TarFile
from typing import IO, BinaryIO, cast

from artifact.archives.compressed_tar import decompressed

HEADER_BYTES = 8 * 1024  # of one header: a path of 4,096 bytes, and some attributes
ALL_HEADERS_BYTES = 2 * 1024  # of a member's headers, on average
SPARE_HEADERS_BYTES = 64 * 1024


class ArchiveFile:
    """An archive, plain or compressed by gzip, to be read from its start to its end.

    any_kind: it may be compressed by bzip2 or xz, too. Raises OSError when it cannot be opened,
    ValueError for another kind of file. While it is read, tarfile and zlib raise nearly anything.
    """

    def __init__(self, path: Path, any_kind: bool = False):
        self._file: BinaryIO = path.open("rb")
        try:
            self._reader = _Reader(decompressed(self._file, any_kind))
            source = cast(IO[bytes], self._reader)
            self._tar = TarFile("", "r", source)
        except tarfile.TarError as error:
            self._file.close()
            kinds = "plain, in gzip, in bzip2 nor in xz" if any_kind else "plain nor in gzip"
            raise ValueError(f"it is no tar archive, neither {kinds}") from error
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> "ArchiveFile":
        return self

    def __exit__(self, *error: object) -> None:
        self._tar.close()
        self._file.close()

    def members(self) -> Iterator[tarfile.TarInfo]:
        """Its members, as they come. A member's contents must be read before the next comes."""
        while True:
            self._reader.begin_member()
            member = self._tar.next()
            kept: list[tarfile.TarInfo] = vars(self._tar)["members"]
            kept.clear()  # tarfile collects all members
            if member is None:
                self._reader.check_end()
                return
            yield member

    def contents(self, member: tarfile.TarInfo) -> IO[bytes]:
        """The bytes of an ordinary file, of the size that its header says."""
        self._reader.begin_contents()
        source = self._tar.extractfile(member)
        assert source is not None, "an ordinary file has contents"
        return source


def read_member(path: Path, name: str, most: int) -> bytes | None:
    """The bytes of the file of a name at an archive's top; None without it.

    Raises OSError when the archive cannot be read, ValueError for what is no whole archive, and for
    a file of more than `most` bytes.
    """
    try:
        with ArchiveFile(path) as archive:
            for member in archive.members():
                if member.name.removeprefix("./") == name and member.isfile():
                    if member.size > most:
                        raise ValueError(f"its {name} has more than {most:,} bytes")
                    return archive.contents(member).read()
    except (OSError, ValueError):
        raise
    except Exception as error:  # tarfile and zlib raise nearly anything on damaged files
        raise ValueError(str(error) or "it ends too early") from error
    return None


class _Reader:
    """What tarfile reads from. While it reads headers, these are bounded."""

    def __init__(self, content: BinaryIO):
        self._content = content
        self._in_contents = False
        self._headers_left = SPARE_HEADERS_BYTES
        self._last_header = b""

    def begin_member(self) -> None:
        self._in_contents = False
        self._headers_left += ALL_HEADERS_BYTES

    def begin_contents(self) -> None:
        self._in_contents = True

    def check_end(self) -> None:
        """Raise ValueError when tarfile has taken a damaged header for the archive's end."""
        if self._last_header.strip(b"\0"):  # blocks of zeros are an end, and so is the file's
            raise ValueError("a header in it is damaged")

    def read(self, size: int = -1) -> bytes:
        if not self._in_contents:
            if not 0 <= size <= HEADER_BYTES or size > self._headers_left:
                raise ValueError("its headers are far larger than those of files")
            self._headers_left -= size
            self._last_header = self._content.read(size)
            return self._last_header
        return self._content.read(size)

    def seek(self, position: int, whence: int = io.SEEK_SET) -> int:
        return self._content.seek(position, whence)

    def tell(self) -> int:
        return self._content.tell()
