"""The bytes of a tar archive that is compressed, in bounded memory, from start to end.

gzip and bzip2 take little memory by their design. An xz archive names the memory that it needs, up
to 4 GB: what programs write by default is far below the bound here.
"""

import bz2
import gzip
import io
import lzma
from typing import Any, BinaryIO, cast

GZIP_START = b"\x1f\x8b"
BZIP2_START = b"BZh"
XZ_START = b"\xfd7zXZ\0"
STARTS = (GZIP_START, BZIP2_START, XZ_START)
XZ_MEMORY = 256 << 20  # bytes; `xz -9` needs 65 MiB
CHUNK_BYTES = 1 << 16


def decompressed(file: BinaryIO, any_kind: bool) -> BinaryIO:
    """The file's content, by its first bytes: plain or in gzip, and with any_kind in bzip2 or xz.

    Reading it raises EOFError, OSError and ValueError for damaged data.
    """
    start = file.read(len(XZ_START))
    file.seek(0)
    if start.startswith(GZIP_START):
        return cast(BinaryIO, gzip.GzipFile(fileobj=file))
    if any_kind and start.startswith(BZIP2_START):
        return cast(BinaryIO, bz2.BZ2File(file))
    if any_kind and start.startswith(XZ_START):
        return cast(BinaryIO, io.BufferedReader(_Xz(file), CHUNK_BYTES))
    return file


class _Xz(io.RawIOBase):
    """An xz file that is read forwards; lzma's own reader has no bound of its memory."""

    def __init__(self, file: BinaryIO):
        self._file = file
        self._decompressor = self._new()
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, position: int, whence: int = io.SEEK_SET) -> int:
        if whence != io.SEEK_SET or position < self._at:
            raise ValueError("it is read from its start to its end")
        while self._at < position:
            if not self._read(min(CHUNK_BYTES, position - self._at)):
                break
        return self._at

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer)
        data = self._read(len(view))
        view[: len(data)] = data
        return len(data)

    def _read(self, most: int) -> bytes:
        """Some bytes; b"" at the end."""
        data = b""
        while not data:
            if self._decompressor.eof and not self._next_stream():
                break
            more = self._file.read(CHUNK_BYTES) if self._decompressor.needs_input else b""
            if not more and self._decompressor.needs_input:
                raise EOFError("it ends too early")
            try:
                data = self._decompressor.decompress(more, most)
            except lzma.LZMAError as error:
                raise ValueError(f"its xz data is damaged or needs too much ({error})") from error
        self._at += len(data)
        return data

    def _next_stream(self) -> bool:
        """Whether another stream follows, as several files of xz one behind another have it."""
        rest = self._decompressor.unused_data.lstrip(b"\0")
        while not rest:
            rest = self._file.read(CHUNK_BYTES)
            if not rest:
                return False
            rest = rest.lstrip(b"\0")
        self._decompressor = self._new()
        self._file.seek(-len(rest), io.SEEK_CUR)
        return True

    @staticmethod
    def _new() -> lzma.LZMADecompressor:
        return lzma.LZMADecompressor(lzma.FORMAT_XZ, XZ_MEMORY)
