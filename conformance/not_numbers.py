"""Makes a model's numbers NaN, in place: a file keeps its kind, its names and its shapes.

It knows safetensors, ONNX, NumPy's files, torch's archives, and texts of one number. In each of
them 0xFF bytes are NaN, in half, single and double precision and in bfloat16.
"""

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

ONES = b"\xff"
# ONNX's TensorProto.DataType: FLOAT, FLOAT16, DOUBLE, BFLOAT16
FLOATS = (1, 10, 11, 16)
FLOAT_NAMES = ("F16", "BF16", "F32", "F64")  # safetensors
# ModelProto.graph, then GraphProto.initializer, or .node, NodeProto.attribute, AttributeProto.t
PATHS = ((7, 5), (7, 1, 5, 5))
DATA_TYPE = 2
RAW_DATA = 9
VARINT = 0
LENGTH = 2  # wire type: a length, and as many bytes
FIXED = {1: 8, 5: 4}  # wire type: bytes


def spoil(folder: Path) -> int:
    """Replace the numbers in all files of known kinds. Returns the number of files changed."""
    count = 0
    for path in sorted(folder.rglob("*")):
        if not path.is_file():
            continue
        before = path.read_bytes()
        after = _spoilt(path.suffix.lower(), before)
        if after is not None and after != before:
            path.write_bytes(after)
            count += 1
    return count


def _spoilt(suffix: str, data: bytes) -> bytes | None:
    """The file's new content; None where its kind is not known, or where it is damaged."""
    try:
        if suffix == ".safetensors":
            return _safetensors(data)
        if suffix == ".onnx":
            return _onnx(data)
        if suffix == ".npy":
            return _npy(data)
        if data[:4] == b"PK\x03\x04":
            return _archive(data)
        float(data.decode("ascii"))
        return b"nan\n"
    except (ValueError, IndexError, KeyError, TypeError, zipfile.BadZipFile):
        return None


def _safetensors(data: bytes) -> bytes:
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    changed = bytearray(data)
    for name, tensor in header.items():
        if name == "__metadata__" or tensor["dtype"] not in FLOAT_NAMES:
            continue
        begin, end = (8 + size + offset for offset in tensor["data_offsets"])
        changed[begin:end] = ONES * (end - begin)
    return bytes(changed)


def _npy(data: bytes) -> bytes:
    """NumPy's format 1: magic, version, a header of a length in 2 bytes, values."""
    start = 10 + int.from_bytes(data[8:10], "little")
    if data[6] != 1 or b"f" not in data[10:start].split(b"'descr': '")[1][:3]:
        raise ValueError
    return data[:start] + ONES * (len(data) - start)


def _archive(data: bytes) -> bytes:
    """An archive of torch, whose storages lie in data/, or of NumPy."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(made, "w") as new:
        for entry in old.infolist():
            content = old.read(entry)
            if "/data/" in entry.filename:
                content = ONES * len(content)
            elif entry.filename.endswith(".npy"):
                content = _npy(content)
            new.writestr(entry, content)
    return made.getvalue()


def _onnx(data: bytes) -> bytes:
    changed = bytearray(data)
    for path in PATHS:
        for begin, end in _messages(data, 0, len(data), path):
            fields = list(_fields(data, begin, end))
            kinds = [value for number, value, _ in fields if number == DATA_TYPE]
            if not kinds or kinds[0] not in FLOATS:
                continue
            for number, start, stop in fields:
                if number == RAW_DATA:
                    changed[start:stop] = ONES * (stop - start)
    return bytes(changed)


def _messages(
    data: bytes, begin: int, end: int, path: tuple[int, ...]
) -> Iterator[tuple[int, int]]:
    """Begin and end of the messages at a path of field numbers."""
    if not path:
        yield begin, end
        return
    for number, start, stop in _fields(data, begin, end):
        if number == path[0] and stop:
            yield from _messages(data, start, stop, path[1:])


def _fields(data: bytes, begin: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Protobuf's fields: number, begin and end of the value; of a varint its value and 0."""
    place = begin
    while place < end:
        key, place = _varint(data, place)
        wire = key & 7
        value, stop = place, 0
        if wire == VARINT:
            value, place = _varint(data, place)
        elif wire == LENGTH:
            size, value = _varint(data, place)
            place = stop = value + size
        else:
            place += FIXED[wire]
        yield key >> 3, value, stop


def _varint(data: bytes, place: int) -> tuple[int, int]:
    """A number of 7 bits a byte, and the place behind it."""
    value = shift = 0
    while True:
        byte = data[place]
        place += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, place
