"""Photo files as their parts, and back: segments, chunks, blocks, tags. Damaged ends are kept."""

import struct
import zlib
from dataclasses import dataclass

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# JPEG markers that stand alone, without a length.
ALONE = {0xD8, 0x01, *range(0xD0, 0xD8)}
SCAN = 0xDA
END = 0xD9


@dataclass
class Parts:
    """A file's parts in order. head and tail are kept as they are."""

    head: bytes
    parts: list[bytes]
    tail: bytes = b""

    def joined(self) -> bytes:
        return self.head + b"".join(self.parts) + self.tail


def jpeg_parts(data: bytes) -> Parts:
    """Segments with their marker; a scan's samples belong to its segment."""
    parts = []
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == END:
            break
        end = at + 2
        if marker not in ALONE:
            end += struct.unpack(">H", data[at + 2 : at + 4])[0]
        if marker == SCAN:
            end = next_marker(data, end)
        parts.append(data[at:end])
        at = end
    return Parts(data[:2], parts, data[at:])


def next_marker(data: bytes, at: int) -> int:
    """Where coded samples end: at a marker that is neither stuffing nor a restart."""
    while at + 1 < len(data):
        if data[at] == 0xFF and data[at + 1] != 0 and data[at + 1] not in ALONE:
            return at
        at += 1
    return len(data)


def png_parts(data: bytes) -> Parts:
    """Chunks without length and checksum: four letters and the content."""
    parts = []
    at = len(PNG_SIGNATURE)
    while at + 12 <= len(data):
        size = struct.unpack(">I", data[at : at + 4])[0]
        parts.append(data[at + 4 : at + 8 + size])
        at += 12 + size
    return Parts(PNG_SIGNATURE, parts)


def png_joined(parts: Parts) -> bytes:
    """With lengths and checksums that are right: a wrong one would end the reading at once."""
    chunks = []
    for part in parts.parts:
        length = struct.pack(">I", max(0, len(part) - 4))
        chunks.append(length + part + struct.pack(">I", zlib.crc32(part)))
    return parts.head + b"".join(chunks) + parts.tail


def webp_parts(data: bytes) -> Parts:
    """RIFF chunks: four letters, size, content, padding."""
    parts = []
    at = 12
    while at + 8 <= len(data):
        size = struct.unpack("<I", data[at + 4 : at + 8])[0]
        end = at + 8 + size + size % 2
        parts.append(data[at:end])
        at = end
    return Parts(data[:12], parts, data[at:])


def webp_joined(parts: Parts) -> bytes:
    body = b"WEBP" + b"".join(parts.parts) + parts.tail
    return b"RIFF" + struct.pack("<I", len(body) % 2**32) + body


def gif_parts(data: bytes) -> Parts:
    """Extensions and images; the head is the screen with its palette."""
    at = 13
    if data[10] & 0x80:
        at += 3 * 2 ** ((data[10] & 7) + 1)
    head = data[:at]
    parts = []
    while at < len(data) and data[at] in (0x21, 0x2C):
        start = at
        if data[at] == 0x2C:
            flags = data[at + 9]
            at += 10
            if flags & 0x80:
                at += 3 * 2 ** ((flags & 7) + 1)
            at += 1  # LZW's code size
        else:
            at += 2
        while at < len(data) and data[at]:
            at += data[at] + 1
        at += 1
        parts.append(data[start:at])
    return Parts(head, parts, data[at:])


@dataclass(frozen=True)
class TiffForm:
    """How a TIFF writes numbers: struct's order, and BigTIFF's eight bytes in place of four."""

    order: str
    is_big: bool

    @property
    def word(self) -> str:
        return "Q" if self.is_big else "I"

    @property
    def count(self) -> str:
        """Of the tags in a directory."""
        return "Q" if self.is_big else "H"

    @property
    def start(self) -> int:
        """Where the header has the offset of the first directory."""
        return 8 if self.is_big else 4

    @property
    def tag_bytes(self) -> int:
        return 20 if self.is_big else 12

    def pack(self, form: str, *numbers: int) -> bytes:
        return struct.pack(self.order + form, *numbers)

    def unpack(self, form: str, data: bytes, at: int) -> int:
        return int(struct.unpack_from(self.order + form, data, at)[0])


def tiff_form(data: bytes) -> TiffForm:
    return TiffForm("<" if data[:2] == b"II" else ">", b"+" in data[2:4])


def tiff_parts(data: bytes) -> Parts:
    """The tags of the first directory; the head is all before its first tag."""
    form = tiff_form(data)
    at = form.unpack(form.word, data, form.start)
    count = form.unpack(form.count, data, at)
    start = at + struct.calcsize(form.order + form.count)
    end = start + form.tag_bytes * min(count, len(data) // form.tag_bytes)
    tags = [data[place : place + form.tag_bytes] for place in range(start, end, form.tag_bytes)]
    return Parts(data[:start], tags, data[end:])


def tiff_joined(parts: Parts) -> bytes:
    """With its directory at the end of the file, so that no offset moves when tags are added."""
    form = tiff_form(parts.head)
    length = form.start + struct.calcsize(form.word)
    body = parts.head[length:] + b"".join(parts.parts) + parts.tail
    directory = form.pack(form.count, min(len(parts.parts), 65535)) + b"".join(parts.parts)
    head = parts.head[: form.start] + form.pack(form.word, length + len(body))
    return head + body + directory + bytes(8)
