"""A saved step's files in smdebug's format, written in the caller's thread.

smdebug's own writer hands events to a thread that dies when the disk is full; the training then
waits for it for ever. Here a full disk is an OSError, and the few fields are encoded by hand: an
Event with one Summary.Value that holds a TensorProto, the mode and the mode's step.
"""

import contextlib
import struct
import time
from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray
from smdebug.core.locations import (
    IndexFileLocationUtils,
    TensorFileLocation,
    TensorLocation,
    TensorShape,
)
from smdebug.core.modes import MODE_PLUGIN_NAME, MODE_STEP_PLUGIN_NAME, ModeKeys
from smdebug.core.tfevent.event_file_writer import get_relative_event_file_path
from smdebug.core.tfevent.index_file_writer import IndexWriter
from smdebug.core.tfevent.proto.types_pb2 import DataType
from smdebug.core.tfevent.util import _get_proto_dtype
from smdebug.core.tfrecord.record_writer import RecordWriter


class EventFiles:
    """The event file and the index of one step of one worker, with the methods of a FileWriter.

    smdebug's hook calls the methods by their keywords.
    """

    def __init__(self, folder: str, step: int, worker: str):
        self.step = step
        self.worker = worker
        location = TensorFileLocation(step_num=step, worker_name=worker)
        self.event_file_path = location.get_file_location(trial_dir=folder)
        index = IndexFileLocationUtils.get_index_key_for_step(folder, step, worker)
        self.index_writer = IndexWriter(index)
        self._records: RecordWriter | None = None
        self._name = ""  # the event file's, as the index has it
        # encoded once for all tensors of a step
        self._metadata: tuple[ModeKeys, int | None, bytes] | None = None

    def write_tensor(
        self,
        tdata: NDArray[Any],
        tname: str,
        write_index: bool = True,
        mode: ModeKeys = ModeKeys.GLOBAL,
        mode_step: int | None = None,
        timestamp: float | None = None,
    ) -> None:
        """Append an array.

        SMDebugTypeError for a dtype that the format lacks, OSError when it cannot be written.
        """
        if self._records is None:
            self._records = RecordWriter(self.event_file_path, write_checksum=False)
            self._name = get_relative_event_file_path(self.event_file_path)
        if self._metadata is None or self._metadata[:2] != (mode, mode_step):
            self._metadata = (mode, mode_step, metadata(mode, mode_step))
        record = event(tdata, tname, self.step, self._metadata[2], timestamp or time.time())
        start, length = self._records.write_record(record)
        location = TensorLocation(
            tname=tname,
            mode=mode.name,
            mode_step=mode_step,
            event_file_name=self._name,
            start_idx=start,
            length=length,
            worker=self.worker,
        )
        self.index_writer.add_index(location)

    def write_shape(
        self,
        name: str,
        shape: Sequence[int],
        mode: ModeKeys = ModeKeys.GLOBAL,
        mode_step: int | None = None,
        original_name: str | None = None,
    ) -> None:
        """Note a tensor's shape in the index, for collections with save_shape."""
        entry = TensorShape(name, mode.name, mode_step, shape, original_name=original_name)
        self.index_writer.add_shape(entry)

    def flush(self) -> None:
        if self._records is not None:
            self._records.flush()

    def close(self) -> None:
        """Give both files their final names.

        The index is the last, so that a reader that sees it also finds its events.
        """
        if self._records is not None:
            self._records.flush()
            self._records.close()
            self._records = None
        self.index_writer.close()

    def abandon(self) -> None:
        """Close files that cannot be finished; readers ignore their temporary names."""
        writers = [self.index_writer.writer]
        self.index_writer.writer = None
        if self._records is not None:
            writers.append(self._records._writer)
            self._records._writer = None  # else it tries to write again when it is collected
            self._records = None
        for writer in writers:
            if writer is not None:
                with contextlib.suppress(OSError):
                    writer._accessor.close()


# The numbers below are the fields of smdebug's .proto files. A field starts with its key, which is
# number << 3 | wire type: 0 varint, 1 eight bytes, 2 length and bytes.


def event(values: NDArray[Any], name: str, step: int, meta: bytes, timestamp: float) -> bytes:
    """One array as a serialized Event of smdebug's event_pb2."""
    _, dtype = _get_proto_dtype(values.dtype)
    sizes = [_message(2, b"\x08" + _varint(size)) for size in values.shape]  # TensorShapeProto.Dim
    tensor = b"\x08" + _varint(DataType.Value(dtype))  # TensorProto.dtype
    tensor += _message(2, b"".join(sizes))  # .tensor_shape
    tensor += _message(4, values.tobytes())  # .tensor_content
    value = _message(1, name.encode()) + _message(8, tensor) + meta  # Summary.Value
    summary = _message(1, value)
    wall_time = b"\x09" + struct.pack("<d", timestamp)
    return wall_time + b"\x10" + _varint(step) + _message(5, summary)


def metadata(mode: ModeKeys, mode_step: int | None) -> bytes:
    """A Summary.Value's field that holds the mode and its step."""
    entries = b""
    for key, value in ((MODE_STEP_PLUGIN_NAME, mode_step), (MODE_PLUGIN_NAME, mode.value)):
        plugin = _message(1, key.encode()) + _message(2, str(value).encode())
        entries += _message(1, plugin)
    return _message(9, entries)


def _message(field: int, content: bytes) -> bytes:
    """A field of variable length: string, bytes or message."""
    return bytes((field << 3 | 2,)) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    """Seven bits in each byte, the lowest first; the high bit is set where another byte follows."""
    encoded = bytearray()
    while number > 127:
        encoded.append(number & 127 | 128)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)
