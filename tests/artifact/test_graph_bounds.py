"""Graphs that would take all memory, or never end: refused before they are compiled."""

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from artifact.engines import graph_bounds
from artifact.engines.choice import open_engine
from artifact.engines.openvino_engine import load_openvino
from artifact.model import ArtifactError, read_description
from serve.models import ModelError, Models
from serve.predictor import SharedLimits
from tests.support.colour_model import write_colour_model

LARGE = 1 << 40  # values of a tensor: 4 TB


def whole(name: str, *values: int) -> TensorProto:
    return numpy_helper.from_array(np.array(values, np.int64), name)


def filled(graph: ModelProto) -> None:
    """Add the sum of a tensor that the graph fills itself."""
    graph.graph.initializer.append(whole("shape", LARGE))
    nodes = [
        helper.make_node("ConstantOfShape", ["shape"], ["large"]),
        helper.make_node("ReduceMax", ["large"], ["most"], keepdims=0),
    ]
    replace(graph, nodes, helper.make_node("Add", ["logits", "most"], ["changed"]))


def spread(graph: ModelProto) -> None:
    """Repeat a photo's logits, and take their mean."""
    width = graph.graph.output[0].type.tensor_type.shape.dim[1].dim_value
    graph.graph.initializer.extend([whole("one", -1, 1, width), whole("shape", 1, LARGE, width)])
    nodes = [
        helper.make_node("Reshape", ["logits", "one"], ["row"]),
        helper.make_node("Expand", ["row", "shape"], ["rows"]),
    ]
    last = helper.make_node("ReduceMean", ["rows"], ["changed"], axes=[1], keepdims=0)
    replace(graph, nodes, last)


def in_a_branch(graph: ModelProto) -> None:
    """The same, but in a branch of an If, which the graph's own list of operations lacks."""
    plain = onnx.ModelProto()
    plain.CopyFrom(graph)
    spread(plain)
    *_, shaped, wide, mean, _ = plain.graph.node
    graph.graph.initializer.extend(plain.graph.initializer[-2:])
    result = helper.make_tensor_value_info("changed", TensorProto.FLOAT, None)
    large = helper.make_graph([shaped, wide, mean], "large", [], [result])
    same = helper.make_node("Identity", ["logits"], ["changed"])
    small = helper.make_graph([same], "small", [], [result])
    condition = [
        helper.make_node("ReduceMax", ["logits"], ["highest"], keepdims=0),
        helper.make_node("Cast", ["highest"], ["is_any"], to=TensorProto.BOOL),
    ]
    branch = helper.make_node("If", ["is_any"], ["changed"], then_branch=large, else_branch=small)
    replace(graph, condition, branch)


def endless(graph: ModelProto) -> None:
    """Add a loop of 2^40 turns."""
    inner = [
        helper.make_node("Identity", ["on"], ["goes_on"]),
        helper.make_node("Add", ["value", "value"], ["twice"]),
    ]
    flag = helper.make_tensor_value_info("on", TensorProto.BOOL, [])
    turn = helper.make_tensor_value_info("turn", TensorProto.INT64, [])
    value = helper.make_tensor_value_info("value", TensorProto.FLOAT, None)
    ends = [
        helper.make_tensor_value_info("goes_on", TensorProto.BOOL, []),
        helper.make_tensor_value_info("twice", TensorProto.FLOAT, None),
    ]
    body = helper.make_graph(inner, "body", [turn, flag, value], ends)
    graph.graph.initializer.append(numpy_helper.from_array(np.array(LARGE), "turns"))
    graph.graph.initializer.append(numpy_helper.from_array(np.array(True), "yes"))
    replace(graph, [], helper.make_node("Loop", ["turns", "yes", "logits"], ["changed"], body=body))


def long(graph: ModelProto) -> None:
    """Negate the logits 20,000 times: to compile that takes minutes."""
    names = ["logits", *(f"negated {number}" for number in range(19_999)), "changed"]
    pairs = zip(names, names[1:], strict=False)
    *nodes, last = [helper.make_node("Neg", [before], [after]) for before, after in pairs]
    replace(graph, nodes, last)


def replace(graph: ModelProto, nodes: list[onnx.NodeProto], last: onnx.NodeProto) -> None:
    """Put nodes before the softmax, which then takes what the last of them gives."""
    softmax = graph.graph.node.pop()
    softmax.input[0] = "changed"
    graph.graph.node.extend([*nodes, last, softmax])


@pytest.mark.parametrize("spoil", [filled, spread, in_a_branch])
def test_a_small_file_with_a_large_tensor_is_refused(tmp_path, spoil):
    write_spoiled(tmp_path, spoil)
    with pytest.raises(MemoryError, match="the network takes about [0-9,]+ MB, and"):
        open_engine(tmp_path, read_description(tmp_path), "f32", 1)
    with pytest.raises(ModelError, match="not enough memory to load the model 'a'") as refused:
        Models("f32", SharedLimits(1), "cpu").load("a", str(tmp_path))
    assert refused.value.status == 507


@pytest.mark.parametrize(
    ("spoil", "words"),
    [(endless, "it holds a loop"), (long, "more than 10,000 operations")],
)
def test_a_graph_that_takes_for_ever_is_refused(tmp_path, spoil, words):
    write_spoiled(tmp_path, spoil)
    with pytest.raises(ArtifactError, match=words):
        open_engine(tmp_path, read_description(tmp_path), "f32", 1)


def test_weights_that_lie_beside_the_graph_count(tmp_path, monkeypatch):
    """Their file may have any name: needed_bytes of serve/models.py does not know it."""
    write_colour_model(tmp_path)
    path = tmp_path / "model.onnx"
    onnx.save(onnx.load(path), path, save_as_external_data=True, location="w", size_threshold=0)
    model = load_openvino().Core().read_model(path)
    monkeypatch.setattr(graph_bounds, "memory_left", lambda: 40)
    with pytest.raises(MemoryError):
        graph_bounds.check_graph(model)


@pytest.mark.parametrize("place", ["/etc/passwd", "../../../etc/passwd", "/dev/zero"])
def test_weights_elsewhere_are_not_read(tmp_path, place):
    write_colour_model(tmp_path)
    graph = onnx.load(tmp_path / "model.onnx")
    weights = graph.graph.initializer[0]
    weights.ClearField("raw_data")
    weights.data_location = TensorProto.EXTERNAL
    weights.external_data.add(key="location", value=place)
    (tmp_path / "model.onnx").write_bytes(graph.SerializeToString())
    with pytest.raises(ArtifactError, match=r"is not a graph that OpenVINO reads \(.+\)"):
        open_engine(tmp_path, read_description(tmp_path), "f32", 1)


def test_a_result_counts_until_it_was_read(tmp_path):
    write_colour_model(tmp_path)
    model = load_openvino().Core().read_model(tmp_path / "model.onnx")
    model.reshape([1, 32, 32, 3])
    pixels = 32 * 32 * 3
    # the photo's bytes are read when they are floats
    assert pixels * 5 <= graph_bounds.run_bytes(model) < pixels * 5 + 100


def write_spoiled(folder, spoil) -> None:
    write_colour_model(folder)
    graph = onnx.load(folder / "model.onnx")
    spoil(graph)
    onnx.save(graph, folder / "model.onnx")
