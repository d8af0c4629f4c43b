"""An engine whose answers are no probabilities is not opened."""

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from artifact.engines.choice import check_probabilities, open_engine
from artifact.model import ArtifactError, read_description
from serve.models import ModelError, Models
from serve.predictor import SharedLimits
from tests.support.colour_model import write_colour_model


def spoil(folder, value: float) -> None:
    """Replace the first class's bias in a colour model."""
    graph = onnx.load(folder / "model.onnx")
    for constant in graph.graph.initializer:
        if constant.name == "bias":
            # onnx gives an array that cannot be written.
            bias = numpy_helper.to_array(constant).copy()
            bias[0] = value
            constant.CopyFrom(numpy_helper.from_array(bias, "bias"))
    onnx.save(graph, folder / "model.onnx")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_model_that_answers_with_nan_is_refused(tmp_path, value):
    write_colour_model(tmp_path)
    spoil(tmp_path, value)
    with pytest.raises(ArtifactError, match="answers with what is not a number"):
        open_engine(tmp_path, read_description(tmp_path), "f32", 1)


def test_a_model_without_a_softmax_is_refused(tmp_path):
    write_colour_model(tmp_path)
    graph = onnx.load(tmp_path / "model.onnx")
    # Its outputs are no probabilities any more.
    graph.graph.node[-1].op_type = "Relu"
    del graph.graph.node[-1].attribute[:]
    onnx.save(graph, tmp_path / "model.onnx")
    with pytest.raises(ArtifactError, match=f"'{tmp_path}' answers with"):
        open_engine(tmp_path, read_description(tmp_path), "f32", 1)


def test_a_multi_model_server_does_not_load_it(tmp_path):
    write_colour_model(tmp_path)
    spoil(tmp_path, float("nan"))
    models = Models("f32", SharedLimits(1), "cpu")
    with pytest.raises(ModelError, match="cannot be loaded: .* answers with what is not a number"):
        models.load("broken", str(tmp_path))
    assert models.listed() == []


@pytest.mark.parametrize(
    "answers, multi_label",
    # Several labels, or none, may be right.
    [([0.2, 0.8], False), ([0.2, 0.79], False), ([0.9, 0.9], True), ([0.0, 0.0], True)],
)
def test_probabilities_are_taken(answers, multi_label):
    check_probabilities(np.array([answers], np.float32), multi_label)


@pytest.mark.parametrize(
    "answers, multi_label, words",
    [
        ([0.9, 0.9], False, "add up to 1.8; expected 1"),
        ([0.0, 0.0], False, "add up to 0; expected 1"),
        ([-0.5, 1.5], False, "numbers from -0.5 to 1.5"),
        ([2.0, 0.5], True, "numbers from 0.5 to 2"),
        ([float("nan"), 1.0], True, "not a number"),
        ([float("-inf"), 1.0], False, "not a number"),
    ],
)
def test_other_numbers_are_refused(answers, multi_label, words):
    with pytest.raises(ArtifactError, match=words):
        check_probabilities(np.array([answers], np.float32), multi_label)
