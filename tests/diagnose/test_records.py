"""Records of event files, read as smdebug reads them."""

import struct

import numpy as np
import pytest

from diagnose.records import decode

DTYPES = ("float16", "float32", "float64", "int8", "uint8", "int32", "int64", "bool")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (1,), (3, 0), (200, 3)])
def test_records_of_every_dtype_and_shape(dtype, shape):
    from smdebug.core.modes import ModeKeys
    from smdebug.core.tfrecord.tensor_reader import TensorReader

    from train.recording.event_files import event, metadata

    values = (np.random.default_rng(1).random(shape) * 100).astype(dtype)
    payload = event(values, "näme", 300, metadata(ModeKeys.EVAL, 129), 1.5)
    record = framed(payload)
    if values.size:  # smdebug cannot read an empty one
        ((name, step, theirs, mode, mode_step),) = TensorReader(record).read_tensors()
        assert (name, step, mode, mode_step) == ("näme", 300, ModeKeys.EVAL, 129)
        np.testing.assert_array_equal(theirs, values)
    np.testing.assert_array_equal(decode(record), values, strict=True)
    with pytest.raises(ValueError, match="cut off"):
        decode(record[:-3])


def framed(payload: bytes) -> bytes:
    """A record: the payload between its length and its checksum."""
    from smdebug.core.tfrecord.record_writer import CHECKSUM_MAGIC_BYTES, masked_crc32c

    head = struct.pack("<Q", len(payload))
    head += struct.pack("<I", masked_crc32c(head))
    return head + payload + struct.pack("<I", masked_crc32c(CHECKSUM_MAGIC_BYTES))
