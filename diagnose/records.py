"""One record of an event file to an array, without protobuf.

Rules read hundreds of tensors at each step. Only the few fields of smdebug's Event that hold the
array are read; smdebug's own reader takes the rest.
https://protobuf.dev/programming-guides/encoding/ has the wire format.
"""

import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

# field numbers
SUMMARY = 5  # of Event
VALUE = 1  # of Summary
TENSOR = 8  # of Summary.Value
DTYPE = 1  # of TensorProto
SHAPE = 2
CONTENT = 4
DIMENSION = 2  # of TensorShapeProto
SIZE = 1  # of its dimensions

# wire types
VARINT = 0
BYTES = 2
FIXED = {1: 8, 5: 4}  # wire type: bytes

# TensorFlow's DataType enum
DTYPES: dict[int, type[np.generic]] = {
    1: np.float32,
    2: np.float64,
    3: np.int32,
    4: np.uint8,
    5: np.int16,
    6: np.int8,
    9: np.int64,
    10: np.bool_,
    19: np.float16,
}
HEAD = 12  # bytes before a payload: its length in 8, and a checksum of that in 4
TAIL = 4  # bytes behind it: its checksum


def decode(record: bytes) -> NDArray[Any]:
    """The array of a whole record. ValueError when the record is cut off or damaged."""
    size = len(record) - HEAD - TAIL
    if size < 0 or struct.unpack_from("<Q", record)[0] != size:
        raise ValueError(f"a record of {len(record)} bytes is cut off")
    try:
        summary = _inner(record[HEAD:-TAIL], SUMMARY)
        return _array(_inner(_inner(summary, VALUE), TENSOR))
    except (KeyError, IndexError, struct.error):
        from smdebug.core.tfrecord.tensor_reader import TensorReader

        array: NDArray[Any] = next(TensorReader(record).read_tensors())[2]
        return array


def _array(tensor: bytes) -> NDArray[Any]:
    """A TensorProto's array. KeyError where it does not hold its values as bytes."""
    dtype = None
    content = None
    sizes: list[int] = []
    for field, value in _fields(tensor):
        if field == DTYPE:
            dtype = DTYPES[_number(value)]
        elif field == SHAPE:
            sizes = _sizes(_bytes(value))
        elif field == CONTENT:
            content = _bytes(value)
    if dtype is None or content is None:
        raise KeyError("no content")
    return np.frombuffer(content, dtype).reshape(sizes)


def _sizes(shape: bytes) -> list[int]:
    sizes = []
    for field, dimension in _fields(shape):
        if field == DIMENSION:
            numbers = [size for number, size in _fields(_bytes(dimension)) if number == SIZE]
            numbers.append(0)  # protobuf leaves out a 0
            sizes.append(_number(numbers[0]))
    return sizes


def _inner(message: bytes, wanted: int) -> bytes:
    """The first field of that number, a message. KeyError where there is none."""
    for field, value in _fields(message):
        if field == wanted:
            return _bytes(value)
    raise KeyError(wanted)


def _number(value: int | bytes) -> int:
    if isinstance(value, bytes):
        raise KeyError("bytes in place of a number")
    return value


def _bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise KeyError("a number in place of bytes")
    return value


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Number and value of each field: an int for varints, bytes for the rest."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        field = key >> 3
        wire_type = key & 7
        if wire_type == VARINT:
            number, at = _varint(message, at)
            yield field, number
            continue
        if wire_type == BYTES:
            length, at = _varint(message, at)
        else:
            length = FIXED[wire_type]
        end = at + length
        if end > len(message):
            raise IndexError("a field is cut off")
        yield field, message[at:end]
        at = end


def _varint(message: bytes, at: int) -> tuple[int, int]:
    """A number of 7 bits per byte, the lowest first, and the place behind it."""
    number = 0
    shift = 0
    while True:
        byte = message[at]
        at += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number, at
        shift += 7
