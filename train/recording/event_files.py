"""A saved step's files in smdebug's format, written in the caller's thread.

smdebug's own writer hands events to a thread that dies when the disk is full, after which the training waits for it for
ever; and it builds each event with protobuf 3.20's pure Python, which costs 0.3 ms a tensor. Here a full disk is an OSError,
and the few fields are encoded by hand: an Event with one Summary.Value that holds a TensorProto, mode and mode's step.
"""

import struct
import time
from contextlib import suppress

import numpy as np
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
    """The event file and the index of one step of one worker; what smdebug's hook needs of its FileWriter."""

    def __init__(self, folder: str, step: int, worker: str):
        self.step, self.worker = step, worker
        self.event_file_path = TensorFileLocation(
            step_num=step, worker_name=worker
        ).get_file_location(trial_dir=folder)
        self.index_writer = IndexWriter(
            IndexFileLocationUtils.get_index_key_for_step(folder, step, worker)
        )

    _records: RecordWriter | None = None
    _name = ""  # the event file's, as the index has it
    _metadata: tuple[ModeKeys, int, bytes] | None = None  # the same for a whole step

    def write_tensor(
        self, tdata, tname, write_index=True, mode=ModeKeys.GLOBAL, mode_step=None, timestamp=None
    ):
        """Append an array. SMDebugTypeError for a dtype that the format lacks, OSError when it cannot be written."""
        if self._records is None:
            self._records = RecordWriter(self.event_file_path, write_checksum=False)
            self._name = get_relative_event_file_path(self.event_file_path)
        if self._metadata is None or self._metadata[:2] != (mode, mode_step):
            self._metadata = mode, mode_step, metadata(mode, mode_step)
        start, length = self._records.write_record(
            event(tdata, tname, self.step, self._metadata[2], timestamp or time.time())
        )
        self.index_writer.add_index(
            TensorLocation(
                tname=tname,
                mode=mode.name,
                mode_step=mode_step,
                event_file_name=self._name,
                start_idx=start,
                length=length,
                worker=self.worker,
            )
        )

    def write_shape(
        self, name, shape, mode=ModeKeys.GLOBAL, mode_step=None, original_name=None
    ) -> None:
        """Note a tensor's shape in the index, for collections with save_shape."""
        self.index_writer.add_shape(
            TensorShape(name, mode.name, mode_step, shape, original_name=original_name)
        )

    def flush(self) -> None:
        if self._records is not None:
            self._records.flush()

    def close(self) -> None:
        """Give both files their final names, the index last: who sees an index finds its events."""
        if self._records is not None:
            self._records.flush()
            self._records.close()
            self._records = None
        self.index_writer.close()

    def abandon(self) -> None:
        """Let go of what cannot be written: the unfinished files keep their temporary names, which no reader takes."""
        accesses = [self.index_writer.writer, self._records and self._records._writer]
        if self._records is not None:
            self._records._writer = None  # else it tries again when it is collected
            self._records = None
        self.index_writer.writer = None
        for access in accesses:
            if access is not None:
                with suppress(OSError):
                    access._accessor.close()


def event(values: np.ndarray, name: str, step: int, meta: bytes, timestamp: float) -> bytes:
    """One array as a serialized Event of smdebug's event_pb2."""
    _, dtype = _get_proto_dtype(values.dtype)
    shape = b"".join(_message(2, b"\x08" + _varint(size)) for size in values.shape)
    tensor = (
        b"\x08"
        + _varint(DataType.Value(dtype))
        + _message(2, shape)
        + _message(4, values.tobytes())
    )
    value = _message(1, name.encode()) + _message(8, tensor) + meta
    return (
        b"\x09"
        + struct.pack("<d", timestamp)
        + b"\x10"
        + _varint(step)
        + _message(5, _message(1, value))
    )


def metadata(mode: ModeKeys, mode_step: int) -> bytes:
    """A Summary.Value's field that says of which mode and step it is."""
    pairs = (MODE_STEP_PLUGIN_NAME, mode_step), (MODE_PLUGIN_NAME, mode.value)
    return _message(
        9,
        b"".join(
            _message(1, _message(1, key.encode()) + _message(2, str(text).encode()))
            for key, text in pairs
        ),
    )


def _message(field: int, content: bytes) -> bytes:
    """A field of variable length: string, bytes or message."""
    return bytes((field << 3 | 2,)) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 127:
        encoded.append(number & 127 | 128)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)
