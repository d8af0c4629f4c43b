"""Bytes of saved tensors: what the hand-written encoder gives is what protobuf reads."""

import numpy as np
import pytest

from diagnose.smdebug_compat import load_smdebug

with load_smdebug():
    from smdebug.core.modes import ModeKeys
    from smdebug.core.tfevent.proto.event_pb2 import Event

    from train.recording.event_files import event, metadata


@pytest.mark.parametrize(
    "shape, step",
    [((), 0), ((1,), 127), ((2, 3), 128), ((128,), 16383), ((130, 2), 16384), ((0,), 2**31)],
)
@pytest.mark.parametrize("dtype", [np.float32, np.int64])
def test_an_event_is_read_back(shape, step, dtype):
    values = np.arange(np.prod(shape), dtype=dtype).reshape(shape)
    found = Event()
    found.ParseFromString(event(values, "a tensor", step, metadata(ModeKeys.EVAL, 7), 12.5))
    assert found.wall_time == 12.5
    assert found.step == step
    [value] = found.summary.value
    assert value.tag == "a tensor"
    assert [dim.size for dim in value.tensor.tensor_shape.dim] == list(shape)
    assert value.tensor.tensor_content == values.tobytes()
    plugins = {plugin.plugin_name: plugin.content for plugin in value.metadata.plugin_data}
    assert sorted(plugins.values()) == sorted(["7", str(ModeKeys.EVAL.value)])
