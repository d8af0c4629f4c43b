"""How a transform job cuts an object into requests and puts the answers together again."""

import gzip
import io
import zlib

from artifact.host.machine import memory_left

MEMORY_PARTS = 4  # of the memory that is left, one is for an object that is decompressed


class TooLarge(TypeError):
    """A record that is larger than a request may be."""


class NotCompressed(TypeError):
    """An object that is not what its CompressionType says."""


def unpacked(content: bytes, compression: str, uri: str) -> bytes:
    """An object's content. compression: None or Gzip.

    NotCompressed where that is not so, TooLarge for content that would take the memory.
    """
    if compression != "Gzip":
        return content
    try:
        most = memory_left() // MEMORY_PARTS
        found = gzip.GzipFile(fileobj=io.BytesIO(content)).read(most + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise NotCompressed(f"CompressionType is Gzip, and '{uri}' is not: {error}") from error
    if len(found) > most:
        raise TooLarge(f"'{uri}' has more than {most / 2**20:,.0f} MB when it is decompressed")
    return found


def batches(content: bytes, split: str, strategy: str, limit: int) -> list[bytes]:
    """The bodies of requests for one object. split: None or Line; limit: bytes, 0 for none.

    strategy: MultiRecord fills each request up to the limit. TooLarge for a record above it.
    """
    records = [content]
    if split == "Line":
        # A line ends with \n alone: JSON may hold a bare \r between two values.
        records = list(io.BytesIO(content))
    for number, record in enumerate(records, 1):
        if limit and len(record) > limit:
            raise TooLarge(
                f"record {number} has {len(record)} bytes; MaxPayloadInMB allows {limit}"
            )
    if split == "None":
        return records
    records = [record for record in records if record.strip()]
    # A single record is sent bare; the ends of lines part records only within one request.
    if strategy == "SingleRecord":
        return [record.rstrip(b"\r\n") for record in records]
    bodies: list[bytes] = []
    for record in records:
        if not record.endswith(b"\n"):  # the file's last line
            record += b"\n"
        if bodies and (not limit or len(bodies[-1]) + len(record) <= limit):
            bodies[-1] += record
        else:
            bodies.append(record)
    return bodies


def assemble(answers: list[bytes], how: str) -> bytes:
    """One object's answers as one file: end to end, or each on lines of its own."""
    if how == "None":
        return b"".join(answers)
    # A container may end its answer with a line's end, or leave it out.
    return b"".join(answer.removesuffix(b"\n") + b"\n" for answer in answers)
