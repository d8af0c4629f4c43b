"""smdebug 1.0.34 on newer Pythons, numpy and protobuf: what is mended as it is imported."""

import os
import subprocess
import sys

import pytest

from diagnose.smdebug_mends import strtobool
from tests.support.jobs import REPOSITORY

# A tensor, and the messages around it, as bytes.
MESSAGE = """
import numpy as np
from smdebug.core.tfevent.proto.event_pb2 import Event, LogMessage
from smdebug.core.tfevent.proto.summary_pb2 import Summary
from smdebug.core.tfevent.proto.tensor_pb2 import TensorProto
from smdebug.core.tfevent.proto.tensor_shape_pb2 import TensorShapeProto
from smdebug.core.tfevent.proto.types_pb2 import DataType

values = np.arange(6, dtype=np.float32).reshape(2, 3)
shape = TensorShapeProto(dim=[TensorShapeProto.Dim(size=size, name="x") for size in values.shape])
tensor = TensorProto(
    dtype="DT_FLOAT", tensor_content=values.tobytes(), tensor_shape=shape, string_val=[b"a"]
)
event = Event(step=3, wall_time=1.5, summary=Summary(value=[Summary.Value(tag="x", tensor=tensor)]))
event.log_message.level = LogMessage.WARN
print(DataType.Name(tensor.dtype), event.SerializeToString(deterministic=True).hex())
"""
# First what a user's own script may have loaded before.
MENDED = f"""
import onnx
from google.protobuf.internal import api_implementation
from diagnose.smdebug_mends import mend_smdebug

mend_smdebug()
mend_smdebug()
{MESSAGE}
assert api_implementation.Type() != "python"
assert [type(finder).__name__ for finder in __import__("sys").meta_path].count("SmdebugFinder") == 1
from smdebug.core.config_validator import strtobool
from smdebug.core.tfevent.util import make_tensor_proto
assert strtobool("Yes") == 1
assert make_tensor_proto(values, "x").tensor_content == values.tobytes()
"""
# protobuf in pure Python takes the old files as they are.
GENERATED = f"""
import sys, types
for name in ("pyinstrument", "pyinstrument.renderers"):
    sys.modules[name] = types.ModuleType(name)
sys.modules["pyinstrument"].Profiler = sys.modules["pyinstrument.renderers"].JSONRenderer = None
{MESSAGE}
"""


# A hook as many scripts have it: of the network alone.
NETWORK_ALONE = """
import tempfile
import torch
from diagnose.smdebug_mends import mend_smdebug
mend_smdebug()
import smdebug.pytorch as smd
from smdebug.trials import create_trial
folder = tempfile.mkdtemp() + "/tensors"
network, loss, own = torch.nn.Linear(4, 2), torch.nn.CrossEntropyLoss(), torch.nn.MSELoss()
hook = smd.Hook(folder, save_config=smd.SaveConfig(save_interval=1))
hook.register_module(network)
hook.register_loss(own)
seen = []
for _ in range(3):
    answer = network(torch.randn(3, 4))
    seen.append(loss(answer, torch.tensor([0, 1, 0])).item())
    own(answer, answer)
hook.close()
trial = create_trial(folder)
saved = trial.tensor("CrossEntropyLoss_output_0")
assert [float(saved.value(step)) for step in saved.steps()] == seen
assert trial.tensor("MSELoss_output_0").steps() == [0, 1, 2]
print("losses", len(seen))
"""


def output_of(script: str, **environment: str) -> str:
    """What the script prints first."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        env=os.environ | environment,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[0]  # smdebug logs below


@pytest.mark.slow
def test_messages_are_those_of_the_generated_files():
    generated = output_of(GENERATED, PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION="python")
    assert output_of(MENDED) == generated
    assert generated.startswith("DT_FLOAT ")


@pytest.mark.parametrize("word", ["y", "YES", "t", "true", "On", "1"])
def test_words_of_yes(word):
    assert strtobool(word) == 1
    assert strtobool({"y": "n", "t": "f", "1": "0"}.get(word, "no")) == 0


def test_another_word_is_refused():
    with pytest.raises(ValueError, match="invalid truth value 'perhaps'"):
        strtobool("perhaps")


@pytest.mark.verify
def test_losses_are_saved_for_a_script_that_registers_its_network_alone():
    assert output_of(NETWORK_ALONE, SMDEBUG_LOG_LEVEL="off") == "losses 3"
