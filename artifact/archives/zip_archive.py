"""A zip archive that may be hostile, read as tar_archive.py reads a tar archive."""

import stat
import struct
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, BinaryIO

ZIP_STARTS = (b"PK\x03\x04", b"PK\x05\x06")
UTF8_FLAG = 0x800
ENCRYPTED_FLAG = 0x1
ENTRY_BYTES = 512  # of the directory at the end, for each member: its name, times and sizes
SPARE_ENTRIES = 64
END_BYTES = 22  # of the record that ends a zip, without its comment
LONGEST_COMMENT = 65_535
# Before the end of a large zip: where the record of 64 bits is, and that record.
LOCATOR, LOCATOR_BYTES = b"PK\x06\x07", 20
LARGE_END, LARGE_END_BYTES = b"PK\x06\x06", 56
ENTRY = b"PK\x01\x02"
PIECE_BYTES = 1 << 20
# An LZMA member names the memory that it needs, up to 4 GB.
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2)


class ZipArchive:
    """A zip archive, by the same calls as ArchiveFile.

    Raises OSError when it cannot be opened, ValueError for another kind of file, an encrypted one,
    and a directory far larger than `most` members need: zipfile reads it into memory as a whole.
    """

    def __init__(self, path: Path, most: int):
        _check_directory(path, most)
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, NotImplementedError) as error:
            raise ValueError(f"it is no whole zip archive ({error})") from error
        self._current: zipfile.ZipInfo | None = None

    def __enter__(self) -> "ZipArchive":
        return self

    def __exit__(self, *error: object) -> None:
        self._zip.close()

    def members(self) -> Iterator[tarfile.TarInfo]:
        """Its members in tar's words. A member's contents must be read before the next comes."""
        for info in self._zip.infolist():
            if info.flag_bits & ENCRYPTED_FLAG:
                raise ValueError("it is encrypted; unpack it, and give the folder")
            if info.compress_type not in METHODS:
                raise ValueError(
                    f"it is compressed by the method {info.compress_type}, which is not read; "
                    "unpack it, and give the folder"
                )
            self._current = info
            member = tarfile.TarInfo(_name(info))
            member.size = info.file_size
            member.type = _kind(info)
            yield member

    def contents(self, member: tarfile.TarInfo) -> IO[bytes]:
        """The bytes of the member that came last; no more than its size says."""
        assert self._current is not None, "contents follow a member"
        return self._zip.open(self._current)


def _check_directory(path: Path, most: int) -> None:
    with path.open("rb") as file:
        length = file.seek(0, 2)
        begin = max(0, length - LARGE_END_BYTES - LOCATOR_BYTES - END_BYTES - LONGEST_COMMENT)
        file.seek(begin)
        tail = file.read()
        at = tail.rfind(b"PK\x05\x06")
        if at < 0 or len(tail) - at < END_BYTES:
            raise ValueError("it ends too early for a zip archive")
        size = _directory_bytes(tail, at)
        is_large = size > (most + SPARE_ENTRIES) * ENTRY_BYTES
        if is_large or _entries(file, max(0, begin + at - size), begin + at) > most + SPARE_ENTRIES:
            raise ValueError(f"its directory is larger than that of {most:,} members")


def _directory_bytes(tail: bytes, at: int) -> int:
    """The size of the directory before the end at `at`, by the records that zipfile reads."""
    size: int = struct.unpack_from("<L", tail, at + 12)[0]
    locator = at - LOCATOR_BYTES
    if not tail.startswith(LOCATOR, max(0, locator)):
        return size
    large: int = 0
    if tail.startswith(LARGE_END, max(0, locator - LARGE_END_BYTES)):
        (large,) = struct.unpack_from("<Q", tail, locator - LARGE_END_BYTES + 40)
    return max(large + LARGE_END_BYTES + LOCATOR_BYTES, size if size != 0xFFFFFFFF else 0)


def _entries(file: BinaryIO, start: int, end: int) -> int:
    """How many entries the directory in a part of the file has at most."""
    found = 0
    place = start
    while place < end:
        file.seek(place)
        # an entry's mark may lie across the end of a piece
        found += file.read(min(PIECE_BYTES + len(ENTRY) - 1, end - place)).count(ENTRY)
        place += PIECE_BYTES
    return found


def _name(info: zipfile.ZipInfo) -> str:
    """A member's name: many programs write UTF-8 without the flag that says so."""
    name = info.filename
    if not info.flag_bits & UTF8_FLAG:
        try:
            name = name.encode("cp437").decode("utf-8")
        except UnicodeError:
            name = info.filename
    return name if "/" in name else name.replace("\\", "/")


def _kind(info: zipfile.ZipInfo) -> bytes:
    if info.is_dir():
        return tarfile.DIRTYPE
    if stat.S_ISLNK(info.external_attr >> 16):
        return tarfile.SYMTYPE
    return tarfile.REGTYPE
